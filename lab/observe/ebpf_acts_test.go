package observe

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// tracedActEnv makes "program" do one of tracedActs.
const tracedActEnv = "OBSERVE_TEST_ACT"

// tracedFDEnv is the descriptor that a program inherited.
const tracedFDEnv = "OBSERVE_TEST_FD"

// tracedFileEnv is the program that the act "exec" executes.
const tracedFileEnv = "OBSERVE_TEST_FILE"

func tracedActs() map[string]func() error {
	return map[string]func() error{
		"netpoll": actNetpoll,
		"poll":    actPoll,
		"select":  actSelect,
		"child":   actChild,
		"calls":   actCalls,
		"flood":   actFlood,
		"blocked": actBlocked,
		"uring":   actURing,
		"fifo":    actFIFO,
		"copies":  actCopies,
		"print":   actPrint,
		"typed":   actTyped,
		"signals": actSignals,
		"exec": func() error {
			return unix.Exec(os.Getenv(tracedFileEnv), []string{"compat"}, nil)
		},
	}
}

// testAct runs an act in a host of its own and gives what was observed of it.
func testAct(t *testing.T, act string) (events []record.Event, spared uint64) {
	t.Helper()
	t.Setenv(tracedActEnv, act)
	log, tracing := testProgram(t, false)
	spared, err := tracing.Spared()
	if err != nil {
		t.Fatal(err)
	}
	events = log.sorted()
	NameReady(events)
	return events, spared
}

// actFIFO prints into a FIFO.
func actFIFO() error {
	if err := printTo(os.Getenv(tracedFileEnv)); err != nil {
		return err
	}
	_, err := os.Stdout.WriteString("to a fifo\n")
	return err
}

// What actCopies copies: so often in each of the threads, so many octets.
const copyThreads, copies, copied = 4, 20_000, 10

// actCopies has the kernel copy to the standard output, in several threads.
func actCopies() error {
	from, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer from.Close()
	if err := printTo("/dev/zero"); err != nil {
		return err
	}
	done := make(chan error, copyThreads)
	for range copyThreads {
		go func() {
			for range copies {
				var at int64
				if n, err := unix.Sendfile(1, int(from.Fd()), &at, copied); n != copied {
					done <- fmt.Errorf("%d octets copied: %w", n, err)
					return
				}
			}
			done <- nil
		}()
	}
	var errs []error
	for range copyThreads {
		errs = append(errs, <-done)
	}
	return errors.Join(errs...)
}

// actPrint prints more than the ring has room for.
func actPrint() error {
	if err := printTo("/dev/zero"); err != nil {
		return err
	}
	block := make([]byte, 64<<10)
	for range 80 {
		if _, err := unix.Write(1, block); err != nil {
			return err
		}
	}
	return nil
}

