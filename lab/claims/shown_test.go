package claims

import (
	"slices"
	"testing"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// By one record those claims are judged that are about its scenario alone, as
// with all records; of others it is said what they need.
func TestOf(t *testing.T) {
	e := load(t, 4)
	all := map[string]Result{}
	for _, c := range Judge(All(), e).Claims {
		all[c.ID] = c
	}
	judged, waiting := 0, 0
	for name, r := range e.Records {
		if name != r.Scenario {
			continue // another run of it, which Judge was not given
		}
		for _, s := range Of(r) {
			if !slices.Contains(s.Scenarios, name) {
				t.Errorf("%s is not about %s", s.ID, name)
			}
			if len(s.Needs) > 0 {
				waiting++
				if s.Status != "" || slices.Contains(s.Needs, name) || len(s.Needs)+1 != len(s.Scenarios) {
					t.Errorf("%s by %s: %q, needs %q", s.ID, name, s.Status, s.Needs)
				}
				continue
			}
			judged++
			if s.Status != all[s.ID].Status || s.Known != all[s.ID].Known {
				t.Errorf("%s by %s alone: %s (known: %v), by all: %s (known: %v)", s.ID, name, s.Status, s.Known, all[s.ID].Status, all[s.ID].Known)
			}
		}
	}
	if judged < 20 || waiting < 5 {
		t.Errorf("%d are judged, %d wait for others", judged, waiting)
	}
	own := *e.Records["kill"]
	for what, change := range map[string]func(){
		"a user's file": func() { own.File = "kill.lab" },
		"own programs":  func() { own.Demand = &record.Demand{} },
		"by hand":       func() { own.ByHand = true },
	} {
		own = *e.Records["kill"]
		if change(); len(Of(&own)) > 0 {
			t.Errorf("%s: the book says nothing of it", what)
		}
	}
}
