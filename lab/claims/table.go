package claims

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// The columns of a table, in characters: 100 in all.
const (
	idWidth     = 3
	statusWidth = 12
	saysWidth   = 37
	seenWidth   = 42
	gap         = "  "
)

// groups are the headings, by the ids' first letter.
var groups = map[byte]string{
	'P': "The example programs",
	'A': "The server's process ends (UNP 5.12)",
	'B': "The server's host crashes (UNP 5.14)",
	'C': "The server's host crashes and reboots (UNP 5.15)",
	'D': "The server's host is shut down (UNP 5.16)",
}

// Text writes the report as a table of 100 columns, and below it why Linux
// differs. Under what was seen stands the event that decides: the scenario,
// the seconds since its fault, the host.
func Text(w io.Writer, r Report) error {
	var b strings.Builder
	row(&b, nil, nil, []string{"what the book says"},
		[]string{"what this kernel did", "> scenario, seconds since its fault, host:", "event that shows it"})
	group := byte(0)
	for _, c := range r.Claims {
		if c.ID[0] != group {
			group = c.ID[0]
			fmt.Fprintf(&b, "\n%s\n", groups[group])
		}
		seen := fold(c.Seen, seenWidth)
		if c.Event != nil {
			seen = append(seen, fold(fmt.Sprintf("> %s %.6f %s: %s", c.Event.Scenario, float64(c.Event.AfterFault)/1e9, c.Event.Host, c.Event.Text), seenWidth)...)
		}
		status := []string{string(c.Status)}
		switch {
		case c.Known && c.Status == Differs:
			status = append(status, "(as known)")
		case !c.Known && c.Status != Inconclusive:
			status = append(status, "(NOT KNOWN)")
		}
		row(&b, []string{c.ID}, status, fold(c.Says, saysWidth), seen)
	}
	count := map[Status]int{}
	unknown := 0
	for _, c := range r.Claims {
		count[c.Status]++
		if !c.Known && c.Status != Inconclusive {
			unknown++
		}
		if c.Why != "" {
			lines := fold("why "+c.ID+" differs: "+c.Why, 100)
			fmt.Fprintf(&b, "\n%s\n", strings.Join(lines, "\n"))
		}
	}
	fmt.Fprintf(&b, "\nLinux %s, HZ=%d, IPv%d: %d confirmed, %d differ", r.Kernel.Release, r.Kernel.HZ, r.Family, count[Confirmed], count[Differs])
	if count[Differs] > 0 && unknown == 0 {
		b.WriteString(" as Linux is known to")
	}
	fmt.Fprintf(&b, ", %d inconclusive", count[Inconclusive])
	if unknown > 0 {
		fmt.Fprintf(&b, "; %d otherwise than known", unknown)
	}
	b.WriteString("\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// row writes cells of several lines beside each other.
func row(b *strings.Builder, cells ...[]string) {
	widths := []int{idWidth, statusWidth, saysWidth, seenWidth}
	for i := range max(len(cells[0]), len(cells[1]), len(cells[2]), len(cells[3])) {
		var line strings.Builder
		for j, cell := range cells {
			text := ""
			if i < len(cell) {
				text = cell[i]
			}
			line.WriteString(text + strings.Repeat(" ", max(0, widths[j]-utf8.RuneCountInString(text))) + gap)
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
}

// fold breaks text into lines of at most width characters, a word that is
// longer on one of its own. What programs said is made harmless.
func fold(text string, width int) []string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return '?'
		}
		return r
	}, text)
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}
