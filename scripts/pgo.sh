#!/bin/sh
# Makes bench/default.pgo: the edges to chacha20poly1305.New alone. With them the
# compiler inlines it and keeps a message's cipher off the heap. A whole profile
# also inlines SHA-256, whose state then escapes: six allocations more.
set -eu
GO=${GO:-go}
cd "$(dirname "$0")/.."
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
$GO test -trimpath ./bench -run '^$' -bench 'Decrypt/100B' -benchtime 10s -cpuprofile "$tmp/cpu" -o "$tmp/bench.test"
$GO tool pprof -proto -focus='chacha20poly1305\.New' -output bench/default.pgo "$tmp/bench.test" "$tmp/cpu"
SREMP_BENCH_VARIANT=_pgo $GO test -pgo="$PWD/bench/default.pgo" ./bench -run '^$' -bench '(En|De)crypt/100B' -benchtime 1s
