// Command tally sums up what gotestsum wrote with --jsonfile: first the file
// of the run without privileges, then those of root's. A test counts once, by
// the best that became of it, except that a run's failure stays one; unless the
// test was run again there, and passed: it is named. It ends with status 1 if a
// test failed or none ran, or if a run of root's skipped a test for another
// reason than that the kernel lacks something.
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

// A run is what one of gotestsum's comes to.
type run struct {
	results
	refused []string // skips that are not excused, each with its reason
	again   []string // tests that failed, and passed when they were run again
}

// read reads a run.
func read(in io.Reader) (r run, err error) {
	r.results = results{}
	said := map[string]string{} // what a test printed last from a Go file
	failed := map[string]bool{} // packages with a test that failed
	dec := json.NewDecoder(in)
	for {
		var e event
		if err := dec.Decode(&e); errors.Is(err, io.EOF) {
			return r, nil
		} else if err != nil {
			return r, fmt.Errorf("read test events: %w", err)
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
				r.results[name] = "fail"
			}
		case "skip":
			if e.Test == "" {
				continue // no test files
			}
			if !strings.HasPrefix(said[name], excuse) {
				r.refused = append(r.refused, name+": "+said[name])
			}
			if r.results[name] != "fail" {
				r.results[name] = "skip"
			}
		case "pass":
			if e.Test == "" {
				continue
			}
			if r.results[name] == "fail" {
				r.again = append(r.again, name)
			}
			r.results[name] = "pass"
		}
	}
}

// add adds another run's.
func (r results) add(run results) {
	for name, action := range run {
		if was := r[name]; was == "" || action == "fail" || action == "pass" && was == "skip" {
			r[name] = action
		}
	}
}

func sum(names []string) (ok bool, err error) {
	all := results{}
	var refused []string
	for i, name := range names {
		f, err := os.Open(name)
		if err != nil {
			return false, err
		}
		one, err := read(f)
		f.Close()
		if err != nil {
			return false, fmt.Errorf("%s: %w", name, err)
		}
		all.add(one.results)
		if i > 0 {
			refused = append(refused, one.refused...)
		}
		for _, s := range one.again {
			fmt.Println("failed, and passed when it was run again:", s)
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
	ok, err := sum(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "tally:", err)
		os.Exit(2)
	}
	if !ok {
		os.Exit(1)
	}
}
