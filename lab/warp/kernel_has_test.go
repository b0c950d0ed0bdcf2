package warp

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/internal/testenv"
)

// needUML is the engine of User-Mode Linux.
func needUML(t *testing.T) Engine {
	t.Helper()
	u, err := Choose(Wanted{Engine: UMLName})
	if errors.Is(err, ErrNoEngine) {
		testenv.Lack(t, "needs a virtual-time machine: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// The kernel has what programs commonly ask of one: uml.config leaves out
// devices, and nothing that a program would miss.
func TestKernelHas(t *testing.T) {
	if _, inside := Inside(); inside {
		kernelHas(t)
		return
	}
	u := needUML(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	r, err := u.Run(t.Context(), Job{
		Argv: []string{self, "-test.run=^TestKernelHas$", "-test.v"}, Dir: "/", Seed: 1, Stdout: &said, Stderr: &said,
		Env: os.Environ(),
	})
	if err != nil || r.Status != 0 || !strings.Contains(said.String(), "--- PASS: TestKernelHas") {
		t.Errorf("in the machine: %+v, %v\n%s", r, err, said.String())
	}
}

func kernelHas(t *testing.T) {
	// Those that the package unix does not have.
	open := func(number, a, b, c uintptr) (int, error) {
		r, _, errno := unix.Syscall(number, a, b, c)
		if errno != 0 {
			return -1, errno
		}
		return int(r), nil
	}
	call := func(number, a, b, c uintptr) error {
		_, err := open(number, a, b, c)
		return err
	}
	fd := func(fd int, err error) error {
		if err == nil {
			err = unix.Close(fd)
		}
		return err
	}
	var (
		ring   [120]byte // struct io_uring_params
		events uintptr
		name   = []byte("lab\x00")
		action = uint32(unix.SECCOMP_RET_ALLOW)
	)
	const userModeOnly, actionAvailable = 1, 2 // UFFD_USER_MODE_ONLY, SECCOMP_GET_ACTION_AVAIL
	for what, err := range map[string]error{
		"epoll":            fd(unix.EpollCreate1(0)),
		"eventfd":          fd(unix.Eventfd(0, 0)),
		"signalfd":         fd(unix.Signalfd(-1, &unix.Sigset_t{}, 0)),
		"timerfd":          fd(unix.TimerfdCreate(unix.CLOCK_MONOTONIC, 0)),
		"inotify":          fd(unix.InotifyInit1(0)),
		"fanotify":         fd(unix.FanotifyInit(unix.FAN_CLASS_NOTIF, unix.O_RDONLY)),
		"memfd":            fd(unix.MemfdCreate("lab", 0)),
		"pidfd":            fd(unix.PidfdOpen(os.Getpid(), 0)),
		"userfaultfd":      fd(open(unix.SYS_USERFAULTFD, userModeOnly, 0, 0)),
		"io_uring":         fd(open(unix.SYS_IO_URING_SETUP, 4, uintptr(unsafe.Pointer(&ring)), 0)),
		"aio":              call(unix.SYS_IO_SETUP, 4, uintptr(unsafe.Pointer(&events)), 0),
		"POSIX queues":     fd(open(unix.SYS_MQ_OPEN, uintptr(unsafe.Pointer(&name[0])), unix.O_RDWR|unix.O_CREAT, 0o600)),
		"shared memory":    call(unix.SYS_SHMGET, unix.IPC_PRIVATE, 4096, unix.IPC_CREAT|0o600),
		"semaphores":       call(unix.SYS_SEMGET, unix.IPC_PRIVATE, 1, unix.IPC_CREAT|0o600),
		"message queues":   call(unix.SYS_MSGGET, unix.IPC_PRIVATE, unix.IPC_CREAT|0o600, 0),
		"process_vm_readv": call(unix.SYS_PROCESS_VM_READV, uintptr(os.Getpid()), 0, 0),
		"seccomp":          call(unix.SYS_SECCOMP, actionAvailable, 0, uintptr(unsafe.Pointer(&action))),
		"packet sockets":   fd(unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0)),
		"nftables":         fd(unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_NETFILTER)),
		"sock_diag":        fd(unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_SOCK_DIAG)),
		"IPv6":             fd(unix.Socket(unix.AF_INET6, unix.SOCK_STREAM, 0)),
		"pseudo terminals": fd(unix.Open("/dev/ptmx", unix.O_RDWR, 0)),
	} {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	for path, words := range map[string]string{
		"/proc/filesystems": "tmpfs overlay hostfs devpts mqueue cgroup2 tracefs bpf",
		"/proc/kallsyms":    "tcp_v4_rcv veth_xmit br_handle_frame tun_chr_open dummy_xmit netem_enqueue nft_do_chain",
		"/proc/sys/net/ipv4/tcp_available_congestion_control": "reno cubic bbr",
	} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
			continue
		}
		has := strings.Fields(string(text))
		for _, word := range strings.Fields(words) {
			if !slices.Contains(has, word) {
				t.Errorf("%s does not have %s", path, word)
			}
		}
	}
	for _, path := range strings.Fields("ns/cgroup ns/ipc ns/mnt ns/net ns/pid ns/user ns/uts") {
		if _, err := os.Stat(filepath.Join("/proc/self", path)); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat("/sys/kernel/btf/vmlinux"); err != nil {
		t.Error(err)
	}
}
