package observe

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/internal/testenv"
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
			x.add(processID{}, e, bpfText{fd: 1, data: []byte("x\n")}, func(e record.Event) {
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

// What no event tells of is said where it was written, and no line is made of
// pieces of others.
func TestPrintersMissed(t *testing.T) {
	const newline = bpfTextNewline
	full := append(bytes.Repeat([]byte{0}, MaxOutput-2), 'x', '\n')
	for _, test := range []struct {
		name  string
		texts []bpfText
		left  bpfUnseenText // when the process ends
		want  []string
	}{
		{
			"in a line",
			[]bpfText{{data: []byte("one\ntw")}, {unseen: 200}, {unseen: 100}, {data: []byte("x\nnext\n")}},
			bpfUnseenText{},
			[]string{"stdout one", "stdout tw… 300 octets not seen …x", "stdout next"},
		},
		{
			"up to a line's end",
			[]bpfText{{data: []byte("one\ntw")}, {unseen: 300, flags: newline}, {data: []byte("next\n")}},
			bpfUnseenText{},
			[]string{"stdout one", "stdout tw… 300 octets not seen …", "stdout next"},
		},
		{
			"whole lines",
			[]bpfText{{data: []byte("one\n")}, {unseen: 300, flags: newline}, {data: []byte("next\n")}},
			bpfUnseenText{},
			[]string{"stdout one", "output 300 octets that p wrote are not recorded", "stdout next"},
		},
		{
			"the beginning of a line",
			[]bpfText{{data: []byte("one\n")}, {unseen: 300}, {data: []byte("x\nnext\n")}},
			bpfUnseenText{},
			[]string{"stdout one", "stdout … 300 octets not seen …x", "stdout next"},
		},
		{
			"at the end",
			[]bpfText{{data: []byte("one\ntw")}},
			bpfUnseenText{Octets: [2]uint64{7, 8}},
			[]string{"stdout one", "stdout tw… 7 octets not seen …", "output 8 octets that p wrote are not recorded"},
		},
		{
			"more than the bound",
			[]bpfText{{unseen: 2 * MaxOutput}, {data: []byte("x\nnext\n")}},
			bpfUnseenText{},
			[]string{"stdout … 2097152 octets not seen …x", "stdout next"},
		},
		{"everything", nil, bpfUnseenText{Octets: [2]uint64{7, 0}}, []string{"output 7 octets that p wrote are not recorded"}},
		{
			"more octets than is told",
			[]bpfText{{data: full}, {data: []byte("one\ntwo")}, {data: []byte("x\n")}},
			bpfUnseenText{Octets: [2]uint64{1000, 0}},
			[]string{
				"stdout x", "output p writes more than 10000 lines or 1048576 octets: the rest is not recorded",
				"output 1009 octets that p wrote are not recorded",
			},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			x := printers{
				mute: func(processID) {}, unmute: func(processID) {}, unseen: func(processID) bpfUnseenText { return test.left },
				processes: map[processID]*printer{},
			}
			var got []string
			tell := func(e record.Event) { got = append(got, e.Kind+" "+e.Text) }
			e := record.Event{Comm: "p"}
			for _, text := range test.texts {
				text.fd = 1
				x.add(processID{}, e, text, tell)
			}
			x.end(processID{}, e, tell)
			if d := cmp.Diff(test.want, got); d != "" {
				t.Errorf("told (-want +got):\n%s", d)
			}
		})
	}
}

// With a host goes what was counted of its processes, and no other's.
func TestPrintersDrop(t *testing.T) {
	var taken []processID
	x := printers{
		unseen:    func(id processID) bpfUnseenText { taken = append(taken, id); return bpfUnseenText{} },
		processes: map[processID]*printer{},
	}
	for host := range uint32(3) {
		x.add(processID{host: host, pid: 7}, record.Event{}, bpfText{fd: 1, unseen: 10}, func(record.Event) {})
	}
	x.drop(1)
	if len(taken) != 1 || taken[0] != (processID{host: 1, pid: 7}) || len(x.processes) != 2 {
		t.Errorf("taken of %v, %d processes are left", taken, len(x.processes))
	}
}

// A number of unseen octets that is none is not taken for one.
func TestDecodeTextUnseen(t *testing.T) {
	raw := make([]byte, bpfTextSize)
	for _, unseen := range []int64{10, -10} {
		binary.NativeEndian.PutUint64(raw[bpfHeadSize+16:], uint64(unseen))
		if text, ok := decodeText(raw); ok != (unseen > 0) {
			t.Errorf("%d: %+v, %v", unseen, text, ok)
		}
	}
}

// What the kernel copies for several threads of a process is counted once.
func TestTextOfThreads(t *testing.T) {
	t.Setenv(tracedActEnv, "copies")
	log, _ := testProgram(t, true)
	var got []string
	for _, e := range log.sorted() {
		if e.Source == record.Step {
			words, _, _ := strings.Cut(e.Text, " that")
			got = append(got, words)
		}
	}
	if d := cmp.Diff([]string{fmt.Sprintf("%d octets", copyThreads*copies*copied)}, got); d != "" {
		t.Errorf("told (-want +got):\n%s", d)
	}
}

// What is typed is told while there is no room for what is printed.
func TestTextTypedBesideFlood(t *testing.T) {
	testenv.NeedRoot(t)
	keyboard, tty := testenv.Terminal(t)
	defer keyboard.Close()
	defer tty.Close()
	if _, err := keyboard.WriteString("a command\n"); err != nil {
		t.Fatal(err)
	}
	t.Setenv(tracedActEnv, "typed")
	t.Setenv(tracedFileEnv, tty.Name())
	h, start, cmd := testTracedHost(t)
	h.Text = true
	var log eventLog
	tracing := testTracer(t, testClock(t), log.add, h)
	tracing.decoder.printers.mu.Lock() // the ring's reader stops at the first text
	start()
	err := cmd.Wait()
	tracing.decoder.printers.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	testTracerFlush(t, tracing)
	if n := log.count(func(e record.Event) bool { return e.Text == "the user types: a command" }); n != 1 {
		t.Errorf("the line is told %d times", n)
	}
	if n := log.count(func(e record.Event) bool { return strings.HasSuffix(e.Text, " wrote are not recorded") }); n == 0 {
		t.Error("there was room for all that was printed")
	}
	if n, err := tracing.Dropped(); n != 0 || err != nil {
		t.Errorf("%d dropped, %v", n, err)
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
