package observe

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// What prints little at a time is told of for ever, what prints much is not.
func TestPrintersBound(t *testing.T) {
	for name, test := range map[string]struct {
		every time.Duration
		want  int // lines told
		muted bool
	}{
		"a line a second": {time.Second, 3 * MaxLines, false},
		"at once":         {time.Microsecond, MaxLines, true},
	} {
		muted, told := false, 0
		x := printers{mute: func(processID) { muted = true }, processes: map[processID]*printer{}}
		for i := range 3 * MaxLines {
			e := record.Event{Time: int64(i) * int64(test.every)}
			x.add(processID{}, e, bpfText{fd: 1, whole: 2, data: []byte("x\n")}, func(e record.Event) {
				if e.Source == record.Output {
					told++
				}
			})
		}
		if muted != test.muted || told != test.want {
			t.Errorf("%s: %d lines told, muted %v; want %d, %v", name, told, muted, test.want, test.muted)
		}
	}
}

// A FIFO is not taken for a pipe that happens to have its inode's number.
func TestTextOfFIFO(t *testing.T) {
	name := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(tracedActEnv, "fifo")
	t.Setenv(tracedFileEnv, name)
	h, start, cmd := testTracedHost(t)
	h.Text = true
	var log eventLog
	tracing := testTracer(t, testClock(t), log.add, h)
	if err := tracing.tracer.object.maps["pipes"].Put(info.Sys().(*syscall.Stat_t).Ino, uint32(0)); err != nil {
		t.Fatal(err)
	}
	start()
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	testTracerFlush(t, tracing)
	if n := log.count(func(e record.Event) bool { return e.Source == record.Output && e.Text == "to a fifo" }); n != 1 {
		t.Errorf("the line is told %d times", n)
	}
}
