// Command tally sums up what gotestsum wrote with --jsonfile: first the file
// of the run without privileges, then those of root's. A test counts once, by
// the best that became of it, except that a failure stays one. It ends with
// status 1 if a test failed or none ran, or if a run of root's skipped a test
// for another reason than that the kernel lacks something.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
)

// event is a line of test2json's output.
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
}

// excuse begins the reason of a skip that root's runs may have.
const excuse = "kernel lacks"

// reason finds what t.Skip was given in a line of a test's output.
var reason = regexp.MustCompile(`^\s+[^ :]+\.go:\d+: (.*)`)

// results are the actions "pass", "fail" or "skip" by package and test. A
// package that failed although none of its tests did is among them by its
// name alone.
type results map[string]string

// add reads a run and returns the skips that are not excused.
func (r results) add(in io.Reader) (refused []string, err error) {
	said := map[string]string{} // what a test printed last from a Go file
	failed := map[string]bool{} // packages with a test that failed
	dec := json.NewDecoder(in)
	for {
		var e event
		if err := dec.Decode(&e); errors.Is(err, io.EOF) {
			return refused, nil
		} else if err != nil {
			return nil, fmt.Errorf("read test events: %w", err)
		}
		name := e.Package + " " + e.Test
		switch e.Action {
		case "output":
			if m := reason.FindStringSubmatch(e.Output); m != nil {
				said[name] = m[1]
			}
		case "fail":
			if e.Test != "" {
				failed[e.Package] = true
			}
			if e.Test != "" || !failed[e.Package] {
				r[name] = "fail"
			}
		case "skip":
			if e.Test == "" {
				continue // no test files
			}
			if !strings.HasPrefix(said[name], excuse) {
				refused = append(refused, name+": "+said[name])
			}
			if r[name] == "" {
				r[name] = "skip"
			}
		case "pass":
			if e.Test != "" && r[name] != "fail" {
				r[name] = "pass"
			}
		}
	}
}

func run(names []string) (ok bool, err error) {
	all := results{}
	var refused []string
	for i, name := range names {
		f, err := os.Open(name)
		if err != nil {
			return false, err
		}
		skips, err := all.add(f)
		f.Close()
		if err != nil {
			return false, fmt.Errorf("%s: %w", name, err)
		}
		if i > 0 {
			refused = append(refused, skips...)
		}
	}
	for _, s := range refused {
		fmt.Println("skipped as root without an excuse:", s)
	}
	count := map[string]int{}
	for _, action := range all {
		count[action]++
	}
	fmt.Printf("%d passed, %d failed, %d skipped\n", count["pass"], count["fail"], count["skip"])
	return count["fail"] == 0 && count["pass"] > 0 && len(refused) == 0, nil
}

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: tally NOBODY.json ROOT.json...")
		os.Exit(2)
	}
	ok, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "tally:", err)
		os.Exit(2)
	}
	if !ok {
		os.Exit(1)
	}
}
