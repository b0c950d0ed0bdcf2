package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// Of what a program in the machine put in a capture's place nothing is taken
// over, and nobody waits for it.
func TestSaveCaptures(t *testing.T) {
	m := &machineRun{dir: t.TempDir()}
	in, to := func(host string) string { return filepath.Join(m.dir, captureName(host)) }, t.TempDir()
	if err := errors.Join(os.WriteFile(in("server"), []byte("frames"), 0o600), os.WriteFile(filepath.Join(to, captureName("client")), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := m.saveCaptures(to); err != nil {
		t.Error(err)
	}
	if content, err := os.ReadFile(filepath.Join(to, captureName("server"))); err != nil || string(content) != "frames" {
		t.Errorf("%q, %v", content, err)
	}
	for what, put := range map[string]func() error{
		"link": func() error { return os.Symlink("/etc/passwd", in("client")) },
		"pipe": func() error { return unix.Mkfifo(in("client"), 0o600) },
		"dir":  func() error { return os.Mkdir(in("client"), 0o700) },
	} {
		if err := put(); err != nil {
			t.Fatal(err)
		}
		if err := m.saveCaptures(to); err == nil {
			t.Errorf("a %s was taken for a capture", what)
		}
		if _, err := os.Lstat(filepath.Join(to, captureName("client"))); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a %s: %v", what, err)
		}
		if err := os.Remove(in("client")); err != nil {
			t.Fatal(err)
		}
	}
}
