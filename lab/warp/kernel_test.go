package warp

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// program is an ELF executable for a machine, with sections.
func program(t *testing.T, machine elf.Machine, sections ...string) []byte {
	t.Helper()
	names := "\x00" + strings.Join(sections, "\x00") + "\x00"
	header := elf.Header64{
		Type: uint16(elf.ET_EXEC), Machine: uint16(machine), Version: uint32(elf.EV_CURRENT),
		Shoff: 64, Ehsize: 64, Shentsize: 64, Shnum: uint16(1 + len(sections)), Shstrndx: 1,
	}
	copy(header.Ident[:], elf.ELFMAG)
	header.Ident[elf.EI_CLASS], header.Ident[elf.EI_DATA], header.Ident[elf.EI_VERSION] = byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)
	var b bytes.Buffer
	parts := []any{header, elf.Section64{}}
	for _, section := range sections { // all have the names in them
		at := strings.Index(names, "\x00"+section+"\x00") + 1
		parts = append(parts, elf.Section64{
			Name: uint32(at), Type: uint32(elf.SHT_STRTAB), Off: uint64(64 * (2 + len(sections))), Size: uint64(len(names)),
		})
	}
	for _, part := range append(parts, []byte(names)) {
		if err := binary.Write(&b, binary.LittleEndian, part); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

// write makes a file.
func write(t *testing.T, path string, content []byte, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, mode); err != nil {
		t.Fatal(err)
	}
}

// newCache is an empty cache in the place of the user's.
func newCache(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", dir)
	t.Setenv(KernelEnv, "")
	return filepath.Join(dir, "lab", "warp")
}

// putKernel puts a kernel into a cache as Setup does, and gives its path.
func putKernel(t *testing.T, cache, key, source string, age time.Duration) string {
	t.Helper()
	dir := filepath.Join(cache, "uml", key)
	path := filepath.Join(dir, kernelName)
	write(t, path, program(t, elf.EM_X86_64, umlSection), 0o755)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	sum, err := fileSum(path)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(Built{Source: source, Date: time.Now().Add(-age), SHA256: sum, Size: info.Size(), Modified: info.ModTime()})
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, builtName), text, 0o644)
	return path
}

// A kernel that was named is taken, or refused with what is wrong with it.
func TestNamedKernel(t *testing.T) {
	newCache(t)
	dir := t.TempDir()
	for name, c := range map[string]struct {
		content []byte
		mode    os.FileMode
		want    string // in the error
	}{
		"kernel":      {program(t, elf.EM_X86_64, umlSection), 0o755, ""},
		"plain":       {program(t, elf.EM_X86_64, umlSection), 0o644, "is not an executable file"},
		"script":      {[]byte("#!/bin/sh\n"), 0o755, "is not an ELF file"},
		"empty":       {nil, 0o755, "is not an ELF file"},
		"arm":         {program(t, elf.EM_AARCH64, umlSection), 0o755, "is not a program for x86-64"},
		"program":     {program(t, elf.EM_X86_64, ".text"), 0o755, "but not a User-Mode Linux kernel"},
		"missing/not": {nil, 0, "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(dir, name)
			if c.mode != 0 {
				write(t, path, c.content, c.mode)
			}
			t.Setenv(KernelEnv, path)
			got, err := UMLKernel()
			if c.want == "" {
				if err != nil || got != path {
					t.Errorf("got %q, %v", got, err)
				}
			} else if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), KernelEnv) || errors.Is(err, ErrNoEngine) {
				t.Errorf("error %v, want one of %s with %q", err, KernelEnv, c.want)
			}
		})
	}
	t.Setenv(KernelEnv, dir)
	if _, err := UMLKernel(); err == nil {
		t.Error("a directory was taken")
	}
}

// What is taken from the cache was built from this program's inputs.
func TestCachedKernel(t *testing.T) {
	cache := newCache(t)
	none := func() {
		t.Helper()
		if path, err := UMLKernel(); !errors.Is(err, ErrNoEngine) {
			t.Fatalf("found %q, error %v", path, err)
		}
	}
	found := func(want string) {
		t.Helper()
		if path, err := UMLKernel(); err != nil || path != want {
			t.Fatalf("found %q, error %v, want %s", path, err, want)
		}
	}
	none()
	putKernel(t, cache, "0123456789abcdef", umlSource, 0) // of other inputs
	none()
	found(putKernel(t, cache, umlKey("6.12.1-1"), "6.12.1-1", 2*time.Hour))
	newer := putKernel(t, cache, umlKey("6.12.2-1"), "6.12.2-1", time.Hour)
	found(newer)
	right := putKernel(t, cache, umlKey(umlSource), umlSource, 24*time.Hour)
	found(right)

	// One that was changed since is no longer that kernel.
	write(t, right, append(program(t, elf.EM_X86_64, umlSection), 0), 0o755)
	if _, err := UMLKernel(); err == nil || !strings.Contains(err.Error(), "is not the file that was built") {
		t.Errorf("a kernel that was changed: %v", err)
	}
}

// The cache is the user's, wherever that user has it.
func TestCachePath(t *testing.T) {
	for _, c := range []struct{ xdg, home, want string }{
		{"/x", "/home/u", "/x/lab/warp"},
		{"", "/home/u", "/home/u/.cache/lab/warp"},
		{"relative", "/home/u", "/home/u/.cache/lab/warp"},
		{"", "", ""},
	} {
		t.Setenv("SUDO_UID", "")
		t.Setenv("XDG_CACHE_HOME", c.xdg)
		t.Setenv("HOME", c.home)
		if got, err := cachePath(); got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("XDG_CACHE_HOME=%s HOME=%s: %q, %v, want %q", c.xdg, c.home, got, err, c.want)
		}
	}
}
