package shell

import (
	"math"
	"strconv"
)

// iconSizes are those that trays ask for, in pixels.
var iconSizes = []int{16, 22, 24, 32, 48, 64}

// icons draws the program's icon, data/io.github.sremp.Desktop.svg, with a number
// in a red disc on it.
func icons(n int) []pixmap {
	all := make([]pixmap, len(iconSizes))
	for i, size := range iconSizes {
		all[i] = draw(size, n)
	}
	return all
}

// digits are 3 by 5 points each, a row an octal digit, the top row first.
var digits = map[rune]int{
	'0': 0o75557, '1': 0o26227, '2': 0o71747, '3': 0o71717, '4': 0o55711, '5': 0o74717, '6': 0o74757,
	'7': 0o71111, '8': 0o75757, '9': 0o75717, '+': 0o02720,
}

type colour struct{ r, g, b float64 }

var (
	blue  = colour{0x1c, 0x71, 0xd8}
	white = colour{0xff, 0xff, 0xff}
	red   = colour{0xe0, 0x1b, 0x24}
)

// grain is how many samples a pixel's side has.
const grain = 3

// draw draws one size.
func draw(size, n int) pixmap {
	p := pixmap{int32(size), int32(size), make([]byte, 4*size*size)}
	text := ""
	if n > 0 {
		text = strconv.Itoa(n)
	}
	if n > 99 {
		text = "99+"
	}
	for y := range size {
		for x := range size {
			var a, r, g, b float64
			for i := range grain * grain {
				u := (float64(x) + (float64(i%grain)+0.5)/grain) / float64(size)
				v := (float64(y) + (float64(i/grain)+0.5)/grain) / float64(size)
				if c, ok := at(u, v, text); ok {
					a, r, g, b = a+1, r+c.r, g+c.g, b+c.b
				}
			}
			if a == 0 {
				continue
			}
			o := 4 * (y*size + x)
			p.Data[o] = byte(255 * a / (grain * grain))
			p.Data[o+1], p.Data[o+2], p.Data[o+3] = byte(r/a), byte(g/a), byte(b/a)
		}
	}
	return p
}

// at is the colour of a point of the icon, whose sides are 1 long.
func at(u, v float64, text string) (colour, bool) {
	if text != "" {
		const r = 0.33
		du, dv := u-(1-r), v-(1-r)
		if du*du+dv*dv < r*r {
			wide := float64(4*len(text)-1) / 5 // of the text, by its height
			high := math.Min(0.36, 0.5/wide)
			x, y := (du+high*wide/2)/high*5, (dv+high/2)/high*5
			if y >= 0 && y < 5 && x >= 0 && int(x)%4 < 3 && int(x)/4 < len(text) {
				if digits[rune(text[int(x)/4])]>>(3*(4-int(y))+2-int(x)%4)&1 == 1 {
					return white, true
				}
			}
			return red, true
		}
		if du*du+dv*dv < (r+0.05)*(r+0.05) {
			return colour{}, false // a gap around the disc
		}
	}
	for _, d := range [3]float64{0.28, 0.5, 0.72} {
		if math.Hypot(u-d, v-0.44) < 0.065 {
			return white, true
		}
	}
	// A bubble with its tail to the lower left.
	if rounded(u, v, 0.04, 0.1, 0.96, 0.78, 0.22) || u > 0.2 && u < 0.46 && v >= 0.7 && v < 0.96-(u-0.2) {
		return blue, true
	}
	return colour{}, false
}

// rounded reports whether a point is in a box with round corners.
func rounded(u, v, left, top, right, bottom, r float64) bool {
	if u < left || u > right || v < top || v > bottom {
		return false
	}
	du := math.Max(math.Max(left+r-u, u-(right-r)), 0)
	dv := math.Max(math.Max(top+r-v, v-(bottom-r)), 0)
	return du*du+dv*dv < r*r
}
