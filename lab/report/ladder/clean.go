package ladder

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Clean makes text of programs and packets harmless: what a terminal would
// obey, or what changes the direction of writing, is shown as its number, and
// what is no UTF-8 as U+FFFD.
func Clean(s string) string {
	if utf8.ValidString(s) && strings.IndexFunc(s, harmful) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\n':
			b.WriteString(`\n`)
		case harmful(r) && r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		case harmful(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// harmful tells control characters (C0, DEL, C1), the separators of lines and
// paragraphs, and what sets the direction of writing (UAX 9).
func harmful(r rune) bool {
	return r < ' ' || r >= 0x7f && r < 0xa0 ||
		r == 0x061c || r == 0x200e || r == 0x200f || r >= 0x2028 && r <= 0x202e || r >= 0x2066 && r <= 0x2069
}
