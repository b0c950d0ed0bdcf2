package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTally(t *testing.T) {
	const skipped = `{"Action":"output","Package":"p","Test":"T","Output":"    a_test.go:1: REASON\n"}
{"Action":"output","Package":"p","Test":"T","Output":"--- SKIP: T (0.00s)\n"}
{"Action":"skip","Package":"p","Test":"T"}`
	for name, test := range map[string]struct {
		before  results
		events  string
		want    results
		refused []string
		again   []string
	}{
		"a pass": {
			events: `{"Action":"pass","Package":"p","Test":"T"}
{"Action":"pass","Package":"p"}`,
			want: results{"p T": "pass"},
		},
		"a pass makes up for a skip": {
			before: results{"p T": "skip"},
			events: `{"Action":"pass","Package":"p","Test":"T"}`,
			want:   results{"p T": "pass"},
		},
		"a skip does not undo a pass": {
			before: results{"p T": "pass"},
			events: strings.ReplaceAll(skipped, "REASON", "kernel lacks veth"),
			want:   results{"p T": "pass"},
		},
		"a failure stays": {
			before: results{"p T": "fail"},
			events: `{"Action":"pass","Package":"p","Test":"T"}`,
			want:   results{"p T": "fail"},
		},
		"a failure that did not come again": {
			before: results{"p T": "skip"},
			events: `{"Action":"fail","Package":"p","Test":"T"}
{"Action":"fail","Package":"p"}
{"Action":"pass","Package":"p","Test":"T"}
{"Action":"pass","Package":"p"}`,
			want:  results{"p T": "pass"},
			again: []string{"p T"},
		},
		"a failure that came again": {
			events: `{"Action":"fail","Package":"p","Test":"T"}
{"Action":"fail","Package":"p","Test":"T"}`,
			want: results{"p T": "fail"},
		},
		"a failure that was skipped when it was to come again": {
			events: `{"Action":"fail","Package":"p","Test":"T"}
` + strings.ReplaceAll(skipped, "REASON", "kernel lacks BTF"),
			want: results{"p T": "fail"},
		},
		"a failure elsewhere": {
			before: results{"p T": "pass"},
			events: `{"Action":"fail","Package":"p","Test":"T"}`,
			want:   results{"p T": "fail"},
		},
		"a test's failure is not its package's, too": {
			events: `{"Action":"fail","Package":"p","Test":"T"}
{"Action":"fail","Package":"p"}`,
			want: results{"p T": "fail"},
		},
		"a package that does not build": {
			events: `{"Action":"fail","Package":"p"}`,
			want:   results{"p ": "fail"},
		},
		"a package without tests": {
			events: `{"Action":"skip","Package":"p"}`,
			want:   results{},
		},
		"a skip with an excuse": {
			events: strings.ReplaceAll(skipped, "REASON", "kernel lacks BTF"),
			want:   results{"p T": "skip"},
		},
		"a skip without": {
			events:  strings.ReplaceAll(skipped, "REASON", "needs root"),
			want:    results{"p T": "skip"},
			refused: []string{"p T: needs root"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := results{}
			for k, v := range test.before {
				got[k] = v
			}
			run, err := read(strings.NewReader(test.events))
			if err != nil {
				t.Fatal(err)
			}
			got.add(run.results)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("results (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.refused, run.refused); diff != "" {
				t.Errorf("refused skips (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.again, run.again); diff != "" {
				t.Errorf("run again (-want +got):\n%s", diff)
			}
		})
	}
}
