package present

const (
	// PortionStart is how many rows a list begins with: they fill a large screen.
	PortionStart = 30
	// PortionPiece is how many rows come or go at a time: as many as a list lays
	// out for the first time in a part of a frame.
	PortionPiece = 12
	// PortionMost is how many rows a list has. GTK 4.8 binds and styles all of them
	// again when one is put before them, so there are not many more than are seen.
	PortionMost = 80
)

// A Portion says which of all rows a list has: those that are seen and some
// before and after. It moves in small pieces, so that a list never has much to
// lay out at once, however many messages are loaded. The zero Portion has no row.
type Portion struct {
	from, to int      // of all
	all      []string // keys
}

// Range returns where the rows of the portion begin and end in all rows.
func (p *Portion) Range() (from, to int) { return p.from, p.to }

// Whole reports whether nothing is before the portion, and nothing after it.
func (p *Portion) Whole() (top, bottom bool) { return p.from == 0, p.to == len(p.all) }

// Set names all rows anew. What the portion has of them it keeps; if it has
// nothing of them, it begins at the end. Rows that were added at its end belong
// to it if it went to the end before. Keys differ from each other.
func (p *Portion) Set(all []string) {
	atEnd := p.to == len(p.all)
	old := p.all[p.from:p.to]
	inOld, inAll, n := longestRun(old, all)
	p.all = all
	if n == 0 {
		p.from, p.to = 0, 0
		p.End()
		return
	}
	p.from = max(0, inAll-inOld)
	p.to = min(len(all), inAll+len(old)-inOld)
	if atEnd {
		p.to = min(len(all), p.to+PortionPiece)
		p.from = max(p.from, p.to-PortionMost)
	}
}

// End moves the portion to the end, unless it is there, and is not too far away.
func (p *Portion) End() {
	n := len(p.all)
	if n-p.to > PortionPiece || p.from == p.to {
		p.from = max(0, n-PortionStart)
	}
	p.to = n
	p.from = max(p.from, p.to-PortionMost)
}

// Show moves the portion to a row, unless it has it, and reports whether there is
// such a row.
func (p *Portion) Show(key string) bool {
	for i, k := range p.all {
		if k != key {
			continue
		}
		if i < p.from || i >= p.to {
			p.from = max(0, i-PortionStart/2)
			p.to = min(len(p.all), p.from+PortionStart)
		}
		return true
	}
	return false
}

// Up takes in a piece before the portion, and lets go of what is too much after
// it. It reports whether there was one.
func (p *Portion) Up() bool {
	if p.from == 0 {
		return false
	}
	p.from = max(0, p.from-PortionPiece)
	p.to -= min(PortionPiece, max(0, p.to-p.from-PortionMost))
	return true
}

// Down takes in a piece after the portion, and lets go of what is too much before
// it. It reports whether there was one.
func (p *Portion) Down() bool {
	if p.to == len(p.all) {
		return false
	}
	p.to = min(len(p.all), p.to+PortionPiece)
	p.from += min(PortionPiece, max(0, p.to-p.from-PortionMost))
	return true
}
