package scenarios_test

import (
	"strings"
	"testing"

	"github.com/seed-6fefc909/tcplab/lab/programs"
	"github.com/seed-6fefc909/tcplab/lab/scenarios"
)

func TestEveryScenarioIsWhole(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range scenarios.All() {
		t.Run(s.Name, func(t *testing.T) {
			if seen[s.Name] {
				t.Error("its name is taken")
			}
			seen[s.Name] = true
			for what, text := range map[string]string{"title": s.Title, "dies": s.Dies, "sees": s.Sees, "path": s.Path} {
				if text == "" {
					t.Error("no", what)
				}
			}
			if len(s.Story) == 0 || len(s.Sources) == 0 || len(s.Why) == 0 {
				t.Error("no story, sources or why")
			}
			for _, next := range s.Next {
				if found, _ := scenarios.Find(next); found == nil || next == s.Name {
					t.Errorf("next is %q", next)
				}
			}
		})
	}
}

// TestScripts checks that each script makes sense: it types into programs that
// it started, has one fault, and looks for a detection after it.
func TestScripts(t *testing.T) {
	for _, s := range scenarios.All() {
		t.Run(s.Name, func(t *testing.T) {
			started := map[string]bool{}
			faults, detections := 0, 0
			for _, step := range s.Steps {
				if strings.TrimSpace(step.String()) == "" {
					t.Errorf("a step of type %T says nothing", step)
				}
				switch step := step.(type) {
				case scenarios.Start:
					started[step.Name] = true
					if !programs.Known(step.Argv[0]) {
						t.Errorf("%s: no such program", step)
					}
				case scenarios.Type:
					if !started[step.Program] {
						t.Errorf("%s: not started", step)
					}
				case scenarios.CloseInput:
					if !started[step.Program] {
						t.Errorf("%s: not started", step)
					}
				case scenarios.Fault:
					faults++
				case scenarios.Expect:
					if step.Event.Program != "" && !started[step.Event.Program] {
						t.Errorf("%s: not started", step)
					}
					if step.Event.Since == scenarios.FaultTime && faults == 0 {
						t.Errorf("%s: there was no fault yet", step)
					}
					if step.Event.Detection {
						detections++
						if faults == 0 {
							t.Errorf("%s: there was no fault yet", step)
						}
					}
				}
			}
			if faults != 1 || detections != 1 {
				t.Errorf("%d faults and %d detections, want one each", faults, detections)
			}
		})
	}
}

func TestFind(t *testing.T) {
	for _, c := range []struct{ name, found, nearest string }{
		{"crash", "crash", ""},
		{"crsh", "", "crash"},
		{"Kill", "", "kill"},
		{"rebot", "", "reboot"},
		{"shutdwon", "", "shutdown"},
		{"unreachable", "", "unreachable-net"},
		{"crash-wan", "", "crash-lan"},
		{"xyzzy", "", ""},
		{"", "", ""},
	} {
		found, nearest := scenarios.Find(c.name)
		name := ""
		if found != nil {
			name = found.Name
		}
		if name != c.found || nearest != c.nearest {
			t.Errorf("Find(%q) = %q, %q; want %q, %q", c.name, name, nearest, c.found, c.nearest)
		}
	}
}
