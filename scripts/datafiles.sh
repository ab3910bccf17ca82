#!/bin/sh
# Checks what desktops read about the program, with the tools that are there.
set -eu
data=$(dirname "$0")/../cmd/sremp-desktop/data
if command -v desktop-file-validate >/dev/null; then
	desktop-file-validate "$data"/*.desktop
fi
if command -v appstreamcli >/dev/null; then
	# What is said only on success would bury what is wrong.
	out=$(appstreamcli validate --no-net "$data"/*.metainfo.xml 2>&1) || { echo "$out" >&2; exit 1; }
fi
