package viewer

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report"
)

// defaultPatience is that of Options, if it has none.
const defaultPatience = 10 * time.Second

// Options say how a viewer is run.
type Options struct {
	Host string // whose capture is shown
	// Credential is whom it runs as, nil for lab's own user; Env is its
	// environment, nil for lab's.
	Credential *syscall.Credential
	Env        []string
	// Out gets what it prints, Err what a window's program complains of.
	Out io.Writer
	Err *os.File
	// Say gets what is to be said of it: what it does not show, and why.
	Say func(error)
	// Patience is how long it may do nothing at all, once the run is over,
	// while there is something to show; 0 for 10 s.
	Patience time.Duration
}

// A Viewer is a program that is shown a host's capture. It may take its time,
// end early, or never read at all: the run does not wait for it.
type Viewer struct {
	program  Program
	say      func(error)
	patience time.Duration
	cmd      *exec.Cmd
	out      *output
	words    *tail    // the last ones of a program without a window
	in       *os.File // the pipe to it

	capture *report.CaptureWriter // into piece
	piece   bytes.Buffer
	begun   bool          // there was something to show
	broken  bool          // the capture cannot be written
	pieces  chan []byte   // what is to go into the pipe, one at a time
	idle    chan struct{} // holds something while nothing is put into the pipe
	ending  atomic.Bool   // the run is over
	pumped  chan struct{} // closed when nothing more is put into the pipe
	lost    bool          // once pumped is closed: not all was

	exited chan struct{}
	status error // of the program, once exited is closed
}

// Start starts a program. Finish must follow.
func Start(p Program, o Options) (*Viewer, error) {
	in, out, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", p.Name, err)
	}
	defer in.Close()
	v := &Viewer{
		program: p, say: o.Say, patience: cmp.Or(o.Patience, defaultPatience), in: out, out: &output{to: o.Out, moved: make(chan struct{}, 1)}, words: &tail{},
		pieces: make(chan []byte, 1), idle: make(chan struct{}, 1), pumped: make(chan struct{}), exited: make(chan struct{}),
	}
	v.capture = report.NewCaptureWriter(&v.piece, o.Host)
	v.cmd = exec.Command(p.Argv[0], p.Argv[1:]...)
	v.cmd.Stdin, v.cmd.Env = in, o.Env
	// A group of its own: Ctrl-C is for lab, which then shows how it ended.
	v.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: o.Credential}
	if p.Window {
		v.cmd.Stderr = o.Err // not through lab, which it outlives
	} else {
		v.cmd.Stdout, v.cmd.Stderr = v.out, v.words
	}
	if err := v.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", p.Name, err), out.Close())
	}
	go func() {
		v.status = v.cmd.Wait()
		close(v.exited)
	}()
	v.idle <- struct{}{}
	go v.pump()
	return v, nil
}

// Show shows what happened until a time, that included, and was not shown yet.
// It never waits: as long as the program does not take what came before, there
// is nothing new; nor before the run has begun.
func (v *Viewer) Show(r *record.Record, c *record.Capture, until int64) {
	if r.Started == "" {
		return
	}
	select {
	case <-v.idle:
		v.hand(r, c, until+1)
	default:
	}
}

// hand gives the pump what comes before a time; the pump is idle.
func (v *Viewer) hand(r *record.Record, c *record.Capture, until int64) {
	v.begun = true
	v.piece.Reset()
	if err := v.capture.Write(r, c, until); err != nil {
		v.say(err)
		v.broken = true
		return
	}
	v.pieces <- v.piece.Bytes()
}

// pump puts pieces into the pipe until they end, and closes it then.
func (v *Viewer) pump() {
	defer close(v.pumped)
	defer v.in.Close()
	for piece := range v.pieces {
		if err := v.write(piece); err != nil {
			v.lost = true
			v.gone(err)
			return
		}
		v.idle <- struct{}{}
	}
}

// atOnce is how much is put into the pipe at a time, in octets.
const atOnce = 32 << 10

func (v *Viewer) write(piece []byte) error {
	for len(piece) > 0 {
		if v.ending.Load() {
			if err := v.in.SetWriteDeadline(time.Now().Add(v.patience)); err != nil {
				return err
			}
		}
		n, err := v.in.Write(piece[:min(len(piece), atOnce)])
		piece = piece[n:]
		if errors.Is(err, os.ErrDeadlineExceeded) && (n > 0 || v.out.busy.Load()) {
			continue // it is whoever reads its output that takes the time
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// gone says why the program takes nothing more.
func (v *Viewer) gone(err error) {
	if v.out.failed.Load() {
		return // nobody reads what it prints, which whoever prints knows
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		v.say(fmt.Errorf("%s takes nothing more: it did not read for %v", v.program.Name, v.patience))
		return
	}
	select {
	case <-v.exited:
		v.say(fmt.Errorf("%s ended before the run did%s", v.program.Name, v.why()))
	case <-time.After(time.Second): // who ends closes the pipe just before
		v.say(fmt.Errorf("%s takes nothing more: %w", v.program.Name, err))
	}
}

// why says how the program ended, and its last words.
func (v *Viewer) why() string {
	var parts []string
	if v.status != nil {
		parts = append(parts, v.status.Error())
	}
	if words := v.words.String(); words != "" {
		parts = append(parts, words)
	}
	if len(parts) == 0 {
		return ""
	}
	return ": " + strings.Join(parts, ": ")
}

// Finish shows the rest, of a run that is over, and waits until a program
// without a window has printed all and has ended. What was not shown is said.
func (v *Viewer) Finish(r *record.Record, c *record.Capture) {
	v.ending.Store(true)
	_ = v.in.SetWriteDeadline(time.Now().Add(v.patience)) // of what is being written; it may be closed
	if !v.broken && r.Started != "" {
		select {
		case <-v.idle:
			v.hand(r, c, math.MaxInt64)
		case <-v.pumped:
		}
	}
	close(v.pieces)
	<-v.pumped
	if frames, events := v.capture.Late(); frames+events > 0 {
		v.say(fmt.Errorf("%s lacks what became known too late for its place: of the packets %d, of the events %d", v.program.Name, frames, events))
	}
	if v.program.Window {
		return
	}
	ended := v.await()
	switch {
	case v.lost || v.out.failed.Load() || !v.begun:
	case !ended:
		v.say(fmt.Errorf("%s did not end: it did nothing for %v", v.program.Name, v.patience))
	case v.status != nil:
		v.say(fmt.Errorf("%s did not show all%s", v.program.Name, v.why()))
	}
}

// await waits until the program has ended, and ends it if it does nothing, or
// has not taken all.
func (v *Viewer) await() (ended bool) {
	timer := time.NewTimer(v.patience)
	defer timer.Stop()
	for !v.lost {
		select {
		case <-v.exited:
			return true
		case <-v.out.moved:
			timer.Reset(v.patience)
			continue
		case <-timer.C:
		}
		if !v.out.busy.Load() {
			break
		}
		timer.Reset(v.patience)
	}
	_ = v.cmd.Process.Kill() // it may have ended
	<-v.exited
	return false
}
