package warp

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// An image is the content of an initramfs: files of this machine's at their
// own paths, and a few made for it.
type image struct {
	members map[string]member // by absolute path
	octets  int64             // what the files of this machine's take
	lib     *libraries
}

// A member is a directory, a symbolic link or a file.
type member struct {
	mode   uint32 // as in stat(2)
	mtime  int64  // s
	source string // the file whose content it has, "" if that is text
	size   int64  // of source
	text   string // a link's target, or a small file's content
}

// maxImage is how much may be taken along, in octets: while it is unpacked it is
// in the machine's memory twice.
const maxImage = 1 << 30

var (
	errTooMuch  = fmt.Errorf("more than %d MiB", maxImage>>20)
	errNoMember = errors.New("neither a file nor a directory")
)

func newImage() *image {
	return &image{members: map[string]member{}, lib: newLibraries()}
}

// maxLinks is how many symbolic links a path may lead through (the kernel's
// MAXSYMLINKS).
const maxLinks = 40

// add takes a file of this machine along, with every directory and symbolic
// link on the way to it, and returns the path without links. Of a directory
// it takes what addTree does not: nothing that is in it.
func (m *image) add(path string) (string, error) {
	if !filepath.IsAbs(path) {
		return "", fmt.Errorf("pack %s: not an absolute path", path)
	}
	rest, at := strings.Split(filepath.Clean(path)[1:], "/"), "/"
	for links := 0; len(rest) > 0; {
		next := filepath.Join(at, rest[0])
		rest = rest[1:]
		info, err := os.Lstat(next)
		if err != nil {
			return "", fmt.Errorf("pack %s: %w", path, err)
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			if err := m.put(next, info); err != nil {
				return "", err
			}
			at = next
			continue
		}
		if links++; links > maxLinks {
			return "", fmt.Errorf("pack %s: %w", path, unix.ELOOP)
		}
		target, err := os.Readlink(next)
		if err != nil {
			return "", fmt.Errorf("pack %s: %w", path, err)
		}
		m.link(next, target)
		if filepath.IsAbs(target) {
			at = "/"
		}
		// The parts are not cleaned together: what is above a link is above
		// what the link leads to.
		rest = append(strings.FieldsFunc(target, func(r rune) bool { return r == '/' }), rest...)
	}
	return at, nil
}

// addIfThere is add for what does not exist everywhere.
func (m *image) addIfThere(path string) error {
	_, err := m.add(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// addTree takes a directory along with all that is in it, the libraries that
// its shared objects need included. What has a name that is one of skip's patterns
// is left out.
func (m *image) addTree(dir string, skip ...string) error {
	dir, err := m.add(dir)
	if err != nil {
		return err
	}
	skipped := func(name string) bool {
		return slices.ContainsFunc(skip, func(pattern string) bool {
			fits, _ := filepath.Match(pattern, name)
			return fits
		})
	}
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return fmt.Errorf("pack %s: %w", dir, err)
		case path != dir && skipped(d.Name()):
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.Type()&fs.ModeSymlink != 0:
			// A link that leads nowhere leads nowhere in the machine, too.
			if target, err := os.Readlink(path); err == nil {
				m.link(path, target)
			}
			if err := m.addIfThere(path); !errors.Is(err, errNoMember) {
				return err
			}
			return nil // what the kernel makes up is there in any case
		case strings.Contains(d.Name(), ".so"):
			return m.addProgram(path)
		case d.IsDir() || d.Type().IsRegular():
			info, err := d.Info()
			if err != nil {
				return fmt.Errorf("pack %s: %w", dir, err)
			}
			return m.put(path, info)
		}
		return nil // a socket or a pipe has no content
	})
}

// put adds a file or directory whose path leads through no link.
func (m *image) put(path string, info fs.FileInfo) error {
	switch {
	case info.IsDir():
		if _, ok := m.members[path]; !ok {
			m.members[path] = member{mode: unix.S_IFDIR | uint32(info.Mode().Perm())}
		}
	case info.Mode().IsRegular():
		if _, ok := m.members[path]; !ok {
			if m.octets += info.Size() + 4096; m.octets > maxImage {
				return fmt.Errorf("pack %s: %w", path, errTooMuch)
			}
		}
		// The time is a part of it: Python's compiled files must not be older.
		m.members[path] = member{mode: unix.S_IFREG | uint32(info.Mode().Perm()), mtime: info.ModTime().Unix(), source: path, size: info.Size()}
	default:
		return fmt.Errorf("pack %s: %w", path, errNoMember)
	}
	return nil
}

func (m *image) link(path, target string) {
	m.members[path] = member{mode: unix.S_IFLNK | 0o777, text: target}
}

// makeDir makes a directory, and those above it, where none is yet.
func (m *image) makeDir(path string) {
	for ; path != "/"; path = filepath.Dir(path) {
		if _, ok := m.members[path]; !ok {
			m.members[path] = member{mode: unix.S_IFDIR | 0o755}
		}
	}
}

// paths are those of the members, each directory before what is in it.
func (m *image) paths() []string { return slices.Sorted(maps.Keys(m.members)) }

// sum writes to w, which makes a hash of it, everything that the image is
// made of.
func (m *image) sum(w io.Writer) error {
	for _, path := range m.paths() {
		f := m.members[path]
		fmt.Fprintf(w, "%q %o %d %q", path, f.mode, f.mtime, f.text)
		if f.source != "" {
			content, err := sumOf(f.source)
			if err != nil {
				return err
			}
			w.Write(content)
		}
	}
	return nil
}

// sumOf is the sha256 of a file's content.
func sumOf(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("sum: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return nil, fmt.Errorf("sum %s: %w", path, err)
	}
	return h.Sum(nil), nil
}

// write writes the image as a cpio archive.
func (m *image) write(w io.Writer) error {
	c := newCPIOWriter(w)
	for _, path := range m.paths() {
		if err := m.members[path].write(c, path[1:]); err != nil {
			return err
		}
	}
	return c.close()
}

func (f member) write(c *cpioWriter, name string) error {
	if f.source == "" {
		return c.add(name, f.mode, f.mtime, int64(len(f.text)), strings.NewReader(f.text))
	}
	content, err := os.Open(f.source)
	if err != nil {
		return fmt.Errorf("pack: %w", err)
	}
	defer content.Close()
	return c.add(name, f.mode, f.mtime, f.size, content)
}
