package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-6fefc909/tcplab/internal/testenv"
)

// The scenario of docs/programs.md is one.
func TestProgramsPage(t *testing.T) {
	testenv.NeedRoot(t)
	t.Parallel()
	page, err := os.ReadFile("../../docs/programs.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(page), "```\n# redis-cli")
	script, _, ended := strings.Cut(rest, "```")
	if !found || !ended {
		t.Fatal("the page has no scenario")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "redis.lab"), []byte("# redis-cli"+script), 0o644); err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), newLab(t), "run", "redis.lab")
	c.Dir = dir
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("%v:\n%s", err, out)
	}
}
