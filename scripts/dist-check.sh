#!/bin/sh
# Builds the packages twice, in directories of different names and under another
# umask, time zone and cache, and compares the bytes. The desktop, where GTK is to
# build it with, is linked anew from the cache: without it that takes minutes more
# (FRESH=1). Checks that the static program needs no shared library and knows its
# commit.
set -eu
cd "$(dirname "$0")/.."
tmp=$(mktemp -d)
trap 'chmod -R u+w "$tmp" && rm -rf "$tmp"' EXIT
head=$(git rev-parse HEAD)
git clone -q . "$tmp/one"
git clone -q "$tmp/one" "$tmp/another/and a longer one"
git diff --quiet HEAD || echo "dist-check: what is not committed is not checked" >&2
# check PART CACHE: the second build is with that cache, "" for the usual one.
check() {
	(cd "$tmp/one" && scripts/dist.sh "$tmp/$1/out1" "$1")
	(
		cd "$tmp/another/and a longer one"
		umask 077
		[ -z "$2" ] || export GOCACHE="$2"
		TZ=Asia/Tokyo scripts/dist.sh "$tmp/$1/out2" "$1"
	)
	cat "$tmp/$1/out1/SHA256SUMS"
	cmp "$tmp/$1/out1/SHA256SUMS" "$tmp/$1/out2/SHA256SUMS" || { echo "dist-check: two builds differ" >&2; exit 1; }
}
check server "$tmp/cache"
if LC_ALL=C readelf -d "$tmp/server/out1/sremp" | grep -q NEEDED; then
	echo "dist-check: the program needs shared libraries" >&2
	exit 1
fi
"$tmp/server/out1/sremp" version | grep -qx "commit $head"
if pkg-config --exists gtk4 gobject-introspection-1.0 2>/dev/null; then
	check desktop "${FRESH:+$tmp/cache}"
else
	echo "dist-check: NO GTK ON THIS MACHINE: the desktop was not built" >&2
fi
echo "dist-check: two builds give the same bytes"
