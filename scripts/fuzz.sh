#!/bin/sh
# Runs every fuzz target of the module, one after another, for the time given in
# all: each gets an equal share, at least two seconds. What a target finds is
# written to its package's testdata/fuzz, and the others still have their turn.
#
#   scripts/fuzz.sh 10m [Package/Target...]
#
# With names, of the form client/FuzzPayload, only those run.
set -eu
GO=${GO:-go}
time=${1:-10m}
[ $# -eq 0 ] || shift
wanted=" $* "

case $time in
*h) seconds=$((${time%h} * 3600)) ;;
*m) seconds=$((${time%m} * 60)) ;;
*s) seconds=${time%s} ;;
*) echo "$0: $time is no number of h, m or s" >&2 && exit 2 ;;
esac

module=$($GO list -m)
targets=$(grep -rl --include='*_test.go' --exclude-dir=bin --exclude-dir=node_modules '^func Fuzz' . | while read -r file; do
	package=$(dirname "$file")
	sed -n 's/^func \(Fuzz[A-Za-z0-9]*\)(.*/\1/p' "$file" | sed "s|^|${package#./} |"
done | sort)
if [ "$wanted" != "  " ]; then
	targets=$(echo "$targets" | while read -r package target; do
		case $wanted in *" $package/$target "*) echo "$package $target" ;; esac
	done)
fi
count=$(echo "$targets" | grep -c . || true)
[ "$count" -gt 0 ] || { echo "$0: no target" >&2 && exit 2; }
share=$((seconds / count))
[ "$share" -ge 2 ] || share=2
echo "$count targets, $share s each"

# A target that is fuzzed when its time is over sometimes fails with nothing but
# that (go.dev/issue/75804, mended in Go 1.27): without an input that fails it has its turn again.
out=$(mktemp)
trap 'rm -f "$out"' EXIT
fuzz() {
	for _ in 1 2 3; do
		$GO test "$module/$1" -run '^$' -fuzz "^$2\$" -fuzztime "${share}s" >"$out" 2>&1 && cat "$out" && return 0
		cat "$out"
		grep -q '^    context deadline exceeded$' "$out" && ! grep -q 'Failing input' "$out" || return 1
	done
	return 1
}

failed=
while read -r package target; do
	echo "== $package $target"
	fuzz "$package" "$target" </dev/null || failed="$failed $package/$target"
done <<END
$targets
END
[ -z "$failed" ] || { echo "FOUND SOMETHING:$failed" && exit 1; }
