package tutorial

import (
	"strings"
	"testing"

	"github.com/seed-6fefc909/tcplab/lab/predict"
	"github.com/seed-6fefc909/tcplab/lab/report"
	"github.com/seed-6fefc909/tcplab/lab/scenarios"
)

func all(t *testing.T) []Part {
	t.Helper()
	parts, err := Parts()
	if err != nil {
		t.Fatal(err)
	}
	return parts
}

// The text awaits events that there are, under names that are used, and its
// figures are of events that were awaited before.
func TestParts(t *testing.T) {
	var ids []string
	for _, p := range all(t) {
		ids = append(ids, p.ID)
		known := map[string]bool{}
		for _, s := range p.Steps {
			for _, a := range s.Awaits {
				kind, isFault := strings.CutPrefix(a.Event, "fault ")
				line := "expect " + a.Event
				if isFault {
					line = "fault " + strings.TrimSuffix(kind+" server", faultless(kind))
				}
				lines := scenarios.NewLines("x", "x", scenarios.Variant{Path: "router"})
				lines.Built()
				if _, err := lines.Add("x", 1, line); err != nil {
					t.Errorf("%s: %v", line, err)
				}
				if a.After != "" && !known[a.After] {
					t.Errorf("%s: after %s, which was not awaited", a.Event, a.After)
				}
				known[a.Name] = true
			}
			for _, text := range append(s.Before, s.After...) {
				checkFigures(t, text, known)
			}
		}
	}
	if got := strings.Join(ids, " "); got != "P A B C D " {
		t.Errorf("the parts are %q", got)
	}
}

// faultless is what a fault is not given that befalls no host.
func faultless(kind string) string {
	for _, k := range scenarios.FaultKinds() {
		if k.Name == kind && !k.Host {
			return " server"
		}
	}
	return ""
}

func checkFigures(t *testing.T, text string, known map[string]bool) {
	t.Helper()
	for _, m := range figureForm.FindAllStringSubmatch(text, -1) {
		if _, ok := computed(m[1], predict.Defaults(), nil); ok {
			continue
		}
		if m[2] == "" {
			t.Errorf("%s: no example", m[0])
		}
		from, to, isTime := strings.Cut(m[1], "..")
		if !isTime {
			from, _, _ = strings.Cut(m[1], ".")
			to = from
		}
		if !known[from] || !known[to] {
			t.Errorf("%s: that was not awaited", m[0])
		}
	}
}

func TestParseErrors(t *testing.T) {
	for text, want := range map[string]string{
		"no title":                               "begins with its title",
		"# A. Title\nUNP\n\n---\nwords":          "nothing is to be done",
		"# A. Title\nUNP\n\n---\n@have nonsense": "no condition",
		"# A. Title\nUNP\n\n---\n@ends nonsense": "no condition",
		"# A. Title\nUNP\n\n---\n@4 $ true":      "no such directive",
	} {
		if _, err := parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// A command that is only told can be copied: it is one line, however narrow the
// terminal, with nothing else in it.
func TestToldCommand(t *testing.T) {
	const command = "sudo lab run kill crash unreachable-host reboot shutdown"
	parts := all(t)
	var said strings.Builder
	v := &Voice{W: &said, Screen: func() report.Screen { return report.Screen{Width: 40} }}
	v.heading(&parts[len(parts)-1])
	if !strings.Contains(said.String(), "\n  "+command+"\n") {
		t.Errorf("the end says %q", said.String())
	}
	page, err := Page(parts)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(page, "\n\n    "+command+"\n\n") {
		t.Error("the page does not have it as a block of its own")
	}
}

// What the kernel's rules give is computed, also for other settings.
func TestComputed(t *testing.T) {
	for figure, want := range map[string]string{
		"silence": "13.3 to 13.5 s", "silence-default": "15 min 38 s to 15 min 40 s", "keepalive-default": "2 h 11 min to 2 h 14 min",
	} {
		if got, ok := computed(figure, predict.Defaults(), map[string]string{retries2: "5"}); got != want || !ok {
			t.Errorf("%s: %q, want %q", figure, got, want)
		}
	}
	if got, _ := computed("silence", predict.Defaults(), nil); got != "15 min 38 s to 15 min 40 s" {
		t.Errorf("silence without sysctls: %q", got)
	}
}
