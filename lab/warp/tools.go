package warp

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// buildNeeds are the programs that kernel/build runs and the headers that it
// reads, and Debian's packages that have them.
var buildNeeds = []struct{ what, packaged string }{
	{"bc", "bc"},
	{"bison", "bison"},
	{"flex", "flex"},
	{"gcc", "gcc"},
	{"ld", "binutils"},
	{"make", "make"},
	{"pahole", "dwarves"},
	{"patch", "patch"},
	{"python3", "python3-minimal"},
	{"xz", "xz-utils"},
	{"gelf.h", "libelf-dev"},
	{"stdio.h", "libc6-dev"},
}

// How to get a machine, and how long that takes.
const (
	getUML    = "lab warp setup builds one of User-Mode Linux, in about five minutes and without root"
	elsewhere = "a kernel that was built on another machine runs here, too: name it in " + KernelEnv
	getQEMU   = "lab warp setup --kernel 6.1 and sudo apt-get install --no-install-recommends qemu-system-x86 give one of Debian's own kernel in QEMU, in about a minute"
)

// checkTools tells whether a kernel can be built here at all, with the headers
// of a directory.
func checkTools(include string) error {
	for _, tool := range []string{"apt-get", "apt-cache", "dpkg-deb"} {
		if _, err := exec.LookPath(tool); err != nil {
			return &LackError{"the kernel's source is a package of Debian's, and there is no " + tool + " here", elsewhere}
		}
	}
	var missing, packages []string
	for _, need := range buildNeeds {
		var err error
		if strings.HasSuffix(need.what, ".h") {
			_, err = os.Stat(filepath.Join(include, need.what))
		} else {
			_, err = exec.LookPath(need.what)
		}
		if err != nil {
			missing = append(missing, need.what)
			packages = append(packages, need.packaged)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	slices.Sort(packages)
	return &LackError{
		"what builds the kernel is not there: " + strings.Join(missing, ", "),
		"sudo apt-get update && sudo apt-get install --no-install-recommends " + strings.Join(slices.Compact(packages), " "),
	}
}

// checkRoom tells whether a directory has room for so many bytes.
func checkRoom(dir string, bytes int64) error {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return fmt.Errorf("ask how much room there is: %s: %w", dir, err)
	}
	if free := int64(s.Bavail) * s.Bsize; free < bytes {
		return noRoom(dir, fmt.Sprintf("%d MB are free and %d MB are needed", free/1e6, bytes/1e6))
	}
	return nil
}

func noRoom(dir, what string) error {
	return &LackError{"too little room in " + dir + ": " + what, "make room there, or set XDG_CACHE_HOME to a directory elsewhere"}
}
