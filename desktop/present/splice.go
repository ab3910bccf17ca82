package present

// A Splice changes how many places a list has: Gone are taken away at At, Added
// are put there.
type Splice struct{ At, Gone, Added int }

// Splices says how a list that shows old gets the places for new, in the order
// in which that is done. A row that stays keeps its place, so that a list knows
// what it was scrolled to. A row that gives way to another leaves it its place:
// that one is drawn where the other was, which costs less than a place of its
// own. Keys differ from each other within old, and within new.
func Splices(old, new []string) []Splice {
	head := 0
	for head < min(len(old), len(new)) && old[head] == new[head] {
		head++
	}
	old, new = old[head:], new[head:]
	tail := 0
	for tail < min(len(old), len(new)) && old[len(old)-1-tail] == new[len(new)-1-tail] {
		tail++
	}
	old, new = old[:len(old)-tail], new[:len(new)-tail]
	inOld, inNew, n := longestRun(old, new)
	var all []Splice
	change := func(at, gone, added int) { // the first of both are drawn in place
		if same := min(gone, added); gone != added {
			all = append(all, Splice{at + same, gone - same, added - same})
		}
	}
	// From behind: what is before does not move.
	change(head+inOld+n, len(old)-inOld-n, len(new)-inNew-n)
	change(head, inOld, inNew)
	return all
}

// longestRun returns where the longest run of keys begins that is in both, and
// how long it is.
func longestRun(old, new []string) (inOld, inNew, n int) {
	at := make(map[string]int, len(new))
	for j, k := range new {
		at[k] = j
	}
	for i := 0; i < len(old); {
		j, ok := at[old[i]]
		if !ok {
			i++
			continue
		}
		run := 1
		for i+run < len(old) && j+run < len(new) && old[i+run] == new[j+run] {
			run++
		}
		if run > n {
			inOld, inNew, n = i, j, run
		}
		i += run
	}
	return inOld, inNew, n
}
