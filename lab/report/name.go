package report

import (
	"cmp"
	"slices"
	"strings"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// caseName tells runs of one scenario apart by what was asked for, so that a
// case keeps its name, and with it its history, from one batch to the next.
func caseName(r *record.Record) string {
	var with []string
	if r.Family == 6 {
		with = append(with, "IPv6")
	}
	words := shellWords(r.Command)
	for _, option := range []string{"--path", "--when"} { // another than the scenario's
		if i := slices.Index(words, option); i >= 0 && i+1 < len(words) {
			with = append(with, option[2:]+" "+words[i+1])
		}
	}
	if r.Timers == "real" {
		with = append(with, "real timers")
	}
	name := cmp.Or(r.Scenario, "scenario")
	if len(with) > 0 {
		name += " (" + strings.Join(with, ", ") + ")"
	}
	return bounded(Clean(name), maxName)
}

// shellWords takes a command line apart that a record holds, with single quotes
// around what needs them.
func shellWords(s string) []string {
	var words []string
	var word strings.Builder
	quoted, escaped, begun := false, false, false
	end := func() {
		if begun {
			words = append(words, word.String())
		}
		word.Reset()
		begun = false
	}
	for _, c := range s {
		switch {
		case escaped:
			word.WriteRune(c)
			escaped = false
		case c == '\'':
			quoted, begun = !quoted, true
		case quoted:
			word.WriteRune(c)
		case c == ' ':
			end()
		case c == '\\':
			escaped, begun = true, true
		default:
			word.WriteRune(c)
			begun = true
		}
	}
	end()
	return words
}
