package observe

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxLine bounds a line of what a program prints, in the record; what is longer
// is cut into several.
const MaxLine = 4096

// A textLine is the line that a program is writing, as a terminal would show it:
// what a shell's line editor puts right is right, and of what moves the cursor,
// colours, or names the window nothing remains. A full-screen program's screen
// (the alternate one) has no lines. The sequences are those of ECMA-48 and
// xterm's ctlseqs.
type textLine struct {
	// Columns is the terminal's width, 0 where there is none: a line that is
	// longer continues in the next row.
	columns int

	text      []rune
	at        int    // where the next character goes
	partial   []byte // of a character in UTF-8
	bad       bool   // what came last was no UTF-8, and is told
	state     lineState
	params    []byte // of a control sequence
	alternate bool
}

type lineState uint8

const (
	inText     lineState = iota
	inEscape             // after ESC
	inSequence           // after CSI
	inString             // OSC, DCS and the like, until they are ended
)

// maxParams is longer than any sequence that is understood.
const maxParams = 32

// write goes on with the line, and tells each that ends.
func (l *textLine) write(b []byte, tell func(line string)) {
	for _, c := range b {
		switch {
		case c == '\n':
			l.state = inText
			l.flush(tell)
			l.end(tell)
		case c == 0x1b: // ends a string, too
			l.flush(tell)
			l.state = inEscape
		case l.state == inEscape:
			l.escape(c)
		case l.state == inString:
			if c == '\a' {
				l.state = inText
			}
		case l.state == inSequence && c >= 0x20:
			if c < 0x40 {
				if len(l.params) < maxParams {
					l.params = append(l.params, c)
				}
				break
			}
			l.state = inText
			l.sequence(c)
		case c < 0x20 || c == 0x7f:
			l.flush(tell)
			l.control(c, tell)
		default:
			l.octet(c, tell)
		}
	}
}

// miss goes on with the line after octets that are not known, and says how many.
func (l *textLine) miss(octets int, tell func(line string)) {
	l.flush(tell)
	note := fmt.Sprintf("… %d octets not seen …", octets)
	if len(l.text)+len(note) > MaxLine {
		l.end(tell)
	}
	l.state, l.at = inText, len(l.text)
	for _, r := range note {
		l.put(r, tell)
	}
}

// empty tells whether nothing of the line has been written.
func (l *textLine) empty() bool { return len(l.text)+len(l.partial) == 0 }

// rest tells what was written of a line that does not go on.
func (l *textLine) rest(tell func(line string)) {
	l.flush(tell)
	if len(l.text) > 0 {
		l.end(tell)
	}
}

// end tells the line, and begins another.
func (l *textLine) end(tell func(line string)) {
	if !l.alternate {
		tell(strings.TrimRight(string(l.text), " "))
	}
	l.text, l.at, l.bad = l.text[:0], 0, false
}

// octet adds one of a character.
func (l *textLine) octet(c byte, tell func(line string)) {
	l.partial = append(l.partial, c)
	for len(l.partial) > 0 && utf8.FullRune(l.partial) {
		r, n := utf8.DecodeRune(l.partial)
		l.partial = l.partial[:copy(l.partial, l.partial[n:])]
		bad := r == utf8.RuneError && n == 1
		if !bad || !l.bad {
			l.put(r, tell)
		}
		l.bad = bad
	}
}

// flush puts the beginning of a character that does not go on.
func (l *textLine) flush(tell func(line string)) {
	if len(l.partial) > 0 && !l.bad {
		l.put(utf8.RuneError, tell)
	}
	l.partial, l.bad = l.partial[:0], false
}

// put puts a character where the cursor is.
func (l *textLine) put(r rune, tell func(line string)) {
	if l.alternate || unicode.IsControl(r) && r != '\t' {
		return
	}
	if l.at >= MaxLine {
		l.end(tell)
	}
	l.reach(l.at + 1)
	l.text[l.at] = r
	l.at++
}

// reach fills the line with blanks up to n characters.
func (l *textLine) reach(n int) {
	for len(l.text) < n {
		l.text = append(l.text, ' ')
	}
}

// row is where the cursor's row begins.
func (l *textLine) row() int {
	if l.columns > 0 {
		return l.at - l.at%l.columns
	}
	return 0
}

func (l *textLine) control(c byte, tell func(line string)) {
	switch c {
	case '\r':
		l.at = l.row()
	case '\b':
		l.move(-1)
	case '\t':
		l.put('\t', tell)
	}
}

func (l *textLine) move(by int) { l.at = min(max(l.at+by, 0), MaxLine-1) }

// escape is what follows ESC.
func (l *textLine) escape(c byte) {
	switch {
	case c == '[':
		l.state, l.params = inSequence, l.params[:0]
	case strings.IndexByte("]PX^_", c) >= 0:
		l.state = inString
	case c >= 0x20 && c < 0x30: // another follows
	default:
		l.state = inText
	}
}

// sequence does what a control sequence says, by its last octet.
func (l *textLine) sequence(final byte) {
	params := string(l.params)
	first, _, _ := strings.Cut(params, ";")
	n, err := strconv.Atoi(first)
	given := err == nil
	if n = min(n, MaxLine); n < 1 {
		n = 1
	}
	switch final {
	case 'C':
		l.move(n)
	case 'D':
		l.move(-n)
	case 'A':
		l.move(-min(n, l.rows()) * l.columns)
	case 'B':
		l.move(n * l.columns)
	case 'G':
		l.at = min(l.row()+n-1, MaxLine-1)
	case 'H', 'f': // somewhere on the screen
		l.text, l.at = l.text[:0], 0
	case 'P':
		from := min(l.at, len(l.text))
		l.text = slices.Delete(l.text, from, min(from+n, len(l.text)))
	case '@':
		l.reach(l.at)
		l.text = slices.Insert(l.text, l.at, slices.Repeat([]rune{' '}, n)...)
		l.text = l.text[:min(len(l.text), MaxLine)]
	case 'X':
		for i := l.at; i < min(l.at+n, len(l.text)); i++ {
			l.text[i] = ' '
		}
	case 'J', 'K':
		l.erase(given, n, first)
	case 'h', 'l':
		if params == "?1049" || params == "?1047" || params == "?47" {
			l.text, l.at = l.text[:0], 0
			l.alternate = final == 'h'
		}
	}
}

// rows is how many rows of the line are above the cursor's.
func (l *textLine) rows() int {
	if l.columns > 0 {
		return l.at / l.columns
	}
	return 0
}

// erase clears from the cursor on, or up to it, or all.
func (l *textLine) erase(given bool, n int, first string) {
	switch {
	case !given || first == "0":
		l.text = l.text[:min(l.at, len(l.text))]
	case n == 1:
		for i := range min(l.at+1, len(l.text)) {
			l.text[i] = ' '
		}
	default:
		l.text = l.text[:0]
	}
}
