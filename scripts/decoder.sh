#!/bin/sh
# Installs the libraries of the independent decoder (internal/interop), once for
# each package-lock.json. Without Node or a registry it says so and ends with 0:
# the decoder's test is skipped then, as the last lines of make test say.
set -u

cd "$(dirname "$0")/../internal/interop" || exit 2
stamp=node_modules/.installed
cmp -s package-lock.json "$stamp" && exit 0

if ! command -v node >/dev/null 2>&1 || ! command -v npm >/dev/null 2>&1; then
	echo "decoder: no node or no npm; the independent decoder's test will be skipped." >&2
	exit 0
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for attempt in 1 2 3; do
	if npm ci --ignore-scripts --no-audit --no-fund >"$log" 2>&1 </dev/null; then
		cp package-lock.json "$stamp"
		exit 0
	fi
done
cat "$log" >&2
echo "decoder: npm ci failed $attempt times; the independent decoder's test will be skipped." >&2
exit 0
