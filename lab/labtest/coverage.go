package labtest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// takeCoverage copies what another process of this binary covered to where the
// testing package of this one adds all up at its end (-test.gocoverdir). The
// counters' files are called covcounters.HASH.PID.NANOSECONDS, which in a
// machine would be the same each time.
func takeCoverage(from, to string) error {
	files, err := filepath.Glob(filepath.Join(from, "covcounters.*"))
	if err != nil {
		return err
	}
	var errs []error
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err == nil {
			hash := strings.Split(filepath.Base(file), ".")[1]
			name := fmt.Sprintf("covcounters.%s.%d.%d", hash, os.Getpid(), time.Now().UnixNano())
			err = os.WriteFile(filepath.Join(to, name), content, 0o666)
		}
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("take coverage over: %w", err)
	}
	return nil
}
