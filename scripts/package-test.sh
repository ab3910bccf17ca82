#!/bin/sh
# The packages that make dist, or make dist-server, made are installed, the server's
# is upgraded from the version before, both are removed; and the two versions talk
# to each other. The version before is the newest tag below this commit, or else the
# commit before. A clone without history has neither: then only what versions left on
# disk is tested, and it says so.
set -eu
cd "$(dirname "$0")/.."
GO=${GO:-go}
export CC=clang CGO_ENABLED=1
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
. scripts/previous.sh
if [ -n "$previous" ]; then
	export SREMP_OLD="$tmp/old"
	echo "package-test: the version before is $previous"
else
	echo "package-test: NO HISTORY IN THIS CLONE: the version before is known by what it left on disk alone"
fi
SREMP_DEB=$(ls "$PWD"/dist/sremp-server_*.deb)
export SREMP_DEB
desktop=dist/sremp-desktop_$(dpkg-deb -f "$SREMP_DEB" Version)_$(dpkg-deb -f "$SREMP_DEB" Architecture).deb
if [ -e "$desktop" ]; then
	export SREMP_DESKTOP_DEB="$PWD/$desktop"
else
	echo "package-test: NO DESKTOP IN dist/: another program takes its place in its package; make dist makes it"
fi
$GO test ./packaging -count 1 -v -timeout 30m
