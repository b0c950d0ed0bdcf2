package observe

import (
	"strings"
	"testing"
	"testing/quick"

	"github.com/google/go-cmp/cmp"
)

func TestTextLine(t *testing.T) {
	long := strings.Repeat("x", MaxLine)
	for _, c := range []struct {
		name    string
		columns int
		writes  []string
		want    []string // what is left comes last
	}{
		{"lines", 0, []string{"one\ntwo\n\nthree"}, []string{"one", "two", "", "three"}},
		{"pieces", 0, []string{"o", "n", "e\nt", "wo", "\n"}, []string{"one", "two"}},
		{"line ends of a terminal", 80, []string{"one\r\n", "two\r", "\n"}, []string{"one", "two"}},
		{"progress", 80, []string{"at 5%", "\rat 10%", "\rat 100%\n"}, []string{"at 100%"}},
		{"progress that gets shorter", 80, []string{"10 left\r9 left\x1b[K\n"}, []string{"9 left"}},
		{"colours", 80, []string{"\x1b[01;32mroot@client\x1b[00m:\x1b[01;34m~\x1b[0m# ls\r\n"}, []string{"root@client:~# ls"}},
		{"a window's title", 80, []string{"\x1b]0;root@client: ~\a# ls\n", "\x1b]2;title\x1b\\$ a\n"}, []string{"# ls", "$ a"}},
		{"a title without an end", 80, []string{"\x1b]0;abc\nnext\n"}, []string{"", "next"}},
		{"bracketed paste", 80, []string{"\x1b[?2004h$ l", "s", "\r\n\x1b[?2004l\rfile\n"}, []string{"$ ls", "file"}},
		{"erased", 80, []string{"$ sl", "\b\b", "\x1b[K", "ls\n"}, []string{"$ ls"}},
		{"erased with blanks", 80, []string{"$ lsx\b \b\n"}, []string{"$ ls"}},
		{"inserted", 80, []string{"$ eho", "\b\b", "\x1b[1@c\n"}, []string{"$ echo"}},
		{"deleted", 80, []string{"$ echxo", "\x1b[2D\x1b[P\n"}, []string{"$ echo"}},
		{"rewritten", 80, []string{"$ old command\r\x1b[2C", "new\x1b[K\n"}, []string{"$ new"}},
		{"by columns", 80, []string{"abc\x1b[1GX\x1b[5GY\x1b[2G\x1b[X\n"}, []string{"X c Y"}},
		{"all erased", 80, []string{"abc\x1b[2K\rd\n", "abc\x1b[1Kd\n"}, []string{"d", "   d"}},
		{"a screen cleared", 80, []string{"abc\x1b[H\x1b[2J$ ls\n"}, []string{"$ ls"}},
		{"longer than a row", 10, []string{"$ 23456789", "a \rab\n"}, []string{"$ 23456789ab"}},
		{"back to the row before", 10, []string{"$ 23456789abc", "\x1b[A\r$ echo\x1b[K\n"}, []string{"$ echo"}},
		{"the row after", 10, []string{"0123456789ab\x1b[A\x1b[B\rX\n"}, []string{"0123456789Xb"}},
		{"a full-screen program", 80, []string{"$ vi\n\x1b[?1049h\x1b[1;1Htext\n~\n\x1b[?1049l$ \n"}, []string{"$ vi", "$"}},
		{"tabs, bells and other controls", 0, []string{"a\tb\a\x00\x7f\x0ec\n"}, []string{"a\tbc"}},
		{"UTF-8 in pieces", 0, []string{"gr\xc3", "\xbc\xc3\x9fe \xe2\x82", "\xac\n"}, []string{"grüße €"}},
		{"no UTF-8", 0, []string{"a\xff\xfe\xfdb\xc3\nc\x80\xe2\x82"}, []string{"a\ufffdb\ufffd", "c\ufffd"}},
		{"C1 controls", 0, []string{"a\u0085\u009bb\n"}, []string{"ab"}},
		{"a tab where the line is full", 0, []string{long, "\ty\n"}, []string{long, "\ty"}},
		{"too long", 0, []string{long, "y\n"}, []string{long, "y"}},
		{"nonsense", 10, []string{"\x1b[99999999999C\x1b[99999A\x1b[0P\x1b[-1Dx\x1b[;;H\x1b(0\x1b[\x1b7ok\n"}, []string{"ok"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := textLine{columns: c.columns}
			var got []string
			tell := func(line string) { got = append(got, line) }
			for _, w := range c.writes {
				l.write([]byte(w), tell)
			}
			l.rest(tell)
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("lines (-want +got):\n%s", d)
			}
		})
	}
}

// Whatever is written, no line has a control character or is too long, and each
// newline ends one.
func TestTextLineAnything(t *testing.T) {
	holds := func(parts [][]byte, columns uint8) bool {
		l := textLine{columns: int(columns)}
		for _, p := range parts {
			// What begins a sequence is seldom enough.
			for i := range p {
				switch p[i] % 16 {
				case 0:
					p[i] = 0x1b
				case 1:
					p[i] = '['
				}
			}
			l.write(p, func(line string) {
				if len([]rune(line)) > MaxLine || strings.ContainsFunc(line, func(r rune) bool { return r < ' ' && r != '\t' }) {
					t.Errorf("line %q of %q", line, parts)
				}
			})
		}
		return !t.Failed() && l.at <= MaxLine && len(l.text) <= MaxLine
	}
	if err := quick.Check(holds, &quick.Config{MaxCount: 2000}); err != nil {
		t.Error(err)
	}
}
