package main

import (
	"strings"

	tea "github.com/charmbracelet/bubbletea"
)

// wheelLines is how far a turn of the mouse's wheel scrolls.
const wheelLines = 3

func (m chatModel) key(msg tea.KeyMsg) (tea.Model, tea.Cmd) {
	var cmd tea.Cmd
	switch msg.Type {
	case tea.KeyCtrlC:
		return m, tea.Quit
	case tea.KeyEsc:
		if m.mode == modeWrite {
			return m, tea.Quit
		}
		m.mode, m.problem = modeWrite, nil
	case tea.KeyCtrlF:
		m.mode, m.query = modeSearch, lineInput{}
	case tea.KeyCtrlL:
		if m.mode == modeList {
			m.mode = modeWrite
		} else {
			m.mode = modeList
		}
	case tea.KeyPgUp:
		cmd = m.scroll(1 - m.room())
	case tea.KeyPgDown:
		cmd = m.scroll(m.room() - 1)
	case tea.KeyTab, tea.KeyCtrlN:
		cmd = m.step(1)
	case tea.KeyShiftTab, tea.KeyCtrlP:
		cmd = m.step(-1)
	case tea.KeyUp:
		cmd = m.up(-1)
	case tea.KeyDown:
		cmd = m.up(1)
	case tea.KeyEnter, tea.KeyCtrlJ: // Enter before the screen stood comes as a line feed
		cmd = m.enter()
	default:
		if m.mode == modeSearch {
			m.query.key(msg)
		} else {
			m.mode = modeWrite
			m.input.key(msg)
		}
	}
	m.layOut()
	return m, cmd
}

// up is what the arrows do.
func (m *chatModel) up(n int) tea.Cmd {
	switch m.mode {
	case modeFound:
		m.chosen = max(0, min(m.chosen+n, len(m.found)-1))
		return nil
	case modeList:
		return m.step(n)
	}
	return m.scroll(n)
}

func (m *chatModel) enter() tea.Cmd {
	m.problem = nil
	switch m.mode {
	case modeSearch:
		if text := strings.TrimSpace(m.query.take()); text != "" {
			return m.search(text)
		}
		m.mode = modeWrite
	case modeFound:
		return m.jump(m.chosen)
	case modeList:
		m.mode = modeWrite
	default:
		if text := strings.TrimSpace(m.input.take()); text != "" {
			m.from = -1
			return m.send(text)
		}
	}
	return nil
}

// jump shows the conversation around a message that was found.
func (m *chatModel) jump(i int) tea.Cmd {
	m.mode = modeWrite
	if i >= len(m.found) {
		return nil
	}
	x := m.found[i]
	var draft tea.Cmd
	if x.Contact != m.with {
		draft = m.turn(x.Contact)
	}
	m.messages, m.all, m.focus = nil, false, x.ID
	return tea.Batch(draft, m.loadAround(x.Contact, x.Seq))
}

func (m chatModel) mouse(msg tea.MouseMsg) (tea.Model, tea.Cmd) {
	var cmd tea.Cmd
	switch {
	case msg.Button == tea.MouseButtonWheelUp:
		cmd = m.scroll(-wheelLines)
	case msg.Button == tea.MouseButtonWheelDown:
		cmd = m.scroll(wheelLines)
	case msg.Button == tea.MouseButtonLeft && msg.Action == tea.MouseActionPress:
		row := msg.Y - 1 // below the title
		switch {
		case m.mode == modeFound && row >= 0 && row < len(m.found):
			cmd = m.jump(m.firstFound() + row)
		case (m.listWidth() > 0 && msg.X < m.listWidth() || m.mode == modeList) && row >= 0 && row < len(m.contacts):
			cmd = m.open(m.contacts[m.firstContact()+row].ID)
			m.mode = modeWrite
		}
	}
	m.layOut()
	return m, cmd
}
