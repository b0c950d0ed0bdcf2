package warp

import (
	"context"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// A qemuProcess is a running QEMU.
type qemuProcess struct {
	*process
	qmp *qmp
}

// startQEMU starts one, which may write below the directories. Where QEMU is
// asked for something, ctx ends the wait.
func startQEMU(c command, cpu int, writable ...string) (*qemuProcess, error) {
	q, theirs, err := newQMP()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	p, err := launch{
		argv: c, env: []string{"PATH=/usr/bin:/bin"}, dir: "/", cpu: cpu, writable: writable, files: []*os.File{theirs},
	}.start()
	if err != nil {
		q.close()
		return nil, err
	}
	return &qemuProcess{process: p, qmp: q}, nil
}

// close ends it if it has not ended.
func (m *qemuProcess) close() {
	m.kill()
	m.qmp.close()
}

func (m *qemuProcess) breakdown() *MachineError { return m.process.breakdown(QEMUName) }

// during does what waits for QEMU. When ctx ends, QEMU does, and with it the
// wait.
func (m *qemuProcess) during(ctx context.Context, do func() error) error {
	stop := context.AfterFunc(ctx, m.kill)
	err := do()
	if !stop() {
		return context.Cause(ctx)
	}
	if err != nil {
		m.kill()
		return &MachineError{QEMUName, err.Error(), m.console.tail(consoleLines)}
	}
	return nil
}

// saveLimit is how long a machine may take to boot and to be saved.
const saveLimit = 3 * time.Minute

// save boots a machine to where it asks for its job, and keeps it in the entry.
func (q *QEMU) save(ctx context.Context, e *entry, cpu int) error {
	ctx, cancel := context.WithTimeoutCause(ctx, saveLimit, &LimitError{Limit: saveLimit})
	defer cancel()
	return e.make(stateFile, func(state *os.File) error {
		return e.make(memoryFile, func(memory *os.File) error {
			c := q.command(e.memory, 0)
			c.memoryFile(memory.Name(), e.memory, true)
			c.add("-initrd", e.path(initrdFile))
			c.files(nil, Job{})
			m, err := startQEMU(c, cpu, e.dir)
			if err != nil {
				return err
			}
			defer m.close()
			return m.during(ctx, func() error { return m.save(state.Name()) })
		})
	})
}

func (m *qemuProcess) save(path string) error {
	if err := m.qmp.migration(); err != nil {
		return err
	}
	if _, err := m.qmp.await("STOP"); err != nil {
		return err
	}
	if err := m.qmp.do("migrate", map[string]string{"uri": "exec:cat >" + quote(path)}); err != nil {
		return err
	}
	if err := m.qmp.migrated(); err != nil {
		return err
	}
	return m.qmp.do("quit", nil)
}

// boot starts the machine that runs the job: cold, or a copy of the saved one.
func (q *QEMU) boot(ctx context.Context, e *entry, dir *workDir, j Job, cpu int) (*qemuProcess, error) {
	c := q.command(e.memory, j.Seed)
	c.files(dir, j)
	if q.cold {
		c.add("-machine", "pc,hpet=on", "-initrd", e.path(initrdFile))
		return startQEMU(c, cpu, dir.path)
	}
	c.memoryFile(e.path(memoryFile), e.memory, false)
	c.add("-initrd", e.path(initrdFile), "-incoming", "defer")
	m, err := startQEMU(c, cpu, dir.path, e.dir)
	if err != nil {
		return nil, err
	}
	if err := m.during(ctx, func() error { return m.restore(e.path(stateFile)) }); err != nil {
		m.close()
		return nil, err
	}
	return m, nil
}

func (m *qemuProcess) restore(path string) error {
	if err := m.qmp.migration(); err != nil {
		return err
	}
	if err := m.qmp.do("migrate-incoming", map[string]string{"uri": "exec:cat " + quote(path)}); err != nil {
		return err
	}
	if err := m.qmp.migrated(); err != nil {
		return err
	}
	return m.qmp.do("cont", nil)
}

// quote makes a path one word of the shell's, which QEMU starts.
func quote(path string) string { return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'" }

func (m *qemuProcess) overdue(ctx context.Context) *LimitError {
	late := &LimitError{Hint: "each instruction takes a nanosecond of this machine's time, and it computes about 0.4 s of it in a second: give it more time with --limit"}
	late.Program, late.PID = m.computing(ctx)
	m.kill()
	return late
}

// computing has the machine's kernel say what it is at, by an interrupt on
// which it breaks down.
func (m *qemuProcess) computing(ctx context.Context) (program string, pid int) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	stop := context.AfterFunc(ctx, m.kill)
	defer stop()
	if m.qmp.do("inject-nmi", nil) == nil {
		<-m.done // it breaks down, and does not start again
	}
	for _, line := range m.console.tail(100) {
		if found := kernelAt.FindStringSubmatch(line); found != nil {
			pid, _ = strconv.Atoi(found[1])
			return found[2], pid
		}
	}
	return "", 0
}

// kernelAt is a line of an oops (lib/dump_stack.c).
var kernelAt = regexp.MustCompile(`CPU: \d+ (?:UID: \d+ )?PID: (\d+) Comm: (.+?) (?:Not tainted|Tainted:)`)

// A qemuMachine is a machine that runs a job.
type qemuMachine struct {
	*qemuProcess
	entry *entry // what it was made from
	dir   *workDir
	out   []string // the job's directories
}

func (j *qemuMachine) outcome() (outcome, error) { return j.dir.result(j.out) }

func (j *qemuMachine) close() {
	j.qemuProcess.close()
	j.entry.close()
}
