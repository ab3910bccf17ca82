//go:build race

package main

// raceDetector: this program and those it starts keep several times the memory, for
// longer.
const raceDetector = true
