package labtest

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestTell(t *testing.T) {
	for output, want := range map[string]told{
		"": {},
		"\x16=== RUN   TestX\nhello\n\x16=== NAME  TestX\n    x_test.go:1: logged\n\x16--- PASS: TestX (939.00s)\n\x16=== NAME  \nPASS\n": {
			"PASS", "\n    hello\n        x_test.go:1: logged\n    PASS",
		},
		"half a line\x16--- FAIL: TestX (0.00s)\n\x16FAIL\n": {"FAIL", "\n    half a line"},
		"\x16=== RUN   TestX/sub\n\x16--- SKIP: TestX/sub (0.00s)\n\x16--- PASS: TestX (0.00s)\n\x16PASS\ncoverage: 3% of statements\n": {
			"PASS", "\n    === RUN   TestX/sub\n    --- SKIP: TestX/sub (0.00s)",
		},
		"\x16=== RUN   TestX\n--- PASS: TestX (0.00s)\n": {"", "\n    --- PASS: TestX (0.00s)"}, // that was printed
		"\x16--- PASS: TestXY (0.00s)\n":                 {"", "\n    --- PASS: TestXY (0.00s)"},
		"\x16=== ARTIFACTS TestX /tmp/a\n":               {"", "\n    === ARTIFACTS TestX /tmp/a"},
	} {
		if got := tell("TestX", output); got != want {
			t.Errorf("%q: %+v, want %+v", output, got, want)
		}
	}
	if got := tell("TestX/a", "\x16=== RUN   TestX\n\x16--- PASS: TestX/a (0.00s)\n\x16--- PASS: TestX (0.00s)\n"); got != (told{"PASS", ""}) {
		t.Errorf("of a subtest: %+v", got)
	}
}

func TestOnly(t *testing.T) {
	for _, c := range []struct{ test, run, want string }{
		{"TestX", "", "^TestX$"},
		{"TestX", "Test", "^TestX$"},
		{"TestX", "TestX/a/b", "^TestX$/a/b"},
		{"TestX/a+b", "TestX/a/c", `^TestX$/^a\+b$/c`},
		{"TestX", "TestX/a|TestY/b", "^TestX$"},
		{"TestX", "Test[/]/a", "^TestX$"},
	} {
		if got := only(c.test, c.run); got != c.want {
			t.Errorf("%s of -run %s: %s, want %s", c.test, c.run, got, c.want)
		}
	}
}

// What another process covered is counted once for each time, whatever its
// files are called.
func TestTakeCoverage(t *testing.T) {
	to := t.TempDir()
	for _, content := range []string{"one", "two"} {
		from := t.TempDir()
		for name, content := range map[string]string{"covcounters.cafe.7.1767225600": content, "covmeta.cafe": "meta"} {
			if err := os.WriteFile(filepath.Join(from, name), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := takeCoverage(from, to); err != nil {
			t.Fatal(err)
		}
	}
	files, err := filepath.Glob(filepath.Join(to, "*"))
	if err != nil || len(files) != 2 {
		t.Fatalf("found %q, %v", files, err)
	}
	all, named := "", regexp.MustCompile(`^covcounters\.cafe\.\d+\.\d+$`)
	for _, f := range files {
		if !named.MatchString(filepath.Base(f)) {
			t.Errorf("a file is called %s", f)
		}
		content, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all += string(content)
	}
	if all != "onetwo" && all != "twoone" {
		t.Errorf("they say %q", all)
	}
	if err := takeCoverage(t.TempDir(), to); err != nil {
		t.Errorf("of nothing: %v", err)
	}
}

// The seed follows the count, from that of the environment on.
func TestNextSeed(t *testing.T) {
	for _, c := range []struct {
		first string
		want  []uint64
	}{{"", []uint64{1, 2}}, {"7", []uint64{9, 10}}} {
		t.Setenv(SeedEnv, c.first)
		for _, want := range c.want {
			if got, err := nextSeed(t.Name()); got != want || err != nil {
				t.Errorf("%s=%s: %d, %v, want %d", SeedEnv, c.first, got, err, want)
			}
		}
	}
	if got, err := nextSeed(t.Name() + "/another"); got != 7 || err != nil {
		t.Errorf("of another test: %d, %v", got, err)
	}
	t.Setenv(SeedEnv, "-1")
	if _, err := nextSeed(t.Name()); err == nil || !strings.Contains(err.Error(), SeedEnv+"=-1") {
		t.Errorf("of a wrong one: %v", err)
	}
}
