package topology

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// arguments are what execve(2) and chdir(2) get for a program. They may be as
// large as execve takes, 2 MiB with the usual stack limit, and of any octets
// but NUL, so that they cross to the init in a memfd beside the request: each
// string with a NUL behind it, the path, the directory, the arguments, the
// environment.
type arguments struct {
	path, dir string
	argv, env []string
}

// pack puts them in a memfd, which the caller closes.
func (a arguments) pack() (*os.File, error) {
	var b strings.Builder
	for _, list := range [][]string{{a.path, a.dir}, a.argv, a.env} {
		for _, s := range list {
			if strings.IndexByte(s, 0) >= 0 {
				return nil, fmt.Errorf("NUL in %q: %w", s, unix.EINVAL)
			}
			b.WriteString(s)
			b.WriteByte(0)
		}
	}
	fd, err := unix.MemfdCreate("arguments", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make memfd for arguments: %w", err)
	}
	f := os.NewFile(uintptr(fd), "arguments")
	if _, err := f.WriteString(b.String()); err != nil {
		f.Close()
		return nil, fmt.Errorf("write arguments: %w", err)
	}
	return f, nil
}

// unpackArguments reads a memfd that stays the caller's, of which argc strings
// are arguments.
func unpackArguments(fd, argc int) (arguments, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return arguments{}, fmt.Errorf("read arguments: %w", err)
	}
	b := make([]byte, st.Size)
	for n := 0; n < len(b); {
		more, err := unix.Pread(fd, b[n:], int64(n))
		if err == nil && more == 0 {
			err = unix.EBADMSG
		}
		if err != nil {
			return arguments{}, fmt.Errorf("read arguments: %w", err)
		}
		n += more
	}
	all := strings.Split(strings.TrimSuffix(string(b), "\x00"), "\x00")
	if argc < 0 || len(all) < 2+argc {
		return arguments{}, fmt.Errorf("read arguments: %w", unix.EBADMSG)
	}
	all, argv := all[2+argc:], all[:2+argc:2+argc]
	return arguments{argv[0], argv[1], argv[2:], all}, nil
}
