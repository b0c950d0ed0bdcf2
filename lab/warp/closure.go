package warp

import (
	"bufio"
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"golang.org/x/sys/unix"
)

// addProgram takes a program along with what it needs to be started: its
// dynamic linker and libraries, of a script what runs it, of what runs
// scripts its own library. What a program opens later only its user knows, as
// libraries that it loads by name. Of a file that is no program it takes that,
// of a directory all; what the kernel makes up is there in any case.
func (m *image) addProgram(path string) error {
	for _, dir := range [...]string{"/dev", "/proc", "/sys"} {
		if path == dir || strings.HasPrefix(path, dir+"/") {
			return nil
		}
	}
	real, err := m.add(path)
	if err != nil {
		return err
	}
	if m.lib.seen[real] {
		return nil
	}
	m.lib.seen[real] = true
	if m.members[real].mode&unix.S_IFMT == unix.S_IFDIR {
		return m.addTree(real)
	}
	f, err := os.Open(real)
	if err != nil {
		return fmt.Errorf("pack: %w", err)
	}
	defer f.Close()
	var head [2]byte
	_, err = f.ReadAt(head[:], 0)
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return fmt.Errorf("pack %s: %w", path, err)
	case string(head[:]) == "#!":
		err = m.addScript(f)
	case string(head[:]) == elf.ELFMAG[:2]:
		err = m.addNeeded(real, f)
	}
	if err != nil {
		return fmt.Errorf("pack %s: %w", path, err)
	}
	return m.addInterpreter(real)
}

// addNeeded takes along what an ELF object names: PT_INTERP and DT_NEEDED.
func (m *image) addNeeded(path string, r io.ReaderAt) error {
	object, err := elf.NewFile(r)
	if err != nil {
		return err
	}
	for _, p := range object.Progs {
		if p.Type != elf.PT_INTERP {
			continue
		}
		name, err := io.ReadAll(p.Open())
		if err != nil {
			return err
		}
		if _, err := m.add(string(bytes.TrimRight(name, "\x00"))); err != nil {
			return err
		}
	}
	needed, err := object.ImportedLibraries()
	if err != nil {
		return err
	}
	for _, name := range needed {
		library := m.lib.find(name, path, object)
		if library == "" {
			return fmt.Errorf("its library %s: %w", name, fs.ErrNotExist)
		}
		if err := m.addProgram(library); err != nil {
			return err
		}
		if strings.HasPrefix(name, "libc.so.") {
			// glibc loads this one by name, to end a thread.
			if unwinder := m.lib.find("libgcc_s.so.1", path, object); unwinder != "" {
				if err := m.addProgram(unwinder); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// addScript takes along what the first line names.
func (m *image) addScript(r io.Reader) error {
	line, err := bufio.NewReader(io.LimitReader(r, 4096)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	words := strings.Fields(strings.TrimPrefix(line, "#!"))
	if len(words) == 0 {
		return nil
	}
	if err := m.addProgram(words[0]); err != nil {
		return err
	}
	if filepath.Base(words[0]) != "env" {
		return nil
	}
	for _, word := range words[1:] {
		if strings.HasPrefix(word, "-") || strings.Contains(word, "=") {
			continue
		}
		program, err := exec.LookPath(word)
		if err != nil {
			return err
		}
		return m.addProgram(program)
	}
	return nil
}

// An interpreter knows where its own library is.
type interpreter struct {
	name *regexp.Regexp // of its file
	ask  []string       // the arguments that make it print its own file, then directories, a line each
	skip []string       // patterns of what no program needs of the library
}

func interpreters() []interpreter {
	return []interpreter{
		{
			regexp.MustCompile(`^python3(\.\d+)?$`),
			[]string{"-c", `import sys, sysconfig; print(sys.executable); print(sysconfig.get_path("stdlib"))`},
			[]string{"site-packages", "dist-packages", "test", "tests", "idlelib", "tkinter", "ensurepip", "turtledemo", "lib2to3", "config-*", "*.opt-?.pyc"},
		},
		{
			regexp.MustCompile(`^perl(5[.\d]*)?$`),
			[]string{"-e", `print "$^X\n"; print "$_\n" for grep { m(^/usr/) && -d } @INC`},
			nil,
		},
		{
			regexp.MustCompile(`^ruby([.\d]*)$`),
			[]string{"-e", `puts RbConfig.ruby, RbConfig::CONFIG["rubylibdir"], RbConfig::CONFIG["rubyarchdir"]`},
			[]string{"gems", "vendor_ruby"},
		},
	}
}

// addInterpreter takes a known interpreter's library along. Packages that are
// not part of it must be asked for. Where the program is only a script that
// starts one of several (a version manager's shim), the one that it starts
// takes its place. Path has no links in it.
func (m *image) addInterpreter(path string) error {
	for _, i := range interpreters() {
		if !i.name.MatchString(filepath.Base(path)) {
			continue
		}
		out, err := exec.Command(path, i.ask...).Output()
		if err != nil {
			return fmt.Errorf("ask %s for its library: %w", path, err)
		}
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		for _, dir := range lines[1:] {
			if err := m.addTree(dir, i.skip...); err != nil {
				return err
			}
		}
		own, err := filepath.EvalSymlinks(lines[0])
		if err != nil || own == path {
			return err
		}
		m.link(path, own)
		return m.addProgram(own)
	}
	return nil
}
