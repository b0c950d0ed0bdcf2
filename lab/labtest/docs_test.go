package labtest_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-6fefc909/tcplab/internal/testenv"
)

// The code of the pages is that of the examples, which are run.
func TestPages(t *testing.T) {
	var examples string
	files, err := filepath.Glob("example_*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(files, "../../examples/virtualtime/client_test.go") {
		text, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrPermission) {
			testenv.Lack(t, "needs to read the examples: %v", err) // likewise, below
		}
		if err != nil {
			t.Fatal(err)
		}
		examples += strings.Replace(string(text), "package labtest_test\n", "package mine\n", 1)
	}
	for page, least := range map[string]int{"../../docs/testing.md": 6, "../../README.md": 1} {
		text, err := os.ReadFile(page)
		if errors.Is(err, fs.ErrPermission) {
			testenv.Lack(t, "needs to read the pages: %v", err) // the clone is another user's
		}
		if err != nil {
			t.Fatal(err)
		}
		blocks := strings.Split(string(text), "```go\n")[1:]
		if len(blocks) < least {
			t.Errorf("%s: %d blocks of code", page, len(blocks))
		}
		for _, b := range blocks {
			code, _, _ := strings.Cut(b, "```")
			if !strings.Contains(examples, code) {
				t.Errorf("%s: in no example:\n%s", page, code)
			}
		}
	}
}
