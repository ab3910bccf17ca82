#!/bin/sh
# Fails if a Go file of the repository is not formatted by gofmt.
set -eu
unformatted=$(find . -name '*.go' -not -path './.git/*' -exec gofmt -l {} +)
[ -z "$unformatted" ] && exit 0
echo "these files are not formatted; run gofmt -w on them:" >&2
echo "$unformatted" >&2
exit 1
