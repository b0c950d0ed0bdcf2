package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/seed-6fefc909/tcplab/internal/testenv"
	"github.com/seed-6fefc909/tcplab/lab/scenarios"
)

// The gallery is whole: a page of each scenario, and an index in which every
// link leads to a file. It runs alone, for it runs everything.
func TestGallery(t *testing.T) {
	testenv.NeedRoot(t)
	dir := filepath.Join(openDir(t), "site")
	out, err := exec.CommandContext(t.Context(), "../../scripts/gallery", dir, "--family", "6").CombinedOutput()
	if err != nil {
		t.Fatalf("make the gallery: %v\n%s", err, out)
	}
	index, err := os.ReadFile(filepath.Join(dir, indexName))
	if err != nil {
		t.Fatal(err)
	}
	linked := map[string]bool{}
	for _, m := range regexp.MustCompile(`href="([^"#]+)"`).FindAllSubmatch(index, -1) {
		linked[string(m[1])] = true
		if _, err := os.Stat(filepath.Join(dir, string(m[1]))); err != nil {
			t.Errorf("a link leads nowhere: %v", err)
		}
	}
	for _, name := range scenarios.Names() {
		if page := name + "/" + pageName; !linked[page] {
			t.Errorf("no link to %s", page)
		}
		r, err := readRecord(filepath.Join(dir, name, recordName))
		if err != nil {
			t.Error(err)
			continue
		}
		if r.Family != 6 {
			t.Errorf("%s: IPv%d, although the gallery was told IPv6", name, r.Family)
		}
	}
}
