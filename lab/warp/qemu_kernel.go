package warp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A Kernel is a distribution's that the user's cache has, for NewQEMU.
type Kernel struct {
	Release string // as uname -r gives it
	Image   string // its file
	Modules string // the directory of its modules
}

// The names in the cache: of the kernels, of the directory where one is
// unpacked, and of a kernel's parts.
const (
	kernelsName  = "kernels"
	fetchingName = "fetching"
	imageName    = "vmlinuz"
	modulesName  = "modules"
)

// Kernels lists those that FetchKernel fetched, the newest first.
func Kernels() ([]Kernel, error) {
	cache, err := cachePath()
	if err != nil {
		return nil, err
	}
	images, err := filepath.Glob(filepath.Join(cache, kernelsName, "*", imageName))
	if err != nil {
		return nil, err
	}
	var all []Kernel
	for _, image := range images {
		all = append(all, cachedAt(filepath.Dir(image)))
	}
	slices.SortFunc(all, func(a, b Kernel) int { return compareReleases(b.Release, a.Release) })
	return all, nil
}

func cachedAt(dir string) Kernel {
	return Kernel{filepath.Base(dir), filepath.Join(dir, imageName), filepath.Join(dir, modulesName)}
}

// FetchKernel finds Debian's newest kernel for clouds of a version, as "6.1" or
// "6.12", and puts it into the user's cache if it is not there. It needs
// apt-get with the package lists of a Debian, and no root. What apt-get says
// goes to progress. The error wraps ErrNoEngine if there is no such kernel.
func FetchKernel(ctx context.Context, version string, progress io.Writer) (k Kernel, err error) {
	release, err := newestRelease(ctx, version)
	if err != nil {
		return k, err
	}
	cache, err := cacheDir(kernelsName)
	if err != nil {
		return k, err
	}
	l, err := lockWhenFree(ctx, cache+".lock", unix.LOCK_EX)
	if err != nil {
		return k, err
	}
	defer l.Close()
	k = cachedAt(filepath.Join(cache, release))
	if _, err := os.Stat(k.Image); err == nil {
		return k, nil
	}
	dir := filepath.Join(cache, fetchingName)
	// One that was killed has left its own.
	if err := errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o700)); err != nil {
		return k, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	run := func(name string, args ...string) error {
		c := exec.CommandContext(ctx, name, args...)
		c.Dir, c.Stdout, c.Stderr = dir, progress, progress
		if err := c.Run(); err != nil {
			return fmt.Errorf("fetch linux-image-%s: %s: %w", release, name, err)
		}
		return nil
	}
	if err := run("apt-get", "download", "linux-image-"+release); err != nil {
		return k, err
	}
	packages, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil || len(packages) != 1 {
		return k, fmt.Errorf("fetch linux-image-%s: apt-get left %d packages", release, len(packages))
	}
	if err := run("dpkg", "-x", packages[0], "."); err != nil {
		return k, err
	}
	whole := filepath.Join(dir, release)
	if err := os.Mkdir(whole, 0o755); err != nil {
		return k, err
	}
	modules := filepath.Join(dir, "lib/modules", release)
	if _, err := os.Stat(modules); errors.Is(err, fs.ErrNotExist) {
		modules = filepath.Join(dir, "usr/lib/modules", release)
	}
	err = errors.Join(
		os.Rename(filepath.Join(dir, "boot/vmlinuz-"+release), filepath.Join(whole, imageName)),
		os.Rename(modules, filepath.Join(whole, modulesName)))
	if err != nil {
		return k, fmt.Errorf("fetch linux-image-%s: %w", release, err)
	}
	return k, os.Rename(whole, filepath.Dir(k.Image))
}

// newestRelease asks apt which kernels there are.
func newestRelease(ctx context.Context, version string) (string, error) {
	if _, err := exec.LookPath("apt-cache"); err != nil {
		return "", &LackError{"the kernels are Debian's, and there is no apt-cache here", "lab warp --kernel FILE --modules DIR takes any other kernel with its modules"}
	}
	out, err := exec.CommandContext(ctx, "apt-cache", "search", "--names-only", "^linux-image-[0-9].*-cloud-amd64$").Output()
	if err != nil {
		return "", fmt.Errorf("ask apt-cache for kernels: %w", err)
	}
	if release := newestOf(string(out), version); release != "" {
		return release, nil
	}
	return "", &LackError{
		"apt-cache knows no linux-image-" + version + "*-cloud-amd64",
		"sudo apt-get update, and see what there is: apt-cache search --names-only 'linux-image-[0-9].*-cloud-amd64$'",
	}
}

// newestOf finds the newest release of a version in what apt-cache prints: a
// package's name and description a line. A package that depends on the newest
// one has no full release in its name.
func newestOf(packages, version string) string {
	var newest string
	for line := range strings.Lines(packages) {
		found := cloudImage.FindStringSubmatch(line)
		if found == nil || compareReleases(found[1], newest) <= 0 {
			continue
		}
		rest, ok := strings.CutPrefix(found[1], version)
		if ok && (rest == "" || strings.ContainsAny(rest[:1], ".+-")) {
			newest = found[1]
		}
	}
	return newest
}

var (
	cloudImage = regexp.MustCompile(`^linux-image-(\d+\.\d+\.\S+-cloud-amd64) `)
	digits     = regexp.MustCompile(`\d+`)
)

// compareReleases compares kernels' releases by the numbers in them.
func compareReleases(a, b string) int {
	numbers := func(s string) (all []int) {
		for _, one := range digits.FindAllString(s, -1) {
			n, _ := strconv.Atoi(one) // 0 for what is too large for a version
			all = append(all, n)
		}
		return all
	}
	return cmp.Or(slices.Compare(numbers(a), numbers(b)), cmp.Compare(a, b))
}

// checkImage tells whether a file can be a kernel: a bzImage, whose header has
// a signature (Documentation/arch/x86/boot.rst), or an ELF file.
func checkImage(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNoEngine, err)
	}
	defer f.Close()
	var begin [0x206]byte
	_, err = io.ReadFull(f, begin[:])
	if err == nil && (string(begin[0x202:]) == "HdrS" || string(begin[:4]) == "\x7fELF") {
		return nil
	}
	return fmt.Errorf("%s is no kernel for x86-64: neither a bzImage nor an ELF file", path)
}
