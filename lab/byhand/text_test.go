package byhand

import (
	"bytes"
	"strings"
	"testing"

	"github.com/seed-6fefc909/tcplab/lab"
)

// Programs choose their names: none of them says anything to the terminal, or
// spoils the table.
func TestStatusHarmless(t *testing.T) {
	const evil = "\x1b[31m\u009b2J\u202e\u2028\t\n\xff"
	s := &Status{
		Name: "x", Path: "router",
		Faults: []lab.Force{{Kind: "freeze", Host: "server", Text: evil}},
		Hosts: []Host{
			{Name: "client", Error: evil},
			{Name: "server", Processes: []Process{{PID: 7, Argv: []string{evil, "a b"}}, {PID: 8, Comm: evil}}},
		},
	}
	var b bytes.Buffer
	if err := s.Write(&b); err != nil {
		t.Fatal(err)
	}
	const harmless = `\x1b[31m\x9b2J\u202e\u2028\x09\n` + "\ufffd"
	if n := strings.Count(b.String(), harmless); n != 4 {
		t.Errorf("the text is there %d times, want 4:\n%q", n, b.String())
	}
	if i := strings.IndexAny(b.String(), "\x1b\u009b\u202e\u2028"); i >= 0 {
		t.Errorf("it says something to the terminal: %q", b.String()[i:])
	}
}
