package main

import (
	"fmt"
	"strings"

	"github.com/charmbracelet/lipgloss"
)

// minWidth and maxWidth bound the lines of a report on a terminal.
const (
	minWidth = 50
	maxWidth = 100
)

var (
	styleGood  = lipgloss.NewStyle().Foreground(lipgloss.Color("2"))
	styleNote  = lipgloss.NewStyle().Foreground(lipgloss.Color("3"))
	styleBad   = lipgloss.NewStyle().Foreground(lipgloss.Color("1")).Bold(true)
	styleTopic = lipgloss.NewStyle().Bold(true)
)

// topics are the headings of findings.
var topics = map[string]string{
	"udp": "UDP", "nat": "NAT", "firewall": "Firewall", "lifetime": "Lifetime", "port": "Port", "ipv6": "IPv6",
	"mtu": "MTU", "server": "Server", "clock": "Clock",
}

// text is the report for people: for a terminal of some width with marks and
// colours, for 0 a line for each finding, "state what text".
func (r doctorJSON) text(width int) string {
	var b strings.Builder
	if width == 0 {
		for _, f := range r.Findings {
			fmt.Fprintf(&b, "%-8s %-9s %s\n", f.State, f.What, f.Text)
		}
		return b.String()
	}
	width = min(max(width, minWidth), maxWidth)
	const topicWidth, indent = 10, 5
	counts := map[string]int{}
	last := ""
	b.WriteString("\n")
	for _, f := range r.Findings {
		counts[f.State]++
		mark, style := "✓", styleGood
		switch f.State {
		case "note":
			mark, style = "!", styleNote
		case "problem":
			mark, style = "✗", styleBad
		}
		topic := topics[f.What]
		if topic == last {
			topic = ""
		} else {
			last = topic
		}
		body := lipgloss.NewStyle().Width(width - topicWidth - indent).Render(f.Text)
		head := "  " + style.Render(mark) + "  " + styleTopic.Render(fmt.Sprintf("%-*s", topicWidth, topic))
		b.WriteString(trimLines(lipgloss.JoinHorizontal(lipgloss.Top, head, body)))
		b.WriteString("\n")
	}
	sum := fmt.Sprintf("%d good, %s, %s", counts["ok"], plural(counts["note"], "could be better", "could be better"), plural(counts["problem"], "problem", "problems"))
	b.WriteString("\n  " + styleFaint.Render(sum) + "\n\n")
	return b.String()
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// trimLines removes what fills lines up.
func trimLines(s string) string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		lines[i] = strings.TrimRight(l, " ")
	}
	return strings.Join(lines, "\n")
}
