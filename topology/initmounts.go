package topology

import (
	"errors"
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// staging is where a tmpfs with the host's own files is mounted while they are
// made: in the machine's /proc, with which it goes out of sight. The files stay
// where they are bound.
const staging = "/proc/sys"

// privateDirs are directories of the machine in whose place a host has an
// empty one: that of the names of "ip netns", which makes files there, and that
// of nscd's socket, over which the machine's names would be given, before
// /etc/hosts is looked at.
var privateDirs = [...]string{"/run/netns", "/run/nscd"}

// mountOwn gives the init's mount namespace, which starts as a copy of the
// machine's, what is the host's own. It must be private already. What does not
// exist on the machine is not mounted over, for to make it there would be to
// change the machine.
func mountOwn(hosts string) error {
	if err := unix.Mount("tmpfs", staging, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=755,size=1m"); err != nil {
		return fmt.Errorf("mount tmpfs: %w", err)
	}
	machines, err := readFile("/etc/nsswitch.conf")
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return err
	}
	for _, f := range []struct{ path, content string }{
		{"/etc/hosts", hosts},
		{"/etc/resolv.conf", etcResolv},
		{"/etc/nsswitch.conf", etcNsswitch(machines)},
	} {
		own := filepath.Join(staging, filepath.Base(f.path))
		if err := errors.Join(writeFile(own, f.content), bind(own, f.path)); err != nil {
			return err
		}
	}
	for _, dir := range privateDirs {
		own := filepath.Join(staging, filepath.Base(dir))
		if err := unix.Mkdir(own, 0o755); err != nil {
			return fmt.Errorf("make %s: %w", own, err)
		}
		if err := bind(own, dir); err != nil {
			return err
		}
	}
	return mountProc()
}

// readFile reads a small file. The os package's would start the runtime's poller
// first, which takes longer than all else here.
func readFile(path string) (string, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", fmt.Errorf("open %s: %w", path, err)
	}
	defer unix.Close(fd)
	buf := make([]byte, 1<<16)
	n, err := unix.Read(fd, buf)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return string(buf[:n]), nil
}

// writeFile makes a file that everybody can read: the umask is the caller's.
func writeFile(path, content string) error {
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CREAT|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return fmt.Errorf("make %s: %w", path, err)
	}
	defer unix.Close(fd)
	if err := unix.Fchmod(fd, 0o644); err != nil {
		return fmt.Errorf("make %s: %w", path, err)
	}
	if _, err := unix.Write(fd, []byte(content)); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// bind lets what is the host's own be seen at a path of the machine, where
// that exists. If it is a symbolic link, what it leads to is mounted over.
func bind(own, path string) error {
	err := unix.Mount(own, path, "", unix.MS_BIND, "")
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("bind the host's own %s: %w", path, err)
	}
	return nil
}

// mountProc puts the host's own /proc in the place of the machine's. That is
// not only covered: who takes the cover off would find the machine's namespaces
// below. What cannot be unmounted (MNT_LOCKED, of a lab in a container) is
// covered after all.
func mountProc() error {
	// The new one is made first: within a user namespace the kernel wants
	// to see a full /proc before it gives another (mount_too_revealing).
	context, err := unix.Fsopen("proc", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return fmt.Errorf("open proc file system: %w", err)
	}
	defer unix.Close(context)
	if err := unix.FsconfigCreate(context); err != nil {
		return fmt.Errorf("make proc file system: %w", err)
	}
	mount, err := unix.Fsmount(context, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC)
	if err != nil {
		return fmt.Errorf("make mount of proc file system: %w", err)
	}
	defer unix.Close(mount)
	for unix.Unmount("/proc", unix.MNT_DETACH) == nil {
	}
	if err := unix.MoveMount(mount, "", unix.AT_FDCWD, "/proc", unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	return nil
}
