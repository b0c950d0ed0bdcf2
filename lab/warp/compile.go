package warp

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A BuildError says in which step a kernel's build failed, and what was said.
type BuildError struct {
	Step  string
	Lines []string // the output up to where it went wrong
	Log   string   // the file with all of it
	Hint  string
	err   error
}

func (e *BuildError) Error() string {
	s := fmt.Sprintf("build the kernel: %s: %v (all of it in %s)", e.Step, e.err, e.Log)
	for _, line := range e.Lines {
		s += "\n  | " + line
	}
	return s
}

func (e *BuildError) Unwrap() error { return e.err }

const (
	// buildLines is how many files make works on, give or take some.
	buildLines = 1460
	// buildRoom is what downloading, unpacking and compiling take, in bytes.
	buildRoom = 1_600_000_000
	// buildTail is how many lines tell of a failed build.
	buildTail = 15
)

// What make says of a file that it makes, and of one that it cannot make.
var (
	made = regexp.MustCompile(`^  [A-Z][A-Z_]* +\S`)
	stop = regexp.MustCompile(`^make.*: \*\*\* `)
)

// compile runs kernel/build in a directory, for which it writes its inputs. Its
// processes share the lock: if this one is killed, the next build waits for
// them to end.
func compile(ctx context.Context, dir, deb string, lock *os.File, report func(step string, share float64)) error {
	inputs := filepath.Join(dir, "inputs")
	if err := os.MkdirAll(inputs, 0o755); err != nil {
		return fmt.Errorf("build the kernel: %w", err)
	}
	for name, content := range map[string]string{"uml.config": umlConfig, "uml.patch": umlPatch, "build": umlBuild} {
		if err := os.WriteFile(filepath.Join(inputs, name), []byte(content), 0o644); err != nil {
			return fmt.Errorf("build the kernel: %w", err)
		}
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return fmt.Errorf("build the kernel: %w", err)
	}
	defer log.Close()
	cmd := exec.CommandContext(ctx, "bash", filepath.Join(inputs, "build"), deb, dir)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.ExtraFiles = []*os.File{lock}
	asGroup(cmd)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("build the kernel: %w", err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("build the kernel: %w", err)
	}
	failed := &BuildError{Step: "start", Log: log.Name()}
	stopped := false
	finished := objects(dir)
	lines := bufio.NewScanner(io.TeeReader(out, log))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if !stopped {
			failed.Lines = append(failed.Lines, line)
			failed.Lines = failed.Lines[max(len(failed.Lines)-buildTail, 0):]
		}
		// Jobs beside the one that failed go on for a while.
		stopped = stopped || stop.MatchString(line)
		if step, is := strings.CutPrefix(line, "== "); is {
			failed.Step = step
			report(step, 0)
		} else if failed.Step == "compile" && made.MatchString(line) {
			finished++
			report(failed.Step, min(float64(finished)/buildLines, 1))
		}
	}
	err = errors.Join(lines.Err(), cmd.Wait())
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err == nil {
		return nil
	}
	if said := strings.Join(failed.Lines, "\n"); strings.Contains(said, "No space left on device") {
		return noRoom(dir, "the build did not fit")
	}
	failed.err = err
	if failed.Step == "patch" {
		failed.Hint = "the patch is for Debian's source " + umlSource + ", and this is another: a younger lab may have one for it. " + elsewhere
	}
	return failed
}

// objects counts what an earlier build has made already.
func objects(dir string) (n int) {
	// What cannot be read does not count: it is a figure for the progress.
	_ = filepath.WalkDir(filepath.Join(dir, "objects"), func(path string, _ fs.DirEntry, _ error) error {
		if strings.HasSuffix(path, ".cmd") {
			n++
		}
		return nil
	})
	return n
}

// asGroup has a command's end be that of all its processes.
func asGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
}

// every calls a function again and again until the one that it returns is called.
func every(d time.Duration, f func()) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(d)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				f()
			case <-done:
				return
			}
		}
	}()
	return func() { close(done); <-ended }
}
