package main

import (
	"errors"
	"flag"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write docs/scenarios.md and docs/tutorial.md anew")

// The page in docs is the reference, as lab help scenario prints it.
func TestPage(t *testing.T) {
	const page = "../../docs/scenarios.md"
	var b strings.Builder
	b.WriteString("# The language of scenarios\n\nWhat `lab help scenario` prints.\n\n```\n")
	b.WriteString(scenarioTopic().Long)
	want := b.String() + "\n```\n"
	wantPage(t, page, want)
}

// wantPage wants a page of docs to be what it is made of, or makes it so.
func wantPage(t *testing.T, page, want string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if errors.Is(err, fs.ErrPermission) && os.Geteuid() != 0 {
		t.Skip("the tree is another user's")
	}
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("%s is not what lab has it made of (-want +got); go test ./cmd/lab -run %s -update writes it:\n%s", page, t.Name(), diff)
	}
}
