#!/bin/sh
# Builds the server twice, in directories and at times of different names, the
# second time without anything from the build cache, and compares the bytes. Checks
# that the program needs no shared library and knows its commit.
set -eu
cd "$(dirname "$0")/.."
tmp=$(mktemp -d)
trap 'chmod -R u+w "$tmp" && rm -rf "$tmp"' EXIT
head=$(git rev-parse HEAD)
git clone -q . "$tmp/one"
git clone -q "$tmp/one" "$tmp/another/and a longer one"
git diff --quiet HEAD || echo "dist-check: what is not committed is not checked" >&2
(cd "$tmp/one" && scripts/dist.sh "$tmp/out1" server)
(cd "$tmp/another/and a longer one" && umask 077 && TZ=Asia/Tokyo GOCACHE="$tmp/cache" scripts/dist.sh "$tmp/out2" server)
(cd "$tmp/out1" && cat SHA256SUMS)
cmp "$tmp/out1/SHA256SUMS" "$tmp/out2/SHA256SUMS" || { echo "dist-check: two builds differ" >&2; exit 1; }
if LC_ALL=C readelf -d "$tmp/out1/sremp" | grep -q NEEDED; then
	echo "dist-check: the program needs shared libraries" >&2
	exit 1
fi
"$tmp/out1/sremp" version | grep -qx "commit $head"
echo "dist-check: two builds give the same bytes"
