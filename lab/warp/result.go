package warp

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// A result is how a job ended and what it left in its directories, as a tar
// stream: the files of each below resultOut and its number, and at last the
// outcome.
const (
	resultOut     = "out/"
	resultOutcome = "outcome.json"
)

// writeResult writes that. What is neither a file nor a directory nor a
// symbolic link stays behind.
func writeResult(w io.Writer, out []string, o outcome) error {
	t := tar.NewWriter(w)
	for i, dir := range out {
		if err := writeTree(t, dir, resultDir(i)); err != nil {
			return err
		}
	}
	b, err := json.Marshal(o)
	if err != nil {
		return err
	}
	if err := t.WriteHeader(&tar.Header{Name: resultOutcome, Mode: 0o600, Size: int64(len(b))}); err != nil {
		return err
	}
	if _, err := t.Write(b); err != nil {
		return err
	}
	return t.Close()
}

// resultDir is where the files of a directory are, by its number.
func resultDir(i int) string { return resultOut + strconv.Itoa(i) + "/" }

func writeTree(t *tar.Writer, dir, at string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil || name == "." {
			return err
		}
		target := ""
		if d.Type()&fs.ModeSymlink != 0 {
			if target, err = os.Readlink(path); err != nil {
				return err
			}
		} else if !d.Type().IsRegular() && !d.IsDir() {
			return nil
		}
		h, err := tar.FileInfoHeader(info, target)
		if err != nil {
			return err
		}
		h.Name = at + name
		if err := t.WriteHeader(h); err != nil || !d.Type().IsRegular() {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.Copy(t, f)
		return err
	})
}

// readResult is the other end: it writes the files to the directories and to
// nowhere else, whatever their names are. The error is io.EOF if there is no
// outcome.
func readResult(r io.Reader, out []string) (o outcome, err error) {
	roots := map[string]*os.Root{}
	for i, dir := range out {
		root, err := os.OpenRoot(dir)
		if err != nil {
			return o, err
		}
		defer root.Close()
		roots[resultDir(i)] = root
	}
	for t := tar.NewReader(r); ; {
		h, err := t.Next()
		if err != nil {
			if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, tar.ErrHeader) {
				err = io.EOF
			}
			return o, err
		}
		if h.Name == resultOutcome {
			return o, json.NewDecoder(t).Decode(&o)
		}
		number, name, _ := strings.Cut(strings.TrimPrefix(h.Name, resultOut), "/")
		root := roots[resultOut+number+"/"]
		if root == nil {
			return o, fmt.Errorf("take over %s: not of the command's directories", h.Name)
		}
		if err := takeOver(root, strings.TrimSuffix(name, "/"), h, t); err != nil {
			return o, fmt.Errorf("take over the command's files: %w", err)
		}
	}
}

func takeOver(root *os.Root, name string, h *tar.Header, content io.Reader) error {
	mode := fs.FileMode(h.Mode).Perm()
	switch h.Typeflag {
	case tar.TypeDir:
		if err := root.Mkdir(name, mode); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		return nil
	case tar.TypeSymlink:
		if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return root.Symlink(h.Linkname, name)
	}
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	return errors.Join(err, f.Close())
}
