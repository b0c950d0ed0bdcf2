package warp

import (
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// KernelEnv is the variable that names a User-Mode Linux kernel to take
// instead of the one that SetUp built.
const KernelEnv = "LAB_WARP_KERNEL"

// A Built is the record that SetUp leaves beside the kernel that it built.
type Built struct {
	Source   string    `json:"source"`   // the version of Debian's package linux-source-6.12
	Compiler string    `json:"compiler"` // as it calls itself
	Date     time.Time `json:"date"`
	Seconds  float64   `json:"seconds"` // that the build took
	SHA256   string    `json:"sha256"`  // of the kernel
	Size     int64     `json:"size"`    // of the kernel, in bytes
	// Modified is when the kernel was last written to. A file that has this
	// time and size still is taken for the one whose sum was computed.
	Modified time.Time `json:"modified"`
}

// umlSection is where a User-Mode Linux kernel has its parameters.
const umlSection = ".uml.setup.init"

// The files of a kernel in the cache.
const (
	kernelName = "linux"
	builtName  = "built.json"
)

// UMLKernel finds the User-Mode Linux kernel: the file that LAB_WARP_KERNEL
// names, or else what SetUp built of the same configuration, patch and steps
// as this program has, from the source that the patch was made for if there
// are several. The error wraps ErrNoEngine if there is none; a file that is
// there and cannot be it is another error.
func UMLKernel() (string, error) {
	if path := os.Getenv(KernelEnv); path != "" {
		if err := checkKernel(path); err != nil {
			return "", fmt.Errorf("take the kernel of %s: %w", KernelEnv, err)
		}
		return filepath.Abs(path)
	}
	path, _, err := cachedKernel()
	return path, err
}

// cachedKernel finds what SetUp built.
func cachedKernel() (string, *Built, error) {
	cache, err := cachePath()
	if err != nil {
		return "", nil, err
	}
	dir := filepath.Join(cache, "uml")
	// A kernel of the source that the patch is for comes before others.
	path, built, err := openKernel(filepath.Join(dir, umlKey(umlSource)))
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return path, built, err
	}
	others, err := filepath.Glob(filepath.Join(dir, "*", builtName))
	if err != nil {
		return "", nil, err
	}
	var newest *Built
	for _, other := range others {
		other, built, err := openKernel(filepath.Dir(other))
		if err != nil || filepath.Base(filepath.Dir(other)) != umlKey(built.Source) {
			continue // half a kernel, or one of other inputs
		}
		if newest == nil || built.Date.After(newest.Date) {
			path, newest = other, built
		}
	}
	if newest == nil {
		return "", nil, &LackError{
			"there is no User-Mode Linux kernel in " + dir, getUML + "; " + elsewhere,
		}
	}
	return path, newest, nil
}

// openKernel checks the kernel in a directory of the cache against its record.
// The error is fs.ErrNotExist if there is none.
func openKernel(dir string) (string, *Built, error) {
	text, err := os.ReadFile(filepath.Join(dir, builtName))
	if err != nil {
		return "", nil, fmt.Errorf("read a kernel's record: %w", err)
	}
	built := new(Built)
	if err := json.Unmarshal(text, built); err != nil {
		return "", nil, fmt.Errorf("read a kernel's record: %s: %w", dir, err)
	}
	path := filepath.Join(dir, kernelName)
	info, err := os.Stat(path)
	if err != nil {
		return "", nil, fmt.Errorf("find a kernel by its record: %w", err)
	}
	if info.Size() != built.Size || !info.ModTime().Equal(built.Modified) {
		return "", nil, fmt.Errorf("%s is not the file that was built: run lab warp setup", path)
	}
	return path, built, checkKernel(path)
}

// checkKernel tells whether a file can be a User-Mode Linux kernel.
func checkKernel(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
		return fmt.Errorf("%s is not an executable file", path)
	}
	f, err := elf.Open(path)
	if err != nil {
		if _, format := errors.AsType[*elf.FormatError](err); format || !errors.Is(err, fs.ErrPermission) {
			return fmt.Errorf("%s is not an ELF file: %w", path, err)
		}
		return err
	}
	defer f.Close()
	if f.Machine != elf.EM_X86_64 || f.Type != elf.ET_EXEC && f.Type != elf.ET_DYN {
		return fmt.Errorf("%s is not a program for x86-64", path)
	}
	// Any program is that.
	if f.Section(umlSection) == nil {
		return fmt.Errorf("%s is a program, but not a User-Mode Linux kernel", path)
	}
	return nil
}
