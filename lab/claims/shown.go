package claims

import (
	"slices"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// A Shown is a claim that a run bears on.
type Shown struct {
	Result
	// Needs are the other scenarios that it takes to judge the claim. Where
	// there are any nothing is said of it but that.
	Needs []string
}

// Of gives the claims that are about a record's scenario, judged by that record
// alone. Of a scenario that is not built in, of the user's own programs and of
// an experiment by hand the book says nothing.
func Of(r *record.Record) []Shown {
	if r.File != "" || r.ByHand || r.Demand != nil {
		return nil
	}
	var all []Shown
	for _, c := range All() {
		if !slices.Contains(c.Scenarios, r.Scenario) {
			continue
		}
		s := Shown{Result: Result{ID: c.ID, Says: c.Says, Scenarios: c.Scenarios}}
		for _, name := range c.Scenarios {
			if name != r.Scenario {
				s.Needs = append(s.Needs, name)
			}
		}
		if len(s.Needs) == 0 {
			s.Result = c.Judge(Evidence{Records: map[string]*record.Record{r.Scenario: r}})
		}
		all = append(all, s)
	}
	return all
}
