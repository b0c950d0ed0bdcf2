package warp

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A workshop has the tools that a build takes, all of them impostors that write
// down that they were called.
type workshop struct {
	t     *testing.T
	dir   string
	cache string
	boots int
	steps []string
	on    func(step string)
}

// deb is what the impostor of apt-get downloads.
const deb = "a package of source"

func newWorkshop(t *testing.T) *workshop {
	t.Helper()
	w := &workshop{t: t, dir: t.TempDir(), cache: newCache(t), on: func(string) {}}
	t.Setenv("SHOP", w.dir)
	t.Setenv("PATH", filepath.Join(w.dir, "bin")+":"+os.Getenv("PATH"))
	sum := sha256.Sum256([]byte(deb))
	for name, script := range map[string]string{
		"apt-cache": `case $3 in *=*) version=${3#*=} ;; *) version=6.12.999-1 ;; esac
if [ "$version" != "${VERSION:-$version}" ]; then echo "E: no such version" >&2; exit 100; fi
printf 'Package: linux-source-6.12\nVersion: %s\nFilename: pool/source.deb\nSize: ` + fmt.Sprint(len(deb)) + `\nSHA256: ` + hex.EncodeToString(sum[:]) + `\n' "$version"`,
		"apt-get":  `printf %s "${DOWNLOAD-` + deb + `}" >source.deb`,
		"dpkg-deb": `cat "$SHOP/package.tar"`,
		"xz":       `exec cat`,
		"patch":    `cat >/dev/null; exit "${PATCH:-0}"`,
		"strip":    `cp "$4" "$3"`,
		"gcc":      `echo "gcc (impostor) 1"`,
		"make": `case $* in
*olddefconfig*) ;;
*)
	if readlink /proc/self/fd/* | grep -q setup.lock; then echo locked >>"$SHOP/calls"; fi
	echo "  CC      init/main.o"
	if [ -p "$SHOP/gate" ]; then read -r line <"$SHOP/gate"; fi
	if [ -n "$ERROR" ]; then echo "$ERROR" >&2; echo "make[1]: *** [init/main.o] Error 1"; seq 30; exit 2; fi
	for a; do case $a in O=*) cp "$SHOP/kernel" "${a#O=}/linux" ;; esac; done ;;
esac`,
		"bc": "", "bison": "", "flex": "", "ld": "", "pahole": "", "python3": "",
	} {
		w.tool(name, script)
	}
	for _, header := range []string{"gelf.h", "stdio.h"} {
		write(t, filepath.Join(w.dir, "include", header), nil, 0o644)
	}
	write(t, filepath.Join(w.dir, "kernel"), program(t, elf.EM_X86_64, umlSection, ".BTF"), 0o755)
	inner := w.tar(map[string]string{"linux-source-6.12/Makefile": "all:\n"})
	write(t, filepath.Join(w.dir, "package.tar"), []byte(w.tar(map[string]string{"./usr/src/linux-source-6.12.tar.xz": inner})), 0o644)
	return w
}

// tar is an archive of files.
func (w *workshop) tar(files map[string]string) string {
	w.t.Helper()
	var b strings.Builder
	out := tar.NewWriter(&b)
	for name, content := range files {
		if err := out.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))}); err != nil {
			w.t.Fatal(err)
		}
		if _, err := out.Write([]byte(content)); err != nil {
			w.t.Fatal(err)
		}
	}
	if err := out.Close(); err != nil {
		w.t.Fatal(err)
	}
	return b.String()
}

// tool puts an impostor into PATH.
func (w *workshop) tool(name, script string) {
	write(w.t, filepath.Join(w.dir, "bin", name), []byte("#!/bin/sh\necho "+name+" >>\"$SHOP/calls\"\n"+script+"\n"), 0o755)
}

