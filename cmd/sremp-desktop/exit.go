package main

// Exit statuses, as those of sremp.
const (
	exitOK    = 0
	exitOther = 1
	exitUsage = 2
)
