package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// CleanScratch removes the directories that stood for {dir} in runs which did not
// end in good order. tell is told of each.
func CleanScratch(tell func(what string)) error {
	dirs, err := filepath.Glob(filepath.Join(os.TempDir(), scratchPrefix+"*"))
	if err != nil {
		return fmt.Errorf("find directories of runs: %w", err)
	}
	var errs []error
	for _, dir := range dirs {
		number, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), scratchPrefix), "-")
		pid, err := strconv.Atoi(number)
		if err != nil || !errors.Is(unix.Kill(pid, 0), unix.ESRCH) {
			continue // it is not lab's, or its run goes on
		}
		var st unix.Stat_t
		if unix.Lstat(dir, &st) != nil || int(st.Uid) != os.Geteuid() || st.Mode&unix.S_IFMT != unix.S_IFDIR {
			continue // anybody can make one of the name
		}
		if err := os.RemoveAll(dir); err != nil {
			errs = append(errs, fmt.Errorf("remove a run's directory: %w", err))
			continue
		}
		tell(fmt.Sprintf("removed %s, of a run that did not end in good order (process %d)", dir, pid))
	}
	return errors.Join(errs...)
}
