#!/bin/sh
# Runs the benchmarks of this repository, with and without bench/default.pgo, and
# then, in turns with them, other implementations of the ratchet: bench/peers.
# It prints "figure:" lines for internal/measure. Nothing is left behind.
#
#	scripts/bench.sh [time of one benchmark, 1s] [own|peers]
set -eu
GO=${GO:-go}
time=${1:-1s}
part=${2:-all}
cd "$(dirname "$0")/.."
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

if [ "$part" != peers ]; then
	$GO test ./bench -run '^$' -bench . -benchmem -benchtime "$time" -timeout 30m
	SREMP_BENCH_VARIANT=_pgo $GO test -pgo="$PWD/bench/default.pgo" ./bench -run '^$' \
		-bench '(En|De)crypt/100B' -benchmem -benchtime "$time" >"$tmp/pgo" || { cat "$tmp/pgo"; exit 1; }
	# Its benchmarks have the names of those without a profile, its figures do not.
	sed 's/^Benchmark/with default.pgo: &/' "$tmp/pgo"
	$GO test ./ratchet -run '^TestPostQuantumPeriod$' -count 1 -v
fi
[ "$part" != own ] || exit 0

cd bench/peers
$GO mod download
# A copy of go.mau.fi/libsignal whose logger does nothing.
dir=$($GO list -m -f '{{.Dir}}' go.mau.fi/libsignal)
cp -r "$dir" "$tmp/libsignal"
chmod -R u+w "$tmp/libsignal"
sed 's/^\(func \(Debug\|Info\|Warning\|Error\)(.*{\)$/\1 return/' "$dir/logger/Logger.go" >"$tmp/libsignal/logger/Logger.go"
cp go.mod go.sum "$tmp"
$GO mod edit -replace "go.mau.fi/libsignal=$tmp/libsignal" "$tmp/go.mod"
if command -v npm >/dev/null && (cd "$tmp" && npm init -y >/dev/null 2>&1 &&
	npm install --no-save --ignore-scripts @signalapp/libsignal-client@0.103.0 >/dev/null 2>&1); then
	export SREMP_LIBSIGNAL_NODE="$tmp"
else
	echo "npm does not serve @signalapp/libsignal-client: it is left out"
fi
export SREMP_BENCH_SPAN="$time"
SREMP_BENCH_VARIANT=shipped $GO test -count 1 -v -timeout 30m .
SREMP_BENCH_VARIANT=silent $GO test -count 1 -v -timeout 30m -vet off -modfile "$tmp/go.mod" -run TestGo .
