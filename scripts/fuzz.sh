#!/bin/sh
# Runs every fuzz target of the module for the time given, one after another.
#
#   scripts/fuzz.sh 10s
set -eu
GO=${GO:-go}
time=${1:-10s}
for package in $($GO list ./...); do
	for target in $($GO test -list '^Fuzz' "$package" | grep '^Fuzz' || true); do
		echo "== $package $target"
		$GO test "$package" -run '^$' -fuzz "^$target\$" -fuzztime "$time"
	done
done
