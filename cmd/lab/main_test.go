package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
	"golang.org/x/sys/unix"
	"golang.org/x/tools/txtar"
	"rsc.io/script"
	"rsc.io/script/scripttest"

	"github.com/seed-6fefc909/tcplab/internal/testenv"
	"github.com/seed-6fefc909/tcplab/lab"
	"github.com/seed-6fefc909/tcplab/lab/programs"
	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/scenarios"
	"github.com/seed-6fefc909/tcplab/lab/warp"
	"github.com/seed-6fefc909/tcplab/topology"
)

// nobody is the user without any privilege.
const nobody = 65534

// TestMain makes the test binary the program that is tested, too: executed
// under the name lab it is lab, and so are the inits and programs that lab
// executes in turn.
func TestMain(m *testing.M) {
	warp.RunGuest()
	topology.RunInit()
	programs.Run()
	if filepath.Base(os.Args[0]) == "lab" {
		collectSeldom()
		os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(testenv.Main(m))
}

// newLab puts a lab of its own into a directory that every user may enter,
// and returns its path. No other process executes this file.
func newLab(t *testing.T) string {
	t.Helper()
	path := filepath.Join(openDir(t), "lab")
	in, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	// A child that another test forks meanwhile would hold the file open for
	// writing until it executes: nobody could execute the file (ETXTBSY).
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(out, in)
	if err = errors.Join(err, out.Close()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { wantGone(t, path) })
	return path
}

// wantGone waits until no process executes the file any more.
func wantGone(t *testing.T, path string) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		left := testenv.Processes(path)
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("still there after 10 s:\n%s", strings.Join(left, "\n"))
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// openDir is a temporary directory in which every user may write.
func openDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(d, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Every script in testdata runs the real lab. Those whose names begin with
// root- make networks, those whose names begin with machine- need a virtual-time
// machine.
func TestScripts(t *testing.T) {
	engine := script.NewEngine()
	engine.Cmds = scripttest.DefaultCmds()
	engine.Cmds["status"] = wantStatus(nil)
	engine.Cmds["nobody"] = wantStatus(&syscall.Credential{Uid: nobody, Gid: nobody})
	engine.Cmds["valid"] = valid()
	engine.Cmds["owner"] = owner()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts:", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		t.Run(name, func(t *testing.T) {
			if strings.HasPrefix(name, "root-") {
				testenv.NeedRoot(t)
			}
			kernel := ""
			if strings.HasPrefix(name, "machine-") {
				kernel = needUML(t)
			}
			t.Parallel()
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			work := openDir(t)
			lab := filepath.Dir(newLab(t))
			env := []string{
				"PATH=" + lab + ":" + os.Getenv("PATH"),
				"HOME=/", "WORK=" + work, "TERM=xterm", "LAB=" + lab, // a directory with no other program
				warp.KernelEnv + "=" + kernel,
			}
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			state, err := script.NewState(ctx, work, env)
			if err != nil {
				t.Fatal(err)
			}
			if err := state.ExtractFiles(archive); err != nil {
				t.Fatal(err)
			}
			scripttest.Run(t, engine, state, file, bytes.NewReader(archive.Comment))
		})
	}
}

// wantStatus is a script's command that runs a program, as another user where
// the tests run as root and one is given, and wants an exit status.
func wantStatus(as *syscall.Credential) script.Cmd {
	return script.Command(script.CmdUsage{
		Summary: "run a program that must end with an exit status",
		Args:    "STATUS PROGRAM [ARG...]",
		Async:   true,
	}, func(s *script.State, args ...string) (script.WaitFunc, error) {
		if len(args) < 2 {
			return nil, script.ErrUsage
		}
		want, err := strconv.Atoi(args[0])
		if err != nil {
			return nil, script.ErrUsage
		}
		path := args[1]
		if !strings.Contains(path, "/") {
			if path, err = lookPath(s, path); err != nil {
				return nil, err
			}
		}
		cmd := exec.CommandContext(s.Context(), path, args[2:]...)
		cmd.Args[0] = args[1]
		cmd.Dir, cmd.Env = s.Getwd(), s.Environ()
		var stdout, stderr strings.Builder
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		if as != nil && os.Geteuid() == 0 {
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
		}
		if err := cmd.Start(); err != nil {
			return nil, err
		}
		return func(*script.State) (string, string, error) {
			err := cmd.Wait()
			if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
				err = nil
			}
			if got := cmd.ProcessState.ExitCode(); err == nil && got != want {
				err = fmt.Errorf("%v, want exit status %d", cmd.ProcessState, want)
			}
			return stdout.String(), stderr.String(), err
		}, nil
	})
}

// lookPath finds a program as the script's PATH says, not the test's.
func lookPath(s *script.State, name string) (string, error) {
	path, _ := s.LookupEnv("PATH")
	for _, dir := range filepath.SplitList(path) {
		full := filepath.Join(dir, name)
		if info, err := os.Stat(full); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return full, nil
		}
	}
	return "", fmt.Errorf("%s: %w", name, exec.ErrNotFound)
}

