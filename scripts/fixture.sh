#!/bin/sh
# Records what this version leaves on disk, for versions to come: a server with
# mail waiting, who wrote it and who shall get it. packaging/versions_test.go opens
# it.
#
#   scripts/fixture.sh PROGRAM
set -eu
cd "$(dirname "$0")/.."
program=$(realpath "${1:?usage: scripts/fixture.sh PROGRAM}")
version=$("$program" version | sed -n 's/^sremp //p')
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export SREMP_PASSPHRASE=before HOME="$dir"
at=127.83.77.9:4433 # an address that nothing else listens on
printf 'listen = %s\npublic = %s\nlimit.ttl = 400000h\nlimit.owner_ttl = 400000h\n' $at $at >"$dir/server.conf"
"$program" server --dir "$dir/server" --config "$dir/server.conf" >"$dir/address" 2>"$dir/log" &
server=$!
until grep -q address "$dir/address"; do sleep 0.1; done
address=$(sed -n 's/^address: //p' "$dir/address")
"$program" --profile "$dir/ann" init --name Ann --server "$address"
"$program" --profile "$dir/bob" init --name Bob --server "$address"
"$program" --profile "$dir/ann" listen --no-lan --no-port-mapping >"$dir/ann.log" 2>&1 &
ann=$!
until "$program" --profile "$dir/ann" whoami >/dev/null 2>&1; do sleep 0.1; done
invite=$("$program" --profile "$dir/ann" invite 2>/dev/null)
"$program" --profile "$dir/bob" add "$invite"
"$program" --profile "$dir/bob" send Ann 'hello from version '"$version" --wait delivered --timeout 2m
"$program" --profile "$dir/ann" send Bob 'got it' --wait held --timeout 2m
"$program" --profile "$dir/bob" listen --no-lan --no-port-mapping >"$dir/bob.log" 2>&1 &
bob=$!
until grep -aq 'got it' "$dir/bob.log"; do sleep 0.1; done
kill $bob
wait $bob || true
"$program" --profile "$dir/ann" send Bob "mail of version $version" --wait held --timeout 2m
kill $ann
wait $ann || true
kill $server
wait $server || true
rm -rf "$dir"/*/socket "$dir"/*/lock "$dir"/*/control
mkdir -p packaging/testdata/versions
tar -C "$dir" --owner=0 --group=0 --sort=name -czf "packaging/testdata/versions/$version.tar.gz" server ann bob
ls -l "packaging/testdata/versions/$version.tar.gz"
