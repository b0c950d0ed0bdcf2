package topology_test

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/internal/testenv"
	"github.com/seed-6fefc909/tcplab/topology"
)

func TestNamesResolve(t *testing.T) {
	machines, err := os.ReadFile("/etc/hosts")
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		n := newNetwork(t, topology.Config{Path: topology.Router, Family: family})
		// ahosts asks as programs do, with getaddrinfo: it gives no
		// loopback address of a family of which there is no other.
		const script = "for n in client server router localhost nobody; do echo $n $(getent ahosts $n | awk '{ print $1 }' | sort -u); done"
		want := map[topology.Family][2]string{
			topology.IPv4: {"client 10.0.0.1\nserver 10.0.1.2\nrouter 10.0.0.254\nlocalhost 127.0.0.1\nnobody\n", "client 10.0.0.1\nserver 10.0.1.2\nrouter 10.0.1.254\nlocalhost 127.0.0.1\nnobody\n"},
			topology.IPv6: {"client fd00::1\nserver fd00:0:0:1::2\nrouter fd00::fe\nlocalhost ::1\nnobody\n", "client fd00::1\nserver fd00:0:0:1::2\nrouter fd00:0:0:1::fe\nlocalhost ::1\nnobody\n"},
		}[family]
		check := func() {
			t.Helper()
			for i, h := range []*topology.Host{n.Client, n.Server} {
				if got := shell(t, h, script); got != want[i] {
					t.Errorf("%s, boot %d of %s:\n%swant\n%s", family, h.Boot(), h.Name, got, want[i])
				}
			}
		}
		check()
		if got := shell(t, n.Server, "echo 10.0.0.9 more >>/etc/hosts && getent hosts more"); !strings.HasPrefix(got, "10.0.0.9 ") {
			t.Errorf("a name that was added is %q", got)
		}
		if err := errors.Join(n.Crash(n.Server, func(string) {}), n.Boot(n.Server, func(string) {})); err != nil {
			t.Fatal(err)
		}
		check()
	}
	if now, err := os.ReadFile("/etc/hosts"); err != nil || string(now) != string(machines) {
		t.Errorf("the machine's own /etc/hosts is now %q, %v", now, err)
	}
}

// oddMachine is in the environment of a test that runs again in a mount
// namespace of its own, as if on another machine.
const oddMachine = "TOPOLOGY_TEST_ODD_MACHINE"

// A machine may have /etc/resolv.conf somewhere else, and lack the other files.
// What "ip netns" names is not left in its directory.
func TestOddMachine(t *testing.T) {
	testenv.NeedRoot(t)
	if os.Getenv(oddMachine) == "" {
		again := exec.Command("/proc/self/exe", "-test.run=^TestOddMachine$")
		again.Env = append(os.Environ(), oddMachine+"=1")
		again.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS}
		if out, err := again.CombinedOutput(); err != nil {
			t.Errorf("%v:\n%s", err, out)
		}
		return
	}
	if err := errors.Join(
		unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
		unix.Mount("tmpfs", "/etc", "tmpfs", 0, ""), unix.Mount("tmpfs", "/run", "tmpfs", 0, ""),
		os.MkdirAll("/run/systemd/resolve", 0o755), os.WriteFile("/run/systemd/resolve/stub", []byte("nameserver 127.0.0.53\n"), 0o644),
		os.Symlink("../run/systemd/resolve/stub", "/etc/resolv.conf"), os.Mkdir("/run/netns", 0o755),
	); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // testenv.Main looks at the mounts
		if err := errors.Join(unix.Unmount("/etc", 0), unix.Unmount("/run", 0)); err != nil {
			t.Error(err)
		}
	})
	n := newNetwork(t, topology.Config{Path: topology.Direct})
	out := shell(t, n.Client, "grep -c nameserver /etc/resolv.conf; ls /etc; ip netns add left && ip netns exec left true && ls /run/netns")
	if want := "0\nresolv.conf\nleft\n"; out != want {
		t.Errorf("the host has %q, want %q", out, want)
	}
	entries, err := os.ReadDir("/run/netns")
	if err != nil || len(entries) > 0 {
		t.Errorf("the machine's /run/netns has %v, %v", entries, err)
	}
	if b, err := os.ReadFile("/etc/resolv.conf"); string(b) != "nameserver 127.0.0.53\n" || err != nil {
		t.Errorf("the machine's resolv.conf is %q, %v", b, err)
	}
}
