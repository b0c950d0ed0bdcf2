package lab

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-6fefc909/tcplab/lab/programs"
	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/scenarios"
	"github.com/seed-6fefc909/tcplab/topology"
)

func names(words []scenarios.Word) []string {
	var all []string
	for _, w := range words {
		all = append(all, w.Name)
	}
	slices.Sort(all)
	return all
}

// For each word of the language there is a deed, and the other way round.
func TestWordsAndDeeds(t *testing.T) {
	var faults []string
	for _, k := range scenarios.FaultKinds() {
		faults = append(faults, k.Name)
	}
	slices.Sort(faults)
	if diff := cmp.Diff(faults, slices.Sorted(maps.Keys(deeds()))); diff != "" {
		t.Errorf("faults: -words +deeds\n%s", diff)
	}
	if diff := cmp.Diff(names(scenarios.Models()), slices.Sorted(maps.Keys(models()))); diff != "" {
		t.Errorf("models: -words +deeds\n%s", diff)
	}
	if diff := cmp.Diff(names(scenarios.Checks()), slices.Sorted(maps.Keys(checkers()))); diff != "" {
		t.Errorf("checks: -words +deeds\n%s", diff)
	}
	example := record.Packet{Proto: "tcp", Flags: record.FlagSYN | record.FlagFIN | record.FlagRST, Len: 1}
	for _, kind := range names(scenarios.PacketKinds()) {
		found := false
		for _, p := range []record.Packet{
			example,
			{Proto: "tcp", Flags: record.FlagSYN | record.FlagACK},
			{Proto: "tcp", Flags: record.FlagACK},
			{Proto: "icmp", ICMPType: 3, ICMPCode: 1},
		} {
			found = found || isPacket(&p, kind, record.NotOfStream) || isPacket(&p, kind, record.Probe)
		}
		if !found {
			t.Errorf("no packet is of the kind %s", kind)
		}
	}
	if want := []string{string(topology.Direct), string(topology.Switch), string(topology.Router)}; len(topology.Paths) != len(want) {
		t.Errorf("topology has the paths %v, the language %v", topology.Paths, want)
	}
	for _, path := range topology.Paths {
		if _, err := scenarios.Read("x.lab", "path "+string(path)+"\nzero x\n"); err != nil {
			t.Error(err)
		}
	}
}

// Every word of the language is used by some built-in scenario: what none
// needs is not known to work.
func TestWordsAreUsed(t *testing.T) {
	used := map[string]map[string]bool{"fault": {}, "model": {}, "check": {}, "packet": {}, "event": {}, "state": {}, "timer": {}}
	for _, source := range scenarios.All() {
		for _, family := range []int{4, 6} {
			s, err := source.Compile(scenarios.Variant{Family: family})
			if err != nil {
				t.Fatal(err)
			}
			used["model"][s.Predict.Model] = true
			for _, c := range s.Verify {
				used["check"][c] = true
			}
			for _, f := range s.Faults() {
				used["fault"][f.Kind] = true
				for _, c := range slices.Concat(scenarios.ChecksOf(f.Kind, false), scenarios.ChecksOf(f.Kind, true)) {
					used["check"][c] = true
				}
			}
			for _, step := range s.Steps {
				if x, ok := step.(scenarios.Expect); ok {
					used["packet"][x.Event.Packet] = true
					used["event"][string(x.Event.What)] = true
				}
			}
		}
	}
	var faults []string
	for _, k := range scenarios.FaultKinds() {
		faults = append(faults, k.Name)
	}
	events := []scenarios.What{
		scenarios.Socket, scenarios.Call, scenarios.Blocked, scenarios.Sends, scenarios.Receives, scenarios.Retransmits,
		scenarios.Acknowledged, scenarios.Prints, scenarios.Exits, scenarios.Gets, scenarios.Reaps, scenarios.Zombies,
		scenarios.Timer, scenarios.Error,
	}
	var whats []string
	for _, w := range events {
		whats = append(whats, string(w))
	}
	for kind, words := range map[string][]string{
		"fault": faults, "model": names(scenarios.Models()), "check": names(scenarios.Checks()),
		"packet": names(scenarios.PacketKinds()), "event": whats,
	} {
		for _, w := range words {
			if w == "ACK" || w == "error" { // TestLanguage does
				continue
			}
			if !used[kind][w] {
				t.Errorf("no scenario uses the %s %s", kind, w)
			}
		}
	}
}

// What a scenario starts is known before anything is built.
func TestProgramsAreChecked(t *testing.T) {
	for _, c := range []struct{ start, want string }{
		{"start server nosuchd", `start: program "nosuchd": not found in PATH`},
		{"start server /bin/nosuchd", `start: program "/bin/nosuchd": no such file`},
		{"start server /etc/passwd", `start: program "/etc/passwd": not executable: `},
		{"start server /etc", `start: program "/etc": is a directory: `},
		{"start client echo-client -bogus {server:port}", "start: echo-client: flag provided but not defined: -bogus"},
		{"start client echo-client -set NONSENSE=1 {server:port}", "start: echo-client: "},
		{"start server echo-server {any:port} more", "start: echo-server: "},
	} {
		s, err := scenarios.Read("x.lab", "zero here\n"+c.start+"\n")
		if err != nil {
			t.Fatal(err)
		}
		_, err = New(s, Options{})
		if !scenarios.IsSyntax(err) || !strings.HasPrefix(err.Error(), "x.lab:2: "+c.want) {
			t.Errorf("%s: %v, want %s", c.start, err, c.want)
		}
	}
	for _, source := range scenarios.All() {
		s, err := source.Compile(scenarios.Variant{})
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range s.Steps {
			if start, ok := step.(scenarios.Start); ok && !programs.Known(start.Argv[0]) {
				t.Errorf("%s: no program %q", start.Place(), start.Argv[0])
			}
		}
	}
}
