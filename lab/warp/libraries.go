package warp

import (
	"bufio"
	"debug/elf"
	"os"
	"path/filepath"
	"strings"
)

// libraries finds shared libraries as ld.so does on this machine.
type libraries struct {
	dirs []string
	seen map[string]bool // the objects whose needs were looked at
}

func newLibraries() *libraries {
	l := &libraries{seen: map[string]bool{}}
	l.readConf("/etc/ld.so.conf")
	l.dirs = append(l.dirs, "/lib64", "/usr/lib64", "/lib", "/usr/lib")
	return l
}

// readConf reads ld.so.conf(5): directories, and other files of the kind.
func (l *libraries) readConf(path string) {
	f, err := os.Open(path)
	if err != nil {
		return // musl's machines have none
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		line, _, _ := strings.Cut(s.Text(), "#")
		line = strings.TrimSpace(line)
		if pattern, ok := strings.CutPrefix(line, "include "); ok {
			pattern = strings.TrimSpace(pattern)
			if !filepath.IsAbs(pattern) {
				pattern = filepath.Join(filepath.Dir(path), pattern)
			}
			more, _ := filepath.Glob(pattern)
			for _, one := range more {
				l.readConf(one)
			}
		} else if line != "" {
			l.dirs = append(l.dirs, line)
		}
	}
}

// find gives the path of a library that the object at path needs, "" if there
// is none for the object's machine.
func (l *libraries) find(name, path string, object *elf.File) string {
	if filepath.IsAbs(name) {
		return name
	}
	for _, dir := range append(runPath(path, object), l.dirs...) {
		candidate := filepath.Join(dir, name)
		f, err := elf.Open(candidate)
		if err != nil {
			continue
		}
		fits := f.Machine == object.Machine && f.Class == object.Class
		f.Close()
		if fits {
			return candidate
		}
	}
	return ""
}

// runPath gives the directories that an object names itself.
func runPath(path string, object *elf.File) []string {
	var dirs []string
	for _, tag := range []elf.DynTag{elf.DT_RUNPATH, elf.DT_RPATH} {
		all, _ := object.DynString(tag)
		for _, one := range all {
			for dir := range strings.SplitSeq(one, ":") {
				dir = strings.NewReplacer("$ORIGIN", filepath.Dir(path), "${ORIGIN}", filepath.Dir(path)).Replace(dir)
				if filepath.IsAbs(dir) {
					dirs = append(dirs, dir)
				}
			}
		}
	}
	return dirs
}
