#!/bin/sh
# The long forms of two journeys, as root: a file of 2 GB that goes on through a closed
# lid and three networks, and a program that is replaced by today's in the middle of a
# chat, with a database of 1 GB. The program before is that of the newest tag below this
# commit, or else of the commit before; a clone without history has neither, and says so.
set -eu
cd "$(dirname "$0")/.."
GO=${GO:-go}
export CC=clang CGO_ENABLED=1
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
. scripts/previous.sh
if [ -n "$previous" ]; then
	export SREMP_JOURNEY_OLD="$tmp/old"
	echo "journeys: the program before is that of $previous"
else
	echo "journeys: NO HISTORY IN THIS CLONE: the program before is this one"
fi
SREMP_JOURNEY_BYTES=${SREMP_JOURNEY_BYTES:-2000000000} SREMP_JOURNEY_DATABASE=${SREMP_JOURNEY_DATABASE:-1000000000} \
	$GO test ./cmd/sremp -run '^(TestLidTrainHotel|TestUpgradeInAChat)$' -parallel 1 -count 1 -v -timeout 40m