// actTyped reads a line from a terminal when a child has printed much.
func actTyped() error {
	fd, err := unix.Open(os.Getenv(tracedFileEnv), unix.O_RDONLY|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	if err := errors.Join(inChild("print"), unix.Dup3(fd, 0, 0)); err != nil {
		return err
	}
	_, err = unix.Read(0, make([]byte, 80))
	return err
}

// actSignals sends itself a signal that it does not catch, and one that it ignores.
func actSignals() error {
	signal.Ignore(unix.SIGUSR1)
	return errors.Join(unix.Kill(os.Getpid(), unix.SIGCONT), unix.Kill(os.Getpid(), unix.SIGUSR1))
}

// printTo makes a file the standard output.
func printTo(name string) error {
	fd, err := unix.Open(name, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	return unix.Dup3(fd, 1, 0)
}

// pairOfSockets are the two ends of a connection that is served at 127.0.0.1:7000.
func pairOfSockets(l int) (c, a int, err error) {
	if c, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0); err != nil {
		return 0, 0, err
	}
	if err := unix.Connect(c, &unix.SockaddrInet4{Port: 7000, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return 0, 0, err
	}
	a, _, err = unix.Accept(l)
	return c, a, err
}

func listener() (int, error) {
	l, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		return 0, err
	}
	return l, errors.Join(unix.Bind(l, &unix.SockaddrInet4{Port: 7000, Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(l, 5))
}

// actNetpoll reads until the server closes, as Go programs do.
func actNetpoll() error {
	l, err := net.Listen("tcp4", "127.0.0.1:7000")
	if err != nil {
		return err
	}
	served := make(chan net.Conn, 1)
	go func() {
		s, _ := l.Accept()
		served <- s
	}()
	c, err := net.Dial("tcp4", "127.0.0.1:7000")
	if err != nil {
		return err
	}
	s := <-served
	read := make(chan error, 1)
	go func() {
		_, err := c.Read(make([]byte, 1))
		read <- err
	}()
	if _, err := unix.Poll(nil, 50); err != nil { // until it waits
		return err
	}
	if err := s.Close(); err != nil {
		return err
	}
	if err := <-read; err != io.EOF {
		return fmt.Errorf("read: %w", err)
	}
	return nil
}

// actPoll polls a connection that both ends have shut down, and has a child
// do so.
func actPoll() error {
	l, err := listener()
	if err != nil {
		return err
	}
	c, a, err := pairOfSockets(l)
	if err != nil {
		return err
	}
	if err := errors.Join(unix.Shutdown(c, unix.SHUT_WR), unix.Shutdown(a, unix.SHUT_WR)); err != nil {
		return err
	}
	if _, err := unix.Poll([]unix.PollFd{{Fd: int32(c), Events: unix.POLLIN}}, 1000); err != nil {
		return err
	}
	if err := os.Setenv(tracedFDEnv, strconv.Itoa(c)); err != nil {
		return err
	}
	return inChild("child")
}

// actSelect waits for a pipe's ends, and then for one of them.
func actSelect() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var fds [2]int
	if err := unix.Pipe(fds[:]); err != nil {
		return err
	}
	if _, err := unix.Write(fds[1], []byte("x")); err != nil {
		return err
	}
	for _, write := range []*unix.FdSet{{}, nil} {
		read := &unix.FdSet{}
		read.Set(fds[0])
		if write != nil {
			write.Set(fds[1])
		}
		if _, err := unix.Select(fds[1]+1, read, write, nil, nil); err != nil {
			return err
		}
	}
	return nil
}

// inChild has a child do an act.
func inChild(act string) error {
	if err := os.Setenv(tracedActEnv, act); err != nil {
		return err
	}
	pid, err := syscall.ForkExec("/proc/self/exe", []string{"traced"}, &syscall.ProcAttr{
		Env: os.Environ(), Files: []uintptr{0, 1, 2},
	})
	if err != nil {
		return err
	}
	_, err = syscall.Wait4(pid, nil, 0, nil)
	return err
}

func actChild() error {
	fd, err := strconv.Atoi(os.Getenv(tracedFDEnv))
	if err != nil {
		return err
	}
	_, err = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}, {Fd: 1, Events: unix.POLLOUT}}, 1000)
	return err
}

type mmsghdr struct {
	hdr unix.Msghdr
	len uint32
	_   uint32
}

// mmsg calls sendmmsg or recvmmsg with one message.
func mmsg(call, fd uintptr, b []byte) (n, length int, err error) {
	iov := unix.Iovec{Base: unsafe.SliceData(b), Len: uint64(len(b))}
	m := mmsghdr{hdr: unix.Msghdr{Iov: &iov, Iovlen: 1}}
	r, _, errno := unix.Syscall6(call, fd, uintptr(unsafe.Pointer(&m)), 1, 0, 0, 0)
	if errno != 0 {
		return 0, 0, errno
	}
	return int(r), int(m.len), nil
}