// calls counts how often a tool was called.
func (w *workshop) calls(name string) (n int) {
	w.t.Helper()
	text, err := os.ReadFile(filepath.Join(w.dir, "calls"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		w.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.TrimSpace(line) == name {
			n++
		}
	}
	return n
}

func (w *workshop) setUp(ctx context.Context) (string, *Built, error) {
	w.steps = nil
	return setup{
		func(step string, _ float64) {
			if !slices.Contains(w.steps, step) {
				w.steps = append(w.steps, step)
				w.on(step)
			}
		},
		func(context.Context, string) error { w.boots++; return nil },
		filepath.Join(w.dir, "include"),
	}.run(ctx)
}

// want has a setup succeed.
func (w *workshop) want() string {
	w.t.Helper()
	path, built, err := w.setUp(w.t.Context())
	if err != nil {
		w.t.Fatalf("after %q: %v", w.steps, err)
	}
	if found, err := UMLKernel(); err != nil || found != path {
		w.t.Errorf("built %s, found %q, %v", path, found, err)
	}
	if sum, err := fileSum(path); err != nil || sum != built.SHA256 {
		w.t.Errorf("sum %s, %v, recorded %s", sum, err, built.SHA256)
	}
	if left, _ := os.ReadDir(filepath.Join(w.cache, "build")); len(left) > 0 {
		w.t.Errorf("left: %v", left)
	}
	return path
}

// A kernel is built once, tried, and taken from then on.
func TestSetUp(t *testing.T) {
	w := newWorkshop(t)
	write(t, filepath.Join(w.cache, "build", "of another lab", "source", "file"), nil, 0o644)
	path := w.want()
	if want := filepath.Join(w.cache, "uml", umlKey(umlSource), "linux"); path != want {
		t.Errorf("built %s, want %s", path, want)
	}
	if want := []string{"find source", "download", "unpack", "patch", "configure", "compile", "strip", "try"}; !slices.Equal(w.steps, want) {
		t.Errorf("steps %q, want %q", w.steps, want)
	}
	if w.calls("locked") != 1 {
		t.Error("a build that survives this process would not keep the next from its files")
	}
	w.want()
	if !slices.Equal(w.steps, []string{"try"}) || w.boots != 2 {
		t.Errorf("again: steps %q, booted %d times", w.steps, w.boots)
	}

	// One that was changed is built again, whatever its time says.
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	content := program(t, elf.EM_X86_64, umlSection, ".BTF")
	content[len(content)-1]++
	write(t, path, content, 0o755)
	if err := os.Chtimes(path, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	w.want()
	if !slices.Contains(w.steps, "compile") {
		t.Errorf("a changed kernel was taken: steps %q", w.steps)
	}
}

// What is interrupted in whatever step goes on there.
func TestSetUpInterrupted(t *testing.T) {
	for _, step := range []string{"download", "unpack", "patch", "configure", "compile"} {
		t.Run(step, func(t *testing.T) {
			w := newWorkshop(t)
			gate := filepath.Join(w.dir, "gate") // which is never opened: make waits there
			if err := unix.Mkfifo(gate, 0o600); err != nil {
				t.Fatal(err)
			}
			stop := errors.New("stop")
			ctx, cancel := context.WithCancelCause(t.Context())
			w.on = func(s string) {
				if s == step {
					cancel(stop)
				}
			}
			if _, _, err := w.setUp(ctx); !errors.Is(err, stop) {
				t.Fatalf("error %v, want that it was stopped", err)
			}
			if path, err := UMLKernel(); !errors.Is(err, ErrNoEngine) {
				t.Errorf("half a kernel was found: %q, %v", path, err)
			}
			if err := os.Remove(gate); err != nil {
				t.Fatal(err)
			}
			w.want()
			if n := w.calls("apt-get"); n != 1 {
				t.Errorf("downloaded %d times", n)
			}
			if step == "compile" && w.calls("dpkg-deb") != 1 {
				t.Errorf("unpacked %d times", w.calls("dpkg-deb"))
			}
		})
	}
}

// Of two setups one waits, and takes what the other has built.
func TestSetUpLocked(t *testing.T) {
	w := newWorkshop(t)
	if err := os.MkdirAll(w.cache, 0o755); err != nil {
		t.Fatal(err)
	}
	other, err := lock(filepath.Join(w.cache, "setup.lock"), unix.LOCK_EX)
	if err != nil {
		t.Fatal(err)
	}
	w.on = func(step string) {
		if step == "wait for another setup" {
			putKernel(t, w.cache, umlKey(umlSource), umlSource, 0)
			other.Close()
		}
	}
	if _, _, err := w.setUp(t.Context()); err != nil || w.calls("make") > 0 {
		t.Errorf("error %v, steps %q", err, w.steps)
	}
}

// What is missing is said with how to get it.
func TestSetUpLacks(t *testing.T) {
	for name, c := range map[string]struct {
		change     func(w *workshop)
		what, hint string
	}{
		"tools": {func(w *workshop) {
			for _, tool := range []string{"bin/pahole", "bin/flex", "bin/xz", "include/gelf.h"} {
				os.Remove(filepath.Join(w.dir, tool))
			}
			w.t.Setenv("PATH", filepath.Join(w.dir, "bin"))
		}, "flex, pahole, xz, gelf.h", "sudo apt-get update && sudo apt-get install --no-install-recommends dwarves flex libelf-dev xz-utils"},
		"apt": {func(w *workshop) {
			os.Remove(filepath.Join(w.dir, "bin", "apt-get"))
			w.t.Setenv("PATH", filepath.Join(w.dir, "bin"))
		}, "no apt-get", KernelEnv},
		"lists": {func(w *workshop) { w.tool("apt-cache", "exit 100") }, "apt knows no package linux-source-6.12", "apt-get update"},
		"network": {func(w *workshop) {
			w.tool("apt-get", "echo 'E: Failed to fetch it' >&2; exit 100")
		}, "E: Failed to fetch it", "apt-get update"},
		"room to build":    {func(w *workshop) { w.t.Setenv("ERROR", "cc1: No space left on device") }, "too little room", "XDG_CACHE_HOME"},
		"room to download": {func(w *workshop) { w.tool("apt-get", "echo 'E: No space left on device' >&2; exit 100") }, "too little room", "XDG_CACHE_HOME"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorkshop(t)
			c.change(w)
			_, _, err := w.setUp(t.Context())
			lack, ok := errors.AsType[*LackError](err)
			if !ok || !strings.Contains(lack.What, c.what) || !strings.Contains(lack.Hint, c.hint) {
				t.Errorf("error %#v, want that %q, and %q", err, c.what, c.hint)
			}
		})
	}
}

// What comes broken is not taken, and does not stay in the way.
func TestSetUpBroken(t *testing.T) {
	for name, c := range map[string]struct{ variable, value, want string }{
		"download": {"DOWNLOAD", "a package of something", "has the sum"},
		"short":    {"DOWNLOAD", "a pack", "has the sum"},
		"patch":    {"PATCH", "1", "build the kernel: patch: exit status 1"},
		"compiler": {"ERROR", "init/main.c:1:1: error: expected a declaration", "| init/main.c:1:1: error: expected a declaration"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorkshop(t)
			t.Setenv(c.variable, c.value)
			_, _, err := w.setUp(t.Context())
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %v, want %q", err, c.want)
			}
			if failed, ok := errors.AsType[*BuildError](err); name == "patch" && (!ok || !strings.Contains(failed.Hint, umlSource)) {
				t.Errorf("error %#v, want a hint at %s", err, umlSource)
			}
			if err := os.Unsetenv(c.variable); err != nil { // Setenv restores it
				t.Fatal(err)
			}
			w.want()
		})
	}
	t.Run("types", func(t *testing.T) {
		w := newWorkshop(t)
		write(t, filepath.Join(w.dir, "kernel"), program(t, elf.EM_X86_64, umlSection), 0o755)
		if _, _, err := w.setUp(t.Context()); err == nil || !strings.Contains(err.Error(), "no type information") {
			t.Errorf("error %v", err)
		}
	})
}

// Another version of the source is taken if there is no other, and is another kernel.
func TestSetUpOtherSource(t *testing.T) {
	w := newWorkshop(t)
	t.Setenv("VERSION", "6.12.999-1")
	if path, want := w.want(), filepath.Join(w.cache, "uml", umlKey("6.12.999-1"), "linux"); path != want {
		t.Errorf("built %s, want %s", path, want)
	}
}
