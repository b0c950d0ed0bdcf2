package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/seed-6fefc909/tcplab/internal/testenv"
	"github.com/seed-6fefc909/tcplab/lab/record"
)

// needTshark skips a test where there is no tshark.
func needTshark(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("tshark"); err != nil {
		testenv.Lack(t, "needs tshark: %v", err)
	}
}

// A dissected is what tshark makes of a packet.
type dissected struct {
	time      float64 // since 1970
	row       bool    // it is an event, and no frame
	out       bool    // the host sent it
	again     bool    // tshark takes it for a retransmission, of whichever kind
	probe     bool    // or for one of keepalive, as which zero window probes look
	malformed bool
	comment   string
	info      string
}

// fields are the ones of tshark that a dissected is made of.
var fields = []string{
	"frame.time_epoch", "frame.interface_name", "eth.src", "tcp.analysis.retransmission", "tcp.analysis.keep_alive",
	"_ws.malformed", "frame.comment", "_ws.col.Info",
}

// dissect has tshark read a capture, of which it must not complain. It does so
// as nobody: it complains of root.
func dissect(t *testing.T, file, mac string) []dissected {
	t.Helper()
	args := []string{"-n", "-T", "fields", "-r", file}
	for _, f := range fields {
		args = append(args, "-e", f)
	}
	c := exec.CommandContext(t.Context(), "tshark", args...)
	c.Env = append(os.Environ(), "HOME=/nonexistent")
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	var complaints strings.Builder
	c.Stderr = &complaints
	out, err := c.Output()
	if err != nil || complaints.Len() > 0 {
		t.Fatalf("tshark: %v: %s", err, complaints.String())
	}
	var all []dissected
	for line := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(f) != len(fields) {
			t.Fatalf("tshark prints %q", line)
		}
		at, err := strconv.ParseFloat(f[0], 64)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, dissected{
			at, strings.HasPrefix(f[1], "lab: events of the "), f[2] == mac, f[3] != "", f[4] != "", f[5] != "", f[6], f[7],
		})
	}
	return all
}

// tsharkScenarios are those whose captures tshark is held against: with each
// kind of retransmission, on both sides, probes, two boots, a standby, a router.
var tsharkScenarios = []string{
	"kill", "reboot", "crash", "crash-lan", "unreachable-host", "keepalive", "zero-window", "zero-window-lost", "connect-silent", "syn-recv",
	"partition-to-client", "half-close", "simultaneous-close", "failover", "recverr",
}

// tshark reads every capture, and its own analysis of TCP agrees with the
// record, and with the comments.
func TestTsharkAgrees(t *testing.T) {
	testenv.NeedRoot(t)
	needTshark(t)
	t.Parallel()
	dir := openDir(t)
	args := append([]string{"run", "--out", dir, "--parallel", strconv.Itoa(len(tsharkScenarios))}, tsharkScenarios...)
	c := exec.CommandContext(t.Context(), newLab(t), args...)
	c.Dir = "/"
	if out, err := c.CombinedOutput(); err != nil && c.ProcessState.ExitCode() != exitNotOK {
		t.Fatalf("%v:\n%s", err, out)
	}
	again, probes := 0, 0
	for _, name := range tsharkScenarios {
		r, err := record.ReadFile(filepath.Join(dir, name, recordName))
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range r.Hosts {
			t.Run(name+"/"+h.Name, func(t *testing.T) {
				all := dissect(t, filepath.Join(dir, name, captureName(h.Name)), h.MAC)
				wantInOrder(t, r, h.Name, all)
				a, p := wantAgreed(t, r, h.Name, all)
				again, probes = again+a, probes+p
			})
		}
	}
	if again < 20 || probes < 10 {
		t.Errorf("%d retransmissions and %d probes in all: too few to compare", again, probes)
	}
}

