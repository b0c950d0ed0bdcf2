package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/seed-6fefc909/tcplab/lab"
	"github.com/seed-6fefc909/tcplab/lab/report/ladder"
)

// statusLine says where a run stands in a line of at most a width, 0 for any:
// the most of what is known that fits.
func statusLine(name string, s lab.Status, width int) string {
	lines := statusLines(name, s)
	for _, line := range lines {
		if width <= 0 || utf8.RuneCountInString(line) <= width {
			return line
		}
	}
	return shortened(lines[len(lines)-1], width)
}

// statusLines are the forms of the line, the longest first.
func statusLines(name string, s lab.Status) []string {
	step := fmt.Sprintf("%s: %s (%.0f s)", name, ladder.Clean(s.Step), s.Since.Seconds())
	if s.Wait == nil {
		return []string{step}
	}
	decider := strings.TrimPrefix(s.Wait.Decider, "net.ipv4.")
	timer, end := timerText(s.Wait), endText(s.Wait)
	brief := strings.Replace(end, " expected ", " ", 1)
	forms := [][]string{
		{clause(decider, " decides: "), timer, clause("; ", end)},
		{clause(decider, ": "), timer, clause("; ", brief)},
		{timer, clause("; ", brief)},
		{timer},
	}
	if timer == "" {
		if end == "" {
			return []string{step}
		}
		forms = [][]string{{clause(decider, " decides: "), end}, {end}}
	}
	var lines []string
	for _, f := range forms {
		lines = append(lines, name+": "+strings.Join(f, ""))
	}
	return slices.Compact(lines)
}

// clause is its parts in one, "" if one of them is.
func clause(parts ...string) string {
	if slices.Contains(parts, "") {
		return ""
	}
	return strings.Join(parts, "")
}

// timerText says what the connection's timer has done and will do, "" where
// that is not known.
func timerText(w *lab.Wait) string {
	which := ""
	switch {
	case w.Timer == "retransmit" && w.State == "SYN_SENT":
		which = "SYN retransmission"
	case w.Timer == "retransmit":
		which = "retransmission"
	case w.Timer == "keepalive":
		which = "keepalive probe"
	case w.Timer == "probe":
		which = "window probe"
	default:
		return ""
	}
	if w.Of > 0 && w.Sent == w.Of {
		return fmt.Sprintf("all %d %ss sent, last wait %s", w.Of, which, seconds(w.Next))
	}
	text := fmt.Sprintf("%s %d", which, w.Sent)
	if w.Sent < w.Of { // else nothing says how many there will be
		text += fmt.Sprintf(" of %d", w.Of)
	}
	if w.Sent == 0 {
		return text + ", first in " + seconds(w.Next)
	}
	return text + ", next in " + seconds(w.Next)
}

// endText says when the wait is predicted to end, and how.
func endText(w *lab.Wait) string {
	if len(w.Errors) == 0 || w.Earliest == 0 && w.Latest == 0 {
		return ""
	}
	what := strings.Join(w.Errors, " or ")
	switch {
	case w.Latest < 0:
		return what + " was expected " + seconds(-w.Latest) + " ago"
	case w.Earliest <= 0:
		return what + " expected within " + seconds(w.Latest)
	}
	first, last := seconds(w.Earliest), seconds(w.Latest)
	if first == last {
		return what + " expected in " + last
	}
	return what + " expected in " + strings.TrimSuffix(first, " s") + " to " + last
}

// seconds writes a time with as much of it as a person can follow.
func seconds(d time.Duration) string {
	if d >= 2*time.Minute {
		return d.Round(time.Second).String()
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

// shortened leaves out the last words of a line that is too long.
func shortened(line string, width int) string {
	const more = "..."
	letters := []rune(line)
	if len(letters) <= width {
		return line
	}
	if width <= len(more) {
		return string(letters[:max(0, width)])
	}
	kept := string(letters[:width-len(more)])
	if i := strings.LastIndexByte(kept, ' '); i > 0 && letters[width-len(more)] != ' ' {
		kept = kept[:i]
	}
	return strings.TrimRight(kept, " ") + more
}
