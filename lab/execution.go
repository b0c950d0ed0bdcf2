package lab

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/lab/programs"
	"github.com/seed-6fefc909/tcplab/topology"
)

// An Execution says how programs that are not lab's own are run. The zero value
// runs them as lab itself runs.
type Execution struct {
	// Credential is whom they run as, nil for lab's own user; User is the name.
	Credential *topology.Credential
	User       string
	// Env is their environment, nil for lab's; Dir their working directory,
	// "" for lab's. A relative path to a program counts from there.
	Env []string
	Dir string
	// Input is the file that is the client's standard input, "" for none.
	// Terminal is it instead, if it is not nil; it stays the caller's.
	Input    string
	Terminal *os.File
	// Tee gets what the client writes, nil for nobody.
	Tee io.Writer
}

// Command is what is executed for a program with its arguments: one of lab's
// own, or one that is found in PATH. Its streams are not set.
func (x Execution) Command(argv []string) (topology.Command, error) {
	if programs.Known(argv[0]) {
		return topology.Command{Path: topology.Self, Argv: argv, Env: []string{"GOMAXPROCS=1"}}, nil
	}
	path, err := x.lookPath(argv[0])
	return topology.Command{Path: path, Argv: argv, Env: x.environment(), Dir: x.dir(), Credential: x.Credential}, err
}

// input opens the client's standard input, which owned says is to be closed;
// nil for none.
func (x Execution) input() (f *os.File, owned bool, err error) {
	switch {
	case x.Terminal != nil:
		return x.Terminal, false, nil
	case x.Input == "":
		return nil, false, nil
	}
	f, err = os.Open(x.Input)
	if err != nil {
		return nil, false, fmt.Errorf("open the client's input: %w", err)
	}
	return f, true, nil
}

func (x Execution) environment() []string {
	if x.Env == nil {
		return os.Environ()
	}
	return x.Env
}

func (x Execution) dir() string {
	if x.Dir != "" {
		return x.Dir
	}
	dir, err := os.Getwd()
	if err != nil {
		return "/" // it was removed
	}
	return dir
}

// Who is the name of whom the programs run as.
func (x Execution) Who() string {
	if x.User == "" && x.Credential == nil {
		return "root"
	}
	return x.User
}

// notInPath is of a program that is not found. It is an os.ErrNotExist.
type notInPath string

func (n notInPath) Error() string { return fmt.Sprintf("program %q: not found in PATH", string(n)) }

func (notInPath) Is(target error) bool { return target == os.ErrNotExist }

// lookPath finds a program: in PATH, or at its path if it has a slash in it.
func (x Execution) lookPath(name string) (string, error) {
	if strings.Contains(name, "/") {
		path := name
		if !filepath.IsAbs(path) {
			path = filepath.Join(x.dir(), path)
		}
		return path, executable(name, path)
	}
	var found error = notInPath(name)
	for _, dir := range filepath.SplitList(x.Variable("PATH")) {
		if dir == "" || !filepath.IsAbs(dir) {
			dir = filepath.Join(x.dir(), dir)
		}
		path := filepath.Join(dir, name)
		err := executable(name, path)
		if err == nil && !x.allowed(path) {
			err = fmt.Errorf("program %q: not executable by %s: %w", name, x.Who(), unix.EACCES)
		}
		if err == nil {
			return path, nil
		}
		if _, unknown := os.Stat(path); unknown == nil {
			found = err // it is there, but cannot be executed
		}
	}
	return "", found
}

// allowed tells whether whom the programs run as may execute a file, by its
// mode and those of the directories above it.
func (x Execution) allowed(path string) bool {
	if x.Credential == nil || x.Credential.UID == 0 {
		return true
	}
	if real, err := filepath.EvalSymlinks(path); err == nil && real != path && !x.allowed(real) {
		return false
	}
	for ; ; path = filepath.Dir(path) {
		var st unix.Stat_t
		if unix.Stat(path, &st) != nil {
			return false
		}
		bit := uint32(0o001)
		switch {
		case st.Uid == x.Credential.UID:
			bit = 0o100
		case st.Gid == x.Credential.GID || slices.Contains(x.Credential.Groups, st.Gid):
			bit = 0o010
		}
		if st.Mode&bit == 0 {
			return false
		}
		if path == "/" {
			return true
		}
	}
}

// Variable is one of the environment's, "" if it has none of the name.
func (x Execution) Variable(name string) string {
	for _, v := range x.environment() {
		if value, found := strings.CutPrefix(v, name+"="); found {
			return value
		}
	}
	return ""
}

// executable tells why a file cannot be executed, as far as lab sees it.
func executable(name, path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return fmt.Errorf("program %q: %w", name, errors.Unwrap(err))
	case info.IsDir():
		return fmt.Errorf("program %q: is a directory: %w", name, unix.EACCES)
	case info.Mode()&0o111 == 0:
		return fmt.Errorf("program %q: not executable: %w", name, unix.EACCES)
	}
	return nil
}