// actCalls makes the rarer calls.
func actCalls() error {
	l, err := listener()
	if err != nil {
		return err
	}
	c, a, err := pairOfSockets(l)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp("", "traced")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if _, err := f.WriteString("from a file"); err != nil {
		return err
	}
	var p [2]int
	if err := unix.Pipe(p[:]); err != nil {
		return err
	}
	buf := make([]byte, 64)
	var from int64
	var errs []error
	do := func(_ int, err error) { errs = append(errs, err) }
	do(unix.Sendfile(c, int(f.Fd()), &from, 11))
	do(unix.Preadv2(a, [][]byte{buf}, -1, 0))
	_, _, err = mmsg(unix.SYS_SENDMMSG, uintptr(c), []byte("message"))
	errs = append(errs, err)
	_, _, err = mmsg(unix.SYS_RECVMMSG, uintptr(a), buf)
	errs = append(errs, err)
	do(unix.Write(c, []byte("pipe")))
	splice := func(from, to int) {
		_, err := unix.Splice(from, nil, to, nil, 64, 0)
		errs = append(errs, err)
	}
	splice(a, p[1])
	splice(p[0], a)
	_, _, errno := unix.Syscall(unix.SYS_READ, uintptr(c), uintptr(unsafe.Pointer(&buf[0])), 0)
	if errno != 0 {
		errs = append(errs, errno)
	}
	errs = append(errs, unix.Shutdown(c, unix.SHUT_WR))
	splice(a, p[1])
	_, _, err = mmsg(unix.SYS_RECVMMSG, uintptr(a), buf)
	errs = append(errs, err)
	_, _, _, _, err = unix.Recvmsg(a, buf, nil, 0)
	errs = append(errs, err)
	return errors.Join(errs...)
}

// floodRounds is how many round trips actFlood makes.
const floodRounds = 10_000

// actFlood is an exchange, and then the ends of two connections.
func actFlood() error {
	l, err := listener()
	if err != nil {
		return err
	}
	c, a, err := pairOfSockets(l)
	if err != nil {
		return err
	}
	d, b, err := pairOfSockets(l)
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() {
		buf := make([]byte, 32)
		for range floodRounds {
			n, err := unix.Read(a, buf)
			if err == nil {
				_, err = unix.Write(a, buf[:n])
			}
			if err != nil {
				done <- err
				return
			}
		}
		linger := &unix.Linger{Onoff: 1} // a RST
		done <- errors.Join(unix.SetsockoptLinger(a, unix.SOL_SOCKET, unix.SO_LINGER, linger), unix.Close(a), unix.Close(b))
	}()
	buf := make([]byte, 32)
	for range floodRounds {
		if _, err := unix.Write(c, buf); err != nil {
			return err
		}
		if _, err := unix.Read(c, buf); err != nil {
			return err
		}
	}
	if _, err := unix.Read(c, buf); err != unix.ECONNRESET {
		return fmt.Errorf("read after a RST: %w", err)
	}
	if n, err := unix.Read(d, buf); n != 0 || err != nil {
		return fmt.Errorf("read after a FIN: %d, %w", n, err)
	}
	return <-done
}

// actBlocked reads what never comes, after an exchange.
func actBlocked() error {
	l, err := listener()
	if err != nil {
		return err
	}
	c, a, err := pairOfSockets(l)
	if err != nil {
		return err
	}
	buf := make([]byte, 32)
	for range floodRounds {
		if _, err := unix.Write(a, buf); err != nil {
			return err
		}
		if _, err := unix.Read(c, buf); err != nil {
			return err
		}
	}
	_, err = unix.Read(c, buf)
	return err
}

// uringLacks is the exit status of a program that may not have a ring.
const uringLacks = 4

func actURing() error {
	params := make([]byte, 120) // struct io_uring_params
	for range 2 {               // it is told once
		fd, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, 4, uintptr(unsafe.Pointer(&params[0])), 0)
		if errno != 0 {
			os.Exit(uringLacks)
		}
		if err := unix.Close(int(fd)); err != nil {
			return err
		}
	}
	return nil
}
