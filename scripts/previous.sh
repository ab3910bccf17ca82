# For other scripts, with GO and tmp set: builds the program of the version before this
# one, that of the newest tag below this commit, or else of the commit before, as
# $tmp/old. $previous is its name, empty in a clone without history, which has neither.
previous=$(git describe --tags --abbrev=0 HEAD^ 2>/dev/null || git rev-parse -q --verify HEAD^ || true)
if [ -n "$previous" ]; then
	mkdir "$tmp/tree"
	git archive "$previous" | tar -x -C "$tmp/tree"
	(cd "$tmp/tree" && $GO build -buildvcs=false -o "$tmp/old" ./cmd/sremp)
fi
