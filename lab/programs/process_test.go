package programs_test

import (
	"bufio"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// patience bounds each wait; none should come near it.
const patience = 10 * time.Second

// noRaceSleep keeps a program that the race detector watches from sleeping a
// second at its end.
const noRaceSleep = "GORACE=atexit_sleep_ms=0"

// A process is an example program that a test runs.
type process struct {
	t        *testing.T
	pid      int
	cmd      *exec.Cmd
	in       *os.File
	out, err *bufio.Reader
}

// start runs an example program on pipes. At the end of the test it is killed
// if it still runs.
func start(t *testing.T, argv ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: &exec.Cmd{Path: "/proc/self/exe", Args: argv, Env: append(os.Environ(), "GOMAXPROCS=1", noRaceSleep)}}
	var ours, theirs []*os.File
	for range 3 {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		ours, theirs = append(ours, r), append(theirs, w)
	}
	ours[0], theirs[0] = theirs[0], ours[0]
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = theirs[0], theirs[1], theirs[2]
	p.in = ours[0]
	streams := [2]**bufio.Reader{&p.out, &p.err}
	for i, f := range ours[1:] {
		if err := f.SetReadDeadline(time.Now().Add(3 * patience)); err != nil {
			t.Fatal(err)
		}
		*streams[i] = bufio.NewReader(f)
	}
	err := p.cmd.Start()
	for _, f := range theirs {
		f.Close()
	}
	t.Cleanup(func() {
		for _, f := range ours {
			f.Close()
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	p.pid = p.cmd.Process.Pid
	t.Cleanup(func() {
		if p.cmd.ProcessState == nil {
			_ = p.cmd.Process.Kill()
			_ = p.cmd.Wait()
		}
	})
	return p
}

// typed gives the program a line of input.
func (p *process) typed(line string) {
	p.t.Helper()
	if _, err := p.in.WriteString(line + "\n"); err != nil {
		p.t.Fatal(err)
	}
}

// says waits for the next line of a stream.
func (p *process) says(stream *bufio.Reader, want string) {
	p.t.Helper()
	if got, err := stream.ReadString('\n'); err != nil || got != want+"\n" {
		p.t.Fatalf("%v printed %q, want %q (%v)", p.cmd.Args, got, want, err)
	}
}

// ends waits for the program's end, after which it must have printed nothing
// more on standard output.
func (p *process) ends() syscall.WaitStatus {
	p.t.Helper()
	late := time.AfterFunc(patience, func() { _ = p.cmd.Process.Kill() })
	_ = p.cmd.Wait()
	if !late.Stop() {
		p.t.Errorf("%v did not end within %v", p.cmd.Args, patience)
	}
	if rest, _ := p.out.ReadString(0); rest != "" {
		p.t.Errorf("%v also printed %q", p.cmd.Args, rest)
	}
	return p.cmd.ProcessState.Sys().(syscall.WaitStatus)
}

// exits is ends, with this status.
func (p *process) exits(want int) {
	p.t.Helper()
	if got := p.ends(); !got.Exited() || got.ExitStatus() != want {
		rest, _ := p.err.ReadString(0)
		p.t.Fatalf("%v: exit status %d, signal %d, want exit %d; standard error: %s", p.cmd.Args, got.ExitStatus(), got.Signal(), want, rest)
	}
}

func (p *process) signal(sig syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.t.Fatal(err)
	}
}

// children are the processes that this one made, with their states.
func (p *process) children() map[int]string {
	all := map[int]string{}
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range files {
		b, _ := os.ReadFile(file)
		head, rest, _ := strings.Cut(string(b), ") ")
		if f := strings.Fields(rest); len(f) > 1 && f[1] == strconv.Itoa(p.pid) {
			pid, _, _ := strings.Cut(head, " ")
			n, _ := strconv.Atoi(pid)
			all[n] = f[0]
			if threads := f[17]; f[0] == "Z" && threads != "1" {
				all[n] = "R" // its parent is told when the last thread has ended
			}
		}
	}
	return all
}

// zombies counts the children that were not waited for.
func (p *process) zombies() (n int) {
	for _, state := range p.children() {
		if state == "Z" {
			n++
		}
	}
	return n
}

// cpu is the time that the process has computed.
func (p *process) cpu() time.Duration {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.pid))
	if err != nil {
		p.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	f := strings.Fields(rest)
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return time.Duration(user+system) * 10 * time.Millisecond // USER_HZ is 100
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !f(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// free is an address of the host on which nothing listens.
func free(t *testing.T, host string) string {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// serve runs the echo server and waits until it listens.
func serve(t *testing.T, host string, flags ...string) (p *process, address string) {
	t.Helper()
	address = free(t, host)
	p = start(t, append(append([]string{"echo-server"}, flags...), address)...)
	table := map[bool]string{true: "tcp", false: "tcp6"}[netip.MustParseAddr(host).Is4()]
	port := fmt.Sprintf(":%04X ", netip.MustParseAddrPort(address).Port())
	eventually(t, "the server listens", func() bool {
		b, _ := os.ReadFile("/proc/net/" + table)
		for line := range strings.Lines(string(b)) {
			if f := strings.Fields(line); len(f) > 3 && strings.HasSuffix(f[1]+" ", port) && f[3] == "0A" {
				return true
			}
		}
		return false
	})
	return p, address
}

// dial connects the test itself to the server.
func dial(t *testing.T, address string) *net.TCPConn {
	t.Helper()
	conn, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		t.Fatal(err)
	}
	return bounded(t, conn)
}

func bounded(t *testing.T, conn net.Conn) *net.TCPConn {
	t.Helper()
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(2 * patience)); err != nil {
		t.Fatal(err)
	}
	return conn.(*net.TCPConn)
}

// echoes checks that the connection is served.
func echoes(t *testing.T, conn net.Conn) {
	t.Helper()
	if _, err := conn.Write([]byte("ping\n")); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 64)
	if n, err := conn.Read(buf); err != nil || string(buf[:n]) != "ping\n" {
		t.Fatalf("echo %q, %v", buf[:n], err)
	}
}

// listen is a server of the test's own.
func listen(t *testing.T) *net.TCPListener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	if err := l.(*net.TCPListener).SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return l.(*net.TCPListener)
}

func accept(t *testing.T, l net.Listener) *net.TCPConn {
	t.Helper()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return bounded(t, conn)
}

// sockets are copies of a process's sockets, by their number there.
func sockets(t *testing.T, pid int) map[int]int {
	t.Helper()
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pidfd)
	links, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	all := map[int]int{}
	for _, link := range links {
		if what, _ := os.Readlink(link); !strings.HasPrefix(what, "socket:") {
			continue
		}
		n, _ := strconv.Atoi(filepath.Base(link))
		fd, err := unix.PidfdGetfd(pidfd, n, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		all[n] = fd
	}
	return all
}
