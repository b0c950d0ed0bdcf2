package scenarios_test

import (
	"errors"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/scenarios"
)

// FuzzRead wants of any text that it is either refused, with file and line, or
// right in all variants; and that soon.
func FuzzRead(f *testing.F) {
	for _, s := range scenarios.All() {
		f.Add(s.Text)
	}
	for _, c := range badScripts {
		f.Add(c.script)
	}
	place := regexp.MustCompile(`^dir/my\.lab:[1-9][0-9]*$`)
	f.Fuzz(func(t *testing.T, text string) {
		begun := time.Now()
		s, err := scenarios.Read("dir/my.lab", text)
		if took := time.Since(begun); took > 5*time.Second {
			t.Errorf("it took %v", took)
		}
		if err != nil {
			var wrong *scenarios.SyntaxError
			if !errors.As(err, &wrong) || !place.MatchString(wrong.Place) || len(err.Error()) < len(wrong.Place)+3 {
				t.Errorf("error %q", err)
			}
			return
		}
		if s.Name != "my" {
			t.Errorf("name %q", s.Name)
		}
		for _, v := range variants() {
			sc, err := s.Compile(v)
			if err != nil {
				if own, _ := s.Compile(scenarios.Variant{Family: v.Family, Real: v.Real}); v.Path == "" || own == nil || slices.Contains(own.Paths, v.Path) {
					t.Errorf("%+v: %v", v, err)
				}
				continue // it is none of its paths
			}
			for _, step := range sc.Steps {
				if !place.MatchString(step.Place()) || step.String() == "" {
					t.Errorf("step %q at %q", step, step.Place())
				}
			}
			if sc.Path == "" {
				t.Error("no path")
			}
		}
	})
}
