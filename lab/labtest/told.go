package labtest

import (
	"slices"
	"strings"
)

// A told is what a test said that ran elsewhere.
type told struct {
	verdict string // PASS, FAIL or SKIP, "" if it did not come to that
	text    string // its output, indented
}

// mark is the control character that precedes what the testing package itself
// says, with -test.v=test2json (go doc test2json).
const mark = "\x16"

// tell reads the output of a test binary that ran one test. What the testing
// package says of that test, and of those that it is a part of, is left out.
func tell(test, output string) (t told) {
	var lines []string
	for line := range strings.Lines(output) {
		// What was printed without a line's end comes before the mark.
		printed, said, marked := strings.Cut(strings.TrimRight(line, "\n"), mark)
		if printed != "" || !marked {
			lines = append(lines, printed)
		}
		if !marked {
			continue
		}
		verb, name := "", ""
		if words := strings.Fields(said); len(words) > 2 {
			verb, name = words[1], words[2]
		}
		if verdict, ok := strings.CutSuffix(verb, ":"); ok && name == test {
			t.verdict = verdict
		}
		another := name != "" && name != test && !strings.HasPrefix(test, name+"/")
		if another || verb == "ARTIFACTS" {
			lines = append(lines, said)
		}
	}
	lines = slices.DeleteFunc(lines, func(line string) bool { return strings.HasPrefix(line, "coverage: ") })
	t.text = indented(strings.Join(lines, "\n"))
	return t
}

// indented is a text as a part of a log's entry, below its first line.
func indented(text string) string {
	if text = strings.TrimRight(text, "\n"); text == "" {
		return ""
	}
	return "\n    " + strings.ReplaceAll(text, "\n", "\n    ")
}