// valid is a script's command that holds a record, or one a line, against the
// schema.
func valid() script.Cmd {
	return script.Command(script.CmdUsage{
		Summary: "validate records against the schema",
		Args:    "stdout|FILE [COUNT]",
	}, func(s *script.State, args ...string) (script.WaitFunc, error) {
		if len(args) == 0 || len(args) > 2 {
			return nil, script.ErrUsage
		}
		text, want := s.Stdout(), 1
		if args[0] != "stdout" {
			b, err := os.ReadFile(s.Path(args[0]))
			if err != nil {
				return nil, err
			}
			text = string(b)
		}
		if len(args) == 2 {
			var err error
			if want, err = strconv.Atoi(args[1]); err != nil {
				return nil, script.ErrUsage
			}
		}
		records, err := decodeRecords(text)
		if err == nil && len(records) != want {
			err = fmt.Errorf("%d records, want %d", len(records), want)
		}
		return nil, err
	})
}

// decodeRecords validates and reads records: one, a list, or one after the
// other.
func decodeRecords(text string) ([]*record.Record, error) {
	var s jsonschema.Schema
	if err := json.Unmarshal(record.JSONSchema(), &s); err != nil {
		return nil, err
	}
	schema, err := s.Resolve(nil)
	if err != nil {
		return nil, err
	}
	var records []*record.Record
	in := json.NewDecoder(strings.NewReader(text))
	for {
		var one json.RawMessage
		if err := in.Decode(&one); err == io.EOF {
			return records, nil
		} else if err != nil {
			return nil, err
		}
		list := []json.RawMessage{one}
		if bytes.HasPrefix(bytes.TrimSpace(one), []byte("[")) {
			if err := json.Unmarshal(one, &list); err != nil {
				return nil, err
			}
		}
		for _, raw := range list {
			var generic any
			if err := json.Unmarshal(raw, &generic); err != nil {
				return nil, err
			}
			if err := schema.Validate(generic); err != nil {
				return nil, err
			}
			r, err := record.Read(bytes.NewReader(raw))
			if err != nil {
				return nil, err
			}
			records = append(records, r)
		}
	}
}

// owner is a script's command that wants files to belong to a user.
func owner() script.Cmd {
	return script.Command(script.CmdUsage{
		Summary: "check who owns files",
		Args:    "UID:GID FILE...",
	}, func(s *script.State, args ...string) (script.WaitFunc, error) {
		if len(args) < 2 {
			return nil, script.ErrUsage
		}
		for _, file := range args[1:] {
			var st unix.Stat_t
			if err := unix.Lstat(s.Path(file), &st); err != nil {
				return nil, fmt.Errorf("stat %s: %w", file, err)
			}
			if got := fmt.Sprintf("%d:%d", st.Uid, st.Gid); got != args[0] {
				return nil, fmt.Errorf("%s belongs to %s, want %s", file, got, args[0])
			}
		}
		return nil, nil
	})
}

// Each scenario is explained to anybody: its story, its script, its sources.
func TestExplainEveryScenario(t *testing.T) {
	lab := newLab(t)
	for _, sc := range scenarios.All() {
		t.Run(sc.Name, func(t *testing.T) {
			cmd := exec.Command(lab, "explain", sc.Name)
			if os.Geteuid() == 0 {
				cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
			}
			var errs strings.Builder
			cmd.Dir, cmd.Stderr = "/", &errs
			out, err := cmd.Output()
			if err != nil || errs.Len() > 0 {
				t.Fatalf("%v, standard error %q", err, errs.String())
			}
			text := strings.Join(strings.Fields(string(out)), " ") // whatever the lines are
			for _, part := range [][]string{sc.Story, sc.Sources, {sc.Title, "prediction:", "sudo lab run " + sc.Name, "lab show " + sc.Name}} {
				for _, want := range part {
					if !strings.Contains(text, strings.Join(strings.Fields(want), " ")) {
						t.Errorf("does not say %q", want)
					}
				}
			}
			lines := map[string]bool{}
			in := bufio.NewScanner(bytes.NewReader(out))
			for in.Scan() {
				lines[strings.TrimSpace(in.Text())] = true
			}
			for line := range strings.Lines(sc.Script()) {
				if line = strings.TrimSpace(line); line != "" && !lines[line] {
					t.Errorf("does not have the script's line %q", line)
				}
			}
		})
	}
}

// Left out is only what is not what it says on the path, and a mistake is none.
func TestPrepare(t *testing.T) {
	experiments, leftOut, err := prepare(scenarios.All(), lab.Options{Path: topology.Switch})
	if err != nil || len(experiments) == 0 || len(leftOut) == 0 || len(experiments)+len(leftOut) != len(scenarios.All()) {
		t.Errorf("%d experiments, %d left out of %d, error %v", len(experiments), len(leftOut), len(scenarios.All()), err)
	}
	wrong, readErr := scenarios.Read("wrong.lab", "zero here\nstart client sshd\n")
	if readErr != nil {
		t.Fatal(readErr)
	}
	kill, _ := scenarios.Find("kill")
	if _, leftOut, err = prepare([]*scenarios.Source{wrong, kill}, lab.Options{Path: topology.Switch}); err == nil || len(leftOut) > 0 {
		t.Errorf("left out %v, error %v", leftOut, err)
	}
}
