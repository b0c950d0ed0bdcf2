package suite_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-6fefc909/tcplab/lab/scenarios"
	"github.com/seed-6fefc909/tcplab/lab/suite"
)

func read(t *testing.T, text string) (*suite.Suite, error) {
	t.Helper()
	return suite.Read("x.check", strings.NewReader(text))
}

func TestRead(t *testing.T) {
	s, err := read(t, `# what is asked
server redis-server --port 6379 --save ''   # no disk
client 'my client' {server} '$HOME'
user nobody
input words.txt
sysctl client:net.ipv4.tcp_retries2=3
real

when idle:1s
within 9s
run kill
expect exit=2
run -expect EOF -within 3s -when at:2s crash
family 6
expect anything
run -path switch kill hang
`)
	if err != nil {
		t.Fatal(err)
	}
	idle, at := scenarios.When{Kind: "idle", Time: time.Second}, scenarios.When{Kind: "at", Time: 2 * time.Second}
	want := &suite.Suite{
		File: "x.check", Server: []string{"redis-server", "--port", "6379", "--save", ""}, Client: []string{"my client", "{server}", "$HOME"},
		User: "nobody", Input: "words.txt", Sysctls: []string{"client:net.ipv4.tcp_retries2=3"}, Real: true,
		Cases: []suite.Case{
			{Line: 11, Scenario: "kill", Family: 4, When: idle, Demand: scenarios.Demand{Within: 9 * time.Second}},
			{Line: 13, Scenario: "crash", Family: 4, When: at, Demand: scenarios.Demand{Error: "EOF", Within: 3 * time.Second}},
			{Line: 16, Scenario: "kill", Family: 6, Path: "switch", When: idle, Demand: scenarios.Demand{Within: 9 * time.Second}},
			{Line: 16, Scenario: "hang", Family: 6, Path: "switch", When: idle, Demand: scenarios.Demand{Within: 9 * time.Second}},
		},
	}
	if diff := cmp.Diff(want, s); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// run all leaves out what was named with limits of its own.
func TestRunAll(t *testing.T) {
	s, err := read(t, "client true\nrun -within 3s crash\nrun all\n")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range s.Cases {
		names = append(names, c.Scenario)
	}
	var ways []string
	for _, w := range scenarios.Ways(scenarios.All(), scenarios.Variant{}) {
		ways = append(ways, w.Name)
	}
	if len(names) != len(ways) || names[0] != "crash" || s.Cases[0].Demand.Within != 3*time.Second {
		t.Errorf("%d cases of %d ways: %v", len(names), len(ways), names)
	}
	slices.Sort(names)
	slices.Sort(ways)
	if diff := cmp.Diff(ways, names); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"":                                     "x.check:1: neither a server nor a client is named",
		"run kill\n":                           "x.check:1: neither a server nor a client is named",
		"client true\n":                        "x.check:1: nothing is run",
		"client true\nclient true\n":           "x.check:2: client: named twice",
		"client\n":                             "x.check:1: usage: client PROGRAM [ARG...]",
		"client true\n\nrunn kill\n":           `x.check:3: unknown command "runn": there are server, client, `,
		"client true\nrun krash\n":             `x.check:2: run: unknown scenario "krash": did you mean crash?`,
		"client true\nrun\n":                   "x.check:2: usage: run ",
		"client true\nrun -x kill\n":           "x.check:2: run: flag provided but not defined: -x",
		"client true\nrun kill crash kill\n":   "x.check:2: run: kill: named twice",
		"client true\nwithin soon\n":           "x.check:2: within: ",
		"client true\nwithin 0s\n":             "x.check:2: within: longer than nothing",
		"client true\nexpect ENOSUCH\n":        `x.check:2: expect: expect "ENOSUCH": `,
		"client true\nexpect exit=999\n":       `x.check:2: expect: expect "exit=999": `,
		"client true\nwhen idle\n":             `x.check:2: when: "idle": `,
		"client true\nwhen output:(\n":         `x.check:2: when: "output:(": `,
		"client true\nwhen after-bytes:none\n": `x.check:2: when: "after-bytes:none": `,
		"client true\nfamily 5\n":              "x.check:2: usage: family 4 | 6",
		"client true\nreal yes\n":              "x.check:2: usage: real",
		"client 'true\n":                       "x.check:1: ",
		"client $HOME\n":                       "x.check:1: there are no variables",
		"client true\n! run kill\n":            "x.check:2: ",
		strings.Repeat("#\n", 1<<20):           "x.check:1: longer than ",
	} {
		_, err := read(t, text)
		if !scenarios.IsSyntax(err) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%.40q: %v, want %s", text, err, want)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add("server a 'b c'\nclient d {server}\nwhen idle:1s\nwithin 9s\nrun -expect EOF kill\nrun all\n")
	f.Add("client x\n[quick] run kill\n? run crash\n")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := suite.Read("x.check", strings.NewReader(text))
		if err == nil && (len(s.Cases) == 0 || len(s.Server)+len(s.Client) == 0) {
			t.Errorf("%q is a suite of nothing", text)
		}
		if err != nil && !scenarios.IsSyntax(err) {
			t.Errorf("%q: %v has no place", text, err)
		}
	})
}

func TestReference(t *testing.T) {
	var b bytes.Buffer
	if err := suite.Reference(&b); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"server PROGRAM", "when connected |", "run [-expect WHAT]"} {
		if !strings.Contains(b.String(), command) {
			t.Errorf("the reference has no %q:\n%s", command, b.String())
		}
	}
}
