package main

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-6fefc909/tcplab/internal/testenv"
	"github.com/seed-6fefc909/tcplab/lab/record"
)

// The exit status of lab diff, as that of diff.
func TestDiffStatus(t *testing.T) {
	dir := t.TempDir()
	save := func(name, file string) {
		r, err := record.ReadFile("../../lab/testdata/" + file)
		if errors.Is(err, fs.ErrPermission) {
			testenv.Lack(t, "needs to read the records: %v", err) // the clone is another user's
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := saveFile(filepath.Join(dir, name, recordName), r.Write); err != nil {
			t.Fatal(err)
		}
	}
	save("a", "crash.json")
	save("b", "kill.json")
	t.Chdir(dir)
	for _, c := range []struct {
		args   string
		status int
		out    string // part of what is printed
		err    string
	}{
		{"diff a a/record.json", 0, "agree; 0 differences in all.", ""},
		{"diff a b", 1, "These are two scenarios", ""},
		{"diff a b --html ab.html", 1, "These are two scenarios", ""},
		{"diff a b --html nowhere/ab.html", 2, "", "lab: --html nowhere/ab.html: "},
		{"diff a", 2, "", "lab: accepts 2 arg(s), received 1\n"},
		{"diff a a b", 2, "", "lab: accepts 2 arg(s), received 3\n"},
		{"diff . b", 2, "", "lab: . holds 2 records\nhint: "},
		{"diff a nowhere", 2, "", "lab: open nowhere: no such file"},
	} {
		t.Run(c.args, func(t *testing.T) {
			errs, err := os.CreateTemp(dir, "stderr")
			if err != nil {
				t.Fatal(err)
			}
			defer errs.Close()
			var out bytes.Buffer
			status := run(strings.Fields(c.args), os.Stdin, &out, errs)
			said, err := os.ReadFile(errs.Name())
			if err != nil {
				t.Fatal(err)
			}
			if status != c.status || !strings.Contains(out.String(), c.out) || !strings.HasPrefix(string(said), c.err) || (c.err == "") != (len(said) == 0) {
				t.Errorf("status %d, want %d; it printed %q\nand complained %q", status, c.status, out.String(), said)
			}
		})
	}
	if text, err := os.ReadFile("ab.html"); err != nil || !bytes.Contains(text, []byte("<title>crash and kill, side by side</title>")) {
		t.Errorf("the page: %v, %.200s", err, text)
	}
}
