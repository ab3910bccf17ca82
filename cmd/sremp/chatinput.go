package main

import (
	"slices"
	"unicode/utf8"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/lipgloss"
)

// lineInput is the line in which a person types.
type lineInput struct {
	text []rune
	at   int // cursor: index into text
}

// key handles one key press.
func (l *lineInput) key(k tea.KeyMsg) {
	switch k.Type {
	case tea.KeyRunes, tea.KeySpace:
		l.insert(k.Runes)
	case tea.KeyBackspace:
		if l.at > 0 {
			l.text = slices.Delete(l.text, l.at-1, l.at)
			l.at--
		}
	case tea.KeyDelete:
		if l.at < len(l.text) {
			l.text = slices.Delete(l.text, l.at, l.at+1)
		}
	case tea.KeyLeft:
		l.at = max(0, l.at-1)
	case tea.KeyRight:
		l.at = min(len(l.text), l.at+1)
	case tea.KeyHome, tea.KeyCtrlA:
		l.at = 0
	case tea.KeyEnd, tea.KeyCtrlE:
		l.at = len(l.text)
	case tea.KeyCtrlU:
		l.text, l.at = l.text[l.at:], 0
	case tea.KeyCtrlW:
		from := l.at
		for from > 0 && l.text[from-1] == ' ' {
			from--
		}
		for from > 0 && l.text[from-1] != ' ' {
			from--
		}
		l.text = slices.Delete(l.text, from, l.at)
		l.at = from
	}
}

// insert takes what was typed or pasted, line breaks as spaces.
func (l *lineInput) insert(runes []rune) {
	for _, r := range runes {
		if r == '\n' || r == '\r' || r == '\t' {
			r = ' '
		}
		if r < ' ' || r == utf8.RuneError || len(l.text) >= maxText/utf8.UTFMax {
			continue
		}
		l.text = slices.Insert(l.text, l.at, r)
		l.at++
	}
}

// set replaces the text.
func (l *lineInput) set(text string) {
	l.text = nil
	l.at = 0
	l.insert([]rune(text))
}

// take returns the text and empties the line.
func (l *lineInput) take() string {
	s := string(l.text)
	*l = lineInput{}
	return s
}

var styleCursor = lipgloss.NewStyle().Reverse(true)

// view draws the part around the cursor that fits into width cells.
func (l *lineInput) view(width int) string {
	if len(l.text) == 0 {
		return "> " + styleCursor.Render(" ") + styleFaint.Render("Enter sends")
	}
	room := max(1, width-3)
	from := l.at
	for from > 0 && lipgloss.Width(string(l.text[from-1:l.at])) < room {
		from--
	}
	to := l.at
	for to < len(l.text) && lipgloss.Width(string(l.text[from:to+1])) < room {
		to++
	}
	under, rest := " ", ""
	if l.at < to {
		under, rest = string(l.text[l.at]), string(l.text[l.at+1:to])
	}
	return "> " + printable(string(l.text[from:l.at])) + styleCursor.Render(under) + printable(rest)
}
