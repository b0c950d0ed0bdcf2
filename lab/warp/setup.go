package warp

import (
	"context"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// SetUp has the User-Mode Linux kernel be in the user's cache, and returns its
// path and record. What is there is held against its sum and booted; what is
// not is built, from Debian's source, which takes about five minutes on two
// CPUs, the network, and 1.5 GB of room meanwhile, but no privileges. If it is
// interrupted, the next call goes on where it was. Of two at a time one waits
// for the other.
//
// report is told of the progress, from several goroutines, one at a time: what
// is being done, and how much of that is done, from 0 to 1.
//
// The error is a *LackError, a *BuildError, ctx's, or what went wrong.
func SetUp(ctx context.Context, report func(step string, share float64)) (string, *Built, error) {
	return setup{report, bootOnce, "/usr/include"}.run(ctx)
}

// A setup is one of the user's cache.
type setup struct {
	report func(step string, share float64)
	boot   func(ctx context.Context, kernel string) error
	// include is where the C library's headers are.
	include string
}

func (s setup) run(ctx context.Context) (string, *Built, error) {
	if path, built := s.existing(); built != nil {
		return path, built, s.try(ctx, path)
	}
	if err := checkTools(s.include); err != nil {
		return "", nil, err
	}
	if err := CheckTrace(); err != nil {
		return "", nil, err // after minutes of building it could not be tried
	}
	cache, err := cachePath()
	if err == nil {
		err = os.MkdirAll(filepath.Join(cache, "uml"), 0o755)
	}
	if err != nil {
		return "", nil, fmt.Errorf("make the cache of kernels: %w", err)
	}
	name := filepath.Join(cache, "setup.lock")
	lock, err := lock(name, unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		s.report("wait for another setup", 0)
		lock, err = lockWhenFree(ctx, name, unix.LOCK_EX)
	}
	if err != nil {
		return "", nil, err
	}
	defer lock.Close()
	if path, built := s.existing(); built != nil { // the other has built it
		return path, built, s.try(ctx, path)
	}
	return s.build(ctx, cache, lock)
}

// existing is the kernel that is in the cache and has the sum that it was built
// with, if there is one.
func (s setup) existing() (string, *Built) {
	path, built, err := cachedKernel()
	if err != nil {
		return "", nil
	}
	if sum, err := fileSum(path); err != nil || sum != built.SHA256 {
		return "", nil
	}
	return path, built
}

// try boots a kernel.
func (s setup) try(ctx context.Context, path string) error {
	s.report("try", 0)
	if err := s.boot(ctx, path); err != nil {
		return fmt.Errorf("try the kernel: %w", err)
	}
	return nil
}

// build builds a kernel and puts it into the cache.
func (s setup) build(ctx context.Context, cache string, lock *os.File) (string, *Built, error) {
	began := time.Now()
	s.report("find source", 0)
	src, err := findSource(ctx)
	if err != nil {
		return "", nil, err
	}
	key := umlKey(src.version)
	work := filepath.Join(cache, "build", key)
	if err := removeOthers(filepath.Dir(work), key); err != nil {
		return "", nil, fmt.Errorf("remove what an earlier lab began to build: %w", err)
	}
	if err := os.MkdirAll(work, 0o755); err != nil {
		return "", nil, fmt.Errorf("make a directory to build in: %w", err)
	}
	if _, err := os.Stat(filepath.Join(work, "source")); errors.Is(err, fs.ErrNotExist) {
		if err := checkRoom(work, buildRoom); err != nil {
			return "", nil, err
		}
	}
	s.report("download", 0)
	if err := src.fetch(ctx, work, func(share float64) { s.report("download", share) }); err != nil {
		return "", nil, err
	}
	if err := compile(ctx, work, filepath.Join(work, src.file), lock, s.report); err != nil {
		return "", nil, err
	}
	made := filepath.Join(work, kernelName)
	if err := checkKernel(made); err != nil {
		return "", nil, fmt.Errorf("build the kernel: %w", err)
	}
	if err := checkTypes(made); err != nil {
		return "", nil, fmt.Errorf("build the kernel: %w", err)
	}
	if err := s.try(ctx, made); err != nil {
		return "", nil, err
	}
	built := &Built{Source: src.version, Compiler: compiler(ctx), Date: time.Now().UTC(), Seconds: time.Since(began).Seconds()}
	dir := filepath.Join(cache, "uml", key)
	if err := install(made, dir, built); err != nil {
		return "", nil, fmt.Errorf("keep the kernel: %w", err)
	}
	if err := os.RemoveAll(filepath.Dir(work)); err != nil {
		return "", nil, fmt.Errorf("remove what the build leaves: %w", err)
	}
	return filepath.Join(dir, kernelName), built, nil
}

// removeOthers removes what is in a directory, but for one name.
func removeOthers(dir, but string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		if e.Name() != but {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
		}
	}
	return err
}

// checkTypes tells whether a kernel describes its types, which eBPF programs
// take: without pahole the build leaves that out.
func checkTypes(path string) error {
	f, err := elf.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if s := f.Section(".BTF"); s == nil || s.Size == 0 {
		return errors.New("it has no type information (BTF)")
	}
	return nil
}

// compiler is what gcc calls itself.
func compiler(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "gcc", "--version").Output()
	if err != nil {
		return "" // it is not decisive
	}
	name, _, _ := strings.Cut(string(out), "\n")
	return name
}

// install puts a kernel and its record into a directory, in the place of what
// is there. The directory is complete or not there.
func install(kernel, dir string, built *Built) (err error) {
	next := dir + ".new"
	if err := os.RemoveAll(next); err != nil {
		return err
	}
	if err := os.MkdirAll(next, 0o755); err != nil {
		return err
	}
	path := filepath.Join(next, kernelName)
	if err := copyFile(kernel, path); err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	built.Size, built.Modified = info.Size(), info.ModTime()
	if built.SHA256, err = fileSum(path); err != nil {
		return err
	}
	text, err := json.MarshalIndent(built, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(next, builtName), append(text, '\n'), 0o644); err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return os.Rename(next, dir)
}

// copyFile copies a program, and returns when it is on the disk.
func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close())
}

// bootOnce boots a kernel and runs a program there.
func bootOnce(ctx context.Context, kernel string) error {
	u, err := NewUML(kernel)
	if err == nil {
		_, err = Try(ctx, u)
	}
	return err
}

// Try runs a program that does nothing in an engine's machine.
func Try(ctx context.Context, e Engine) (*Result, error) {
	program, err := exec.LookPath("true")
	if err != nil {
		return nil, fmt.Errorf("find a program to try: %w", err)
	}
	r, err := e.Run(ctx, Job{Argv: []string{program}, Dir: "/", Seed: 1})
	if err == nil && r.Status != 0 {
		err = fmt.Errorf("%s ended with status %d", program, r.Status)
	}
	return r, err
}
