package warp

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// landlockWrites are the rights to change something in a file system that the
// kernel's Landlock knows, by its version.
func landlockWrites(abi int) uint64 {
	rights := uint64(unix.LANDLOCK_ACCESS_FS_WRITE_FILE |
		unix.LANDLOCK_ACCESS_FS_REMOVE_DIR | unix.LANDLOCK_ACCESS_FS_REMOVE_FILE |
		unix.LANDLOCK_ACCESS_FS_MAKE_CHAR | unix.LANDLOCK_ACCESS_FS_MAKE_DIR |
		unix.LANDLOCK_ACCESS_FS_MAKE_REG | unix.LANDLOCK_ACCESS_FS_MAKE_SOCK |
		unix.LANDLOCK_ACCESS_FS_MAKE_FIFO | unix.LANDLOCK_ACCESS_FS_MAKE_BLOCK |
		unix.LANDLOCK_ACCESS_FS_MAKE_SYM)
	if abi >= 2 {
		rights |= unix.LANDLOCK_ACCESS_FS_REFER
	}
	if abi >= 3 {
		rights |= unix.LANDLOCK_ACCESS_FS_TRUNCATE
	}
	return rights
}

// landlock is the version of the kernel's Landlock. The error is a *LackError if
// there is none.
func landlock() (abi int, err error) {
	n, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	switch errno {
	case 0:
		return int(n), nil
	case unix.ENOSYS, unix.EOPNOTSUPP, unix.EPERM: // EPERM: a container's seccomp profile from before Landlock
		return 0, &LackError{
			fmt.Sprintf("there is no Landlock here: %v", errno),
			"it is in Linux 5.13 and later, if security modules (lsm=) name it and the container lets it be called",
		}
	}
	return 0, fmt.Errorf("ask for Landlock: %w", errno)
}

// CheckLandlock tells whether the host's kernel keeps machines from writing to
// other files, whatever goes wrong in them. The error is a *LackError if it has
// no Landlock: machines run without it, too.
func CheckLandlock() error {
	_, err := landlock()
	return err
}

// confine takes from the calling thread, and from what it executes, the right
// to change any file but those below the directories. The machine's kernel has
// no business elsewhere, whatever a program makes it do; where there
// is no Landlock that rests on the machine alone, whose root is mounted
// read-only.
func confine(dirs ...string) error {
	abi, err := landlock()
	if _, lacking := errors.AsType[*LackError](err); lacking {
		return nil
	}
	if err != nil {
		return err
	}
	rights := landlockWrites(abi)
	attr := unix.LandlockRulesetAttr{Handled_access_fs: rights}
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr.Handled_access_fs), 0)
	if errno != 0 {
		return fmt.Errorf("make Landlock rules: %w", errno)
	}
	defer unix.Close(int(fd))
	allow := func(path string, rights uint64) error {
		at, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("open %s: %w", path, err)
		}
		defer unix.Close(at)
		rule := unix.LandlockPathBeneathAttr{Allowed_access: rights, Parent_fd: int32(at)}
		if _, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, fd, unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&rule)), 0, 0, 0); errno != 0 {
			return fmt.Errorf("allow writing to %s: %w", path, errno)
		}
		return nil
	}
	errs := []error{allow("/dev/null", unix.LANDLOCK_ACCESS_FS_WRITE_FILE)}
	for _, dir := range dirs {
		// Devices would be the host's to whoever finds them there.
		errs = append(errs, allow(dir, rights&^(unix.LANDLOCK_ACCESS_FS_MAKE_CHAR|unix.LANDLOCK_ACCESS_FS_MAKE_BLOCK)))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("give up new privileges: %w", err)
	}
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, fd, 0, 0); errno != 0 {
		return fmt.Errorf("enforce Landlock rules: %w", errno)
	}
	return nil
}
