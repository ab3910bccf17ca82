#!/bin/sh
# How fast the static program's database is against a dynamic one: a scan of
# 100 000 rows, in turns, best of ROUNDS (5).
set -eu
cd "$(dirname "$0")/.."
GO=${GO:-go}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
export CC=clang CGO_ENABLED=1
$GO test -c -o "$tmp/dynamic" ./store
$GO test -c -trimpath -tags 'netgo osusergo sqlite_omit_load_extension' -ldflags '-linkmode external -extldflags -static' -o "$tmp/static" ./store
for _ in $(seq "${ROUNDS:-5}"); do
	for how in dynamic static; do
		"$tmp/$how" -test.run '^$' -test.bench '^BenchmarkScan$' -test.benchtime 10x >>"$tmp/$how.txt"
	done
done
best() { awk -v what="$2" '$1 ~ "/" what { for (i = 1; i < NF; i++) if ($(i + 1) == "ns/row" && (!min || $i < min)) min = $i } END { print min }' "$tmp/$1.txt"; }
for what in search rows; do
	d=$(best dynamic $what) s=$(best static $what)
	echo "figure: operate.static.$what $(awk "BEGIN { printf \"%.2f\", $s / $d }") x of the dynamic program's $d ns a row, best of ${ROUNDS:-5}"
done
