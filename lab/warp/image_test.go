package warp

import (
	"bytes"
	"debug/elf"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// An archived is what a cpio archive's header says of a member, and its content.
type archived struct {
	Name    string
	Mode    int64
	Mtime   int64
	Content string
}

// readCPIO takes an archive apart by the offsets that the kernel's format has.
func readCPIO(t *testing.T, b []byte) []archived {
	t.Helper()
	var all []archived
	for at := 0; ; {
		field := func(n int) int {
			v, err := strconv.ParseInt(string(b[at+6+8*n:at+14+8*n]), 16, 64)
			if err != nil {
				t.Fatalf("field %d of the header at %d: %v", n, at, err)
			}
			return int(v)
		}
		if magic := string(b[at : at+6]); magic != "070701" {
			t.Fatalf("magic %q at %d", magic, at)
		}
		size, nameLen := field(6), field(11)
		name := string(b[at+110 : at+110+nameLen-1])
		content := (at + 110 + nameLen + 3) &^ 3
		if name == "TRAILER!!!" {
			if len(b)%512 != 0 {
				t.Errorf("%d octets are no multiple of 512", len(b))
			}
			return all
		}
		all = append(all, archived{name, int64(field(1)), int64(field(5)), string(b[content : content+size])})
		at = (content + size + 3) &^ 3
	}
}

func TestImageHasWhatLeadsToAFile(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/real/sub/file", []byte("five!"), 0o755)
	if err := os.Symlink("real/sub", dir+"/way"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(dir+"/way/../sub/file", dir+"/link"); err != nil {
		t.Fatal(err)
	}
	m := newImage()
	got, err := m.add(dir + "/link")
	if want := dir + "/real/sub/file"; got != want || err != nil {
		t.Fatalf("add: %q, %v, want %q", got, err, want)
	}
	var b bytes.Buffer
	if err := m.write(&b); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range readCPIO(t, b.Bytes()) {
		if rest, ok := strings.CutPrefix("/"+f.Name, dir+"/"); ok {
			names = append(names, rest+" "+strconv.FormatInt(f.Mode>>12, 8)+" "+f.Content)
		}
	}
	want := []string{"link 12 " + dir + "/way/../sub/file", "real 4 ", "real/sub 4 ", "real/sub/file 10 five!", "way 12 real/sub"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
}

func TestImageRefuses(t *testing.T) {
	dir := t.TempDir()
	for _, link := range [][2]string{{"a", "b"}, {"b", "a"}, {"nowhere", "missing"}} {
		if err := os.Symlink(link[1], filepath.Join(dir, link[0])); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ path, want string }{
		{"relative", "not an absolute path"},
		{dir + "/a", "too many levels of symbolic links"},
		{dir + "/nowhere", "no such file"},
		{"/dev/null", "neither a file nor a directory"},
	} {
		if _, err := newImage().add(c.path); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("add %s: %v, want %q", c.path, err, c.want)
		}
	}
	if err := newImage().addIfThere(dir + "/missing"); err != nil {
		t.Errorf("what is not there: %v", err)
	}
}

func TestSumTellsWhatAnImageIsMadeOf(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/file", []byte("one"), 0o755)
	sum := func() string {
		m := newImage()
		if err := m.addTree(dir); err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := m.sum(&b); err != nil {
			t.Fatal(err)
		}
		return hex.EncodeToString(b.Bytes())
	}
	first := sum()
	if again := sum(); again != first {
		t.Error("the same files have another sum")
	}
	info, err := os.Stat(dir + "/file")
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir+"/file", []byte("two"), 0o755)
	if err := os.Chtimes(dir+"/file", info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	if sum() == first {
		t.Error("another content of the same size and time has the same sum")
	}
	if err := os.WriteFile(dir+"/more", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	more := sum()
	if err := os.Chmod(dir+"/more", 0o600); err != nil {
		t.Fatal(err)
	}
	if sum() == more {
		t.Error("another mode has the same sum")
	}
}

// What ldd finds for a program must be in its image.
func TestProgramHasItsLibraries(t *testing.T) {
	program, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("bash is not installed")
	}
	out, err := exec.Command("ldd", program).Output()
	if err != nil {
		t.Skipf("ldd tells nothing: %v", err)
	}
	m := newImage()
	if err := m.addProgram(program); err != nil {
		t.Fatal(err)
	}
	found := 0
	for line := range strings.Lines(string(out)) {
		for word := range strings.FieldsSeq(line) {
			if !filepath.IsAbs(word) {
				continue
			}
			found++
			real, err := filepath.EvalSymlinks(word)
			if err != nil {
				t.Fatal(err)
			}
			if m.members[real].source == "" {
				t.Errorf("%s is not in the image", real)
			}
		}
	}
	if found < 2 {
		t.Errorf("ldd named %d files:\n%s", found, out)
	}
}

func TestScriptHasWhatRunsIt(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/bin/inner", []byte("#!/bin/sh\n"), 0o755)
	write(t, dir+"/plain", []byte("#! "+dir+"/bin/inner -x\n"), 0o755)
	write(t, dir+"/env", []byte("#!/usr/bin/env -S A=1 inner -x"), 0o755)
	write(t, dir+"/lacking", []byte("#!/usr/bin/env no-such-program"), 0o755)
	t.Setenv("PATH", dir+"/bin:/usr/bin:/bin")
	for _, script := range []string{"plain", "env"} {
		m := newImage()
		if err := m.addProgram(filepath.Join(dir, script)); err != nil {
			t.Errorf("%s: %v", script, err)
		}
		if _, ok := m.members[dir+"/bin/inner"]; !ok {
			t.Errorf("%s: what runs it is not in the image", script)
		}
	}
	if err := newImage().addProgram(dir + "/lacking"); !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("a script that nothing runs: %v", err)
	}
}

// A version manager's python3 is a script; the one that it starts takes its
// place.
func TestInterpreterHasItsLibrary(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/lib/os.py", []byte(""), 0o755)
	write(t, dir+"/lib/test/big.py", []byte(""), 0o755)
	write(t, dir+"/lib/os.opt-1.pyc", []byte(""), 0o644)
	write(t, dir+"/real/python3.99", []byte("#!/bin/sh\nprintf '%s\\n' "+dir+"/real/python3.99 "+dir+"/lib\n"), 0o755)
	write(t, dir+"/shims/python3", []byte("#!/bin/sh\nexec "+dir+"/real/python3.99 \"$@\"\n"), 0o755)
	m := newImage()
	if err := m.addProgram(dir + "/shims/python3"); err != nil {
		t.Fatal(err)
	}
	if got := m.members[dir+"/shims/python3"].text; got != dir+"/real/python3.99" {
		t.Errorf("the shim is %q", got)
	}
	for path, want := range map[string]bool{"/lib/os.py": true, "/real/python3.99": true, "/lib/test/big.py": false, "/lib/os.opt-1.pyc": false} {
		if _, ok := m.members[dir+path]; ok != want {
			t.Errorf("%s is in the image: %v, want %v", path, ok, want)
		}
	}
}

func TestLibraryThatIsMissing(t *testing.T) {
	sh, err := os.ReadFile("/bin/sh")
	if err != nil {
		t.Fatal(err)
	}
	object, err := elf.NewFile(bytes.NewReader(sh))
	if err != nil {
		t.Fatal(err)
	}
	needed, err := object.ImportedLibraries()
	if err != nil || len(needed) == 0 {
		t.Skipf("/bin/sh needs no library: %v", err)
	}
	other := strings.Replace(needed[0], "lib", "lab", 1)
	path := t.TempDir() + "/sh"
	write(t, path, bytes.ReplaceAll(sh, []byte(needed[0]+"\x00"), []byte(other+"\x00")), 0o755)
	err = newImage().addProgram(path)
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "its library "+other) {
		t.Errorf("a library that is not there: %v", err)
	}
	if !slices.Contains(newLibraries().dirs, "/usr/lib") {
		t.Error("the linker's own directories are not looked at")
	}
}

// What cannot be meant is refused by its name.
func TestImageRefusesWhatIsAsked(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/big", nil, 0o600)
	if err := errors.Join(os.Truncate(dir+"/big", maxImage), os.Symlink("/dev/null", dir+"/masked"), unix.Mkfifo(dir+"/pipe", 0o600)); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]error{
		dir: errTooMuch, dir + "/pipe": errNoMember, dir + "/none": fs.ErrNotExist, "/": nil,
	} {
		err := newImage().addAsked(path)
		if _, ok := errors.AsType[*JobError](err); !ok || want != nil && !errors.Is(err, want) || !strings.Contains(err.Error(), "take "+path+" along") {
			t.Errorf("%s: %v", path, err)
		}
	}
	if err := os.Truncate(dir+"/big", 1); err != nil {
		t.Fatal(err)
	}
	if err := newImage().addAsked(dir); err != nil {
		t.Errorf("a directory with a link to a device: %v", err)
	}
}
