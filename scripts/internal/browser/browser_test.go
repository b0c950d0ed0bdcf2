// Package browser looks at lab's pages in a real browser, headless, as a reader
// does: check.mjs says what is tried.
package browser

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/seed-6fefc909/tcplab/internal/testenv"
)

// A shown page is one to be looked at, as check.mjs reads it.
type shown struct {
	Name string `json:"name"`
	File string `json:"file"`
	// Controls: it has drawings to switch between, and filters.
	Controls bool `json:"controls"`
}

// A finding is what a check of a page came to, as check.mjs writes it.
type finding struct {
	Page   string `json:"page"`
	Check  string `json:"check"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
}

// look opens pages in a browser and gives every finding.
func look(t *testing.T, pages []shown) []finding {
	t.Helper()
	if os.Getenv("TEST_DIR") != "" && os.Getenv(testenv.RequireEnv) != "1" {
		t.Skip("a run of all tests looks once, as root")
	}
	for _, program := range []string{"node", "chromium"} {
		if _, err := exec.LookPath(program); err != nil {
			testenv.Lack(t, "needs %s: %v", program, err)
		}
	}
	if _, err := os.Stat("node_modules/playwright-core/package.json"); err != nil {
		testenv.Lack(t, "needs playwright-core (npm ci in scripts/internal/browser): %v", err)
	}
	in, err := json.Marshal(pages)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "check.mjs")
	home := t.TempDir() // a browser keeps things there
	cmd.Env = append(os.Environ(), "HOME="+home, "TMPDIR="+home, "XDG_CONFIG_HOME="+home, "XDG_CACHE_HOME="+home)
	// Interrupted, node ends its browser too.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	var errs bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("look at pages: %v\n%s\n%s", err, out, errs.Bytes())
	}
	findings, err := read(bytes.NewReader(out))
	if err != nil {
		t.Fatalf("read findings: %v\n%s", err, out)
	}
	if len(findings) == 0 {
		t.Fatal("nothing was checked")
	}
	return findings
}

func read(in io.Reader) ([]finding, error) {
	var all []finding
	lines := json.NewDecoder(in)
	for {
		var f finding
		switch err := lines.Decode(&f); {
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			return nil, fmt.Errorf("finding %d: %w", len(all), err)
		}
		all = append(all, f)
	}
}

// Each check can fail: of a page with which all is wrong every one complains,
// of one with which nothing is wrong none does.
func TestChecks(t *testing.T) {
	var pages []shown
	for _, name := range []string{"right", "wrong"} {
		file, err := filepath.Abs(filepath.Join("testdata", name+".html"))
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, shown{name, file, true})
	}
	checks := map[string]int{}
	for _, f := range look(t, pages) {
		checks[f.Page]++
		if f.OK != (f.Page == "right") {
			t.Errorf("%s, %s: ok is %v: %s", f.Page, f.Check, f.OK, f.Detail)
		}
	}
	if checks["right"] == 0 || checks["right"] != checks["wrong"] {
		t.Errorf("checks made: %v", checks)
	}
}
