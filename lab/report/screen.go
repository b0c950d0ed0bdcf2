package report

import (
	"strings"
	"unicode/utf8"
)

// A Screen is what a text is shown on. The zero value is a file or a pipe: no
// colour, and the timeline's lines are as long as they need to be.
type Screen struct {
	Width  int  // in columns; 0: it has none
	Colour bool // it understands the colours of ECMA-48
}

// minWidth is the narrowest screen that a timeline is fitted to.
const minWidth = 60

// proseWidth is where prose is broken where there is no narrower screen.
const proseWidth = 110

// prose is how long a line of prose may be.
func (s Screen) prose() int {
	if s.Width == 0 {
		return proseWidth
	}
	return min(max(s.Width, minWidth), proseWidth)
}

// A colour never says anything that the words beside it do not.
type colour string

const (
	bold   colour = "\x1b[1m"
	red    colour = "\x1b[31m"
	green  colour = "\x1b[32m"
	yellow colour = "\x1b[33m"
)

// paint gives a text a colour, on a screen that has some.
func (s Screen) paint(c colour, text string) string {
	if !s.Colour || c == "" || text == "" {
		return text
	}
	return string(c) + text + "\x1b[0m"
}

// Strong makes a text stand out.
func (s Screen) Strong(text string) string { return s.paint(bold, text) }

// Wrap breaks a text between its words into lines of at most a width, and in
// the middle of words that are longer. Width 0 breaks nothing.
func Wrap(text string, width int) []string {
	if width <= 0 || utf8.RuneCountInString(text) <= width {
		return []string{text}
	}
	var lines []string
	line, used := "", 0
	for _, word := range strings.Fields(text) {
		letters := []rune(word)
		if used > 0 && used+1+len(letters) > width {
			lines = append(lines, line)
			line, used = "", 0
		}
		for ; len(letters) > width; letters = letters[width:] {
			lines = append(lines, string(letters[:width]))
		}
		if used > 0 {
			line += " "
			used++
		}
		line += string(letters)
		used += len(letters)
	}
	return append(lines, line)
}

func pad(s string, width int) string {
	if n := width - utf8.RuneCountInString(s); n > 0 {
		return s + strings.Repeat(" ", n)
	}
	return s
}