// wantInOrder holds what tshark shows against the record's packets, and the
// rows between them, in the order of time.
func wantInOrder(t *testing.T, r *record.Record, host string, all []dissected) {
	t.Helper()
	var want, got []string
	for _, e := range r.Events {
		switch {
		case e.Packet != nil && e.Host == host:
			want = append(want, e.Kind)
		case e.Source == record.Fault && e.Kind != "zero":
			want = append(want, e.Text)
		}
	}
	rows := 0
	for i, p := range all {
		if i > 0 && p.time < all[i-1].time {
			t.Errorf("packet %d comes %v s before the one above it", i+1, all[i-1].time-p.time)
		}
		fault, isFault := strings.CutPrefix(p.info, "USER.ALERT: ")
		switch {
		case p.malformed:
			t.Errorf("packet %d is malformed: %+v", i+1, p)
		case !p.row && p.out:
			got = append(got, record.KindOut)
		case !p.row:
			got = append(got, record.KindIn)
		case isFault:
			_, text, _ := strings.Cut(fault, ": ")
			got = append(got, text)
		}
		if p.row {
			rows++
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("packets and faults (-record +tshark):\n%s", diff)
	}
	if rows < 3 {
		t.Errorf("there are %d rows", rows)
	}
}

// wantAgreed compares tshark's analysis of a host's capture with the record.
func wantAgreed(t *testing.T, r *record.Record, host string, all []dissected) (again, probes int) {
	t.Helper()
	type counts struct{ OutAgain, InAgain, Probes, Lost int }
	var want, got counts
	var s record.Streams
	for i := range r.Events {
		e := &r.Events[i]
		if e.Packet == nil || e.Host != host {
			continue
		}
		switch part := s.Classify(e); {
		case part == record.SentAgain && e.Kind == record.KindOut:
			want.OutAgain++
		case part == record.SentAgain:
			want.InAgain++
		case part == record.Probe:
			want.Probes++
		}
		if e.Packet.Fate == record.FateLost {
			want.Lost++
		}
	}
	for _, p := range all {
		switch {
		case p.again && p.out:
			got.OutAgain++
		case p.again:
			got.InAgain++
		case p.probe:
			got.Probes++
		}
		if strings.Contains(p.comment, "lost: it never reached the other end") {
			got.Lost++
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("of the %s's packets (-record +tshark):\n%s", host, diff)
	}
	return got.OutAgain + got.InAgain, got.Probes
}

// tshark shows packets while the run goes on: those that a capture of the same
// run has in the end.
func TestTsharkLive(t *testing.T) {
	testenv.NeedRoot(t)
	needTshark(t)
	t.Parallel()
	dir := openDir(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, newLab(t), "run", "keepalive", "--wireshark", "--out", dir)
	c.Dir, c.Stderr = "/", os.Stderr
	c.Env = withoutDisplay()
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	var shown []string
	var first, last, verdict time.Time
	for in := bufio.NewScanner(out); in.Scan(); {
		f := strings.Fields(in.Text())
		switch {
		case len(f) > 3 && f[0] == strconv.Itoa(len(shown)+1):
			if last = time.Now(); len(shown) == 0 {
				first = last
			}
			shown = append(shown, in.Text())
		case len(f) > 0 && f[0] == "verdict":
			verdict = time.Now()
		}
	}
	if err := c.Wait(); err != nil {
		t.Error(err)
	}
	// The client is told some four seconds after the two have connected.
	if before := verdict.Sub(first); len(shown) == 0 || before < 2*time.Second {
		t.Errorf("the first of %d lines came %v before the verdict, want at least 2 s", len(shown), before)
	}
	if last.After(verdict) {
		t.Error("packets are shown after the verdict")
	}
	read := exec.CommandContext(ctx, "tshark", "-n", "-r", filepath.Join(dir, captureName("client")))
	want, err := read.Output()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(strings.TrimSuffix(string(want), "\n"), "\n"), shown); diff != "" {
		t.Errorf("what is shown (-of the capture +live):\n%s", diff)
	}
}

// Wireshark reads a pipe by dumpcap. That takes what lab hands over, with the
// interface of a second boot in the middle of it.
func TestWiresharkReads(t *testing.T) {
	testenv.NeedRoot(t)
	needTshark(t)
	t.Parallel()
	dir := openDir(t)
	const script = "#!/bin/sh\ncd \"$(dirname \"$0\")\"\ndumpcap -q -i - -w live.pcapng 2>complaints\necho $? >status.new\nchmod a+r live.pcapng\nmv status.new status\n"
	if err := os.WriteFile(filepath.Join(dir, "wireshark"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), newLab(t), "run", "keepalive-reboot", "--wireshark=server", "--out", filepath.Join(dir, "out"))
	c.Dir = "/"
	c.Env = append(withoutDisplay(), "DISPLAY=:99", "PATH="+dir+":"+os.Getenv("PATH"))
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("%v:\n%s", err, out)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) { // lab does not wait for a window
		if status, err := os.ReadFile(filepath.Join(dir, "status")); err == nil {
			if complaints, _ := os.ReadFile(filepath.Join(dir, "complaints")); string(status) != "0\n" {
				t.Errorf("dumpcap: status %s%s", status, complaints)
			}
			break
		} else if time.Now().After(deadline) {
			t.Fatal("dumpcap still reads after 10 s")
		}
	}
	r, err := record.ReadFile(filepath.Join(dir, "out", recordName))
	if err != nil {
		t.Fatal(err)
	}
	mac := r.Hosts[1].MAC
	want, got := dissect(t, filepath.Join(dir, "out", captureName("server")), mac), dissect(t, filepath.Join(dir, "live.pcapng"), mac)
	for _, all := range [][]dissected{want, got} {
		for i := range all {
			all[i].comment = "" // what comes later is not known at first
		}
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(dissected{})); diff != "" {
		t.Errorf("what Wireshark gets (-of the capture +live):\n%s", diff)
	}
}

// The commands of docs/captures.md do what it says, in their order.
func TestCapturesPage(t *testing.T) {
	testenv.NeedRoot(t)
	needTshark(t)
	t.Parallel()
	dir := openDir(t)
	env := append(withoutDisplay(), "PATH="+filepath.Dir(newLab(t))+":"+os.Getenv("PATH"))
	for _, command := range commandsIn(t, "../../docs/captures.md") {
		c := exec.CommandContext(t.Context(), "/bin/sh", "-c", strings.TrimPrefix(command, "sudo "))
		c.Dir, c.Env = dir, env
		out, err := c.Output()
		if err != nil {
			t.Errorf("%s: %v", command, err)
		}
		if len(out) == 0 && !strings.Contains(command, "packets.pcap") {
			t.Errorf("%s prints nothing", command)
		}
	}
	r, err := record.ReadFile(filepath.Join(dir, "results", recordName))
	if err != nil {
		t.Fatal(err)
	}
	want := 0
	for _, e := range r.Events {
		if e.Packet != nil && e.Host == "client" {
			want++
		}
	}
	f, err := os.Open(filepath.Join(dir, "packets.pcap"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	in, err := pcapgo.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	got := 0
	for ; ; got++ {
		if _, _, err := in.ReadPacketData(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if got != want || in.LinkType() != layers.LinkTypeEthernet {
		t.Errorf("packets.pcap has %d packets of link type %v, want %d of Ethernet", got, in.LinkType(), want)
	}
}

// withoutDisplay is the environment, in which there is no window.
func withoutDisplay() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "DISPLAY=") || strings.HasPrefix(v, "WAYLAND_DISPLAY=")
	})
}
