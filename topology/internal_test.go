package topology

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

func TestPlan(t *testing.T) {
	for _, c := range []struct {
		path   Path
		family Family
		want   string
	}{
		{Direct, 0, "client 10.0.0.1/24 invalid IP, server 10.0.0.2/24 invalid IP"},
		{Switch, IPv4, "client 10.0.0.1/24 invalid IP, server 10.0.0.2/24 invalid IP"},
		{Router, IPv4, "client 10.0.0.1/24 10.0.0.254, server 10.0.1.2/24 10.0.1.254"},
		{Switch, IPv6, "client fd00::1/64 invalid IP, server fd00::2/64 invalid IP"},
		{Router, IPv6, "client fd00::1/64 fd00::fe, server fd00:0:0:1::2/64 fd00:0:0:1::fe"},
	} {
		hosts := Plan(c.path, c.family, false)
		got := ""
		for i, h := range hosts {
			if i > 0 {
				got += ", "
			}
			got += fmt.Sprint(h.Name, " ", h.NIC.Address, " ", h.NIC.Gateway)
		}
		if got != c.want {
			t.Errorf("%s, %s: %s; want %s", c.path, c.family, got, c.want)
		}
	}
}

// What a kernel without IPv6 says is no error where none is wanted.
func TestKernelWithoutIPv6(t *testing.T) {
	missing := &SysctlError{Key: "net.ipv6.conf.all.accept_dad", Value: "0", Err: &fs.PathError{Op: "open", Err: unix.ENOENT}}
	if err := IPv4.withoutIPv6(missing); err != nil {
		t.Errorf("IPv4: %v", err)
	}
	feature, ok := errors.AsType[*MissingFeature](IPv6.withoutIPv6(missing))
	if !ok || feature.Feature != "IPv6" {
		t.Errorf("IPv6: %v, want a missing feature", feature)
	}
	if err := IPv4.withoutIPv6(unix.EACCES); !errors.Is(err, unix.EACCES) {
		t.Errorf("another error: %v", err)
	}
}

func TestHasJoined(t *testing.T) {
	group := solicitedNode(netip.MustParseAddr("fd00:0:0:1::2"))
	const (
		other   = "1    lo              ff0200000000000000000001ff000002     2 00000006 0\n"
		one     = "2    eth0            ff0200000000000000000001ff000002     1 00000006 0\n"
		pending = "2    eth0            ff0200000000000000000001ff000002     2 00000007 1842955206830\n"
		done    = "2    eth0            ff0200000000000000000001ff000002     2 00000006 0\n"
		busy    = "2    eth0            ff020000000000000000000000000002     1 00000007 17\n"
	)
	for table, want := range map[string]bool{"": false, other: false, one: false, pending: false, done: true, done + busy: false, busy + done: false} {
		if got, err := hasJoined(table, "eth0", group); err != nil || got != want {
			t.Errorf("%v, %v; want %v of\n%s", got, err, want, table)
		}
	}
	if _, err := hasJoined("what is this\n", "eth0", group); err == nil {
		t.Error("no error of a malformed table")
	}
}

// A descriptor that comes when nobody waits for it any more is closed.
func TestLateDescriptorsAreClosed(t *testing.T) {
	isOpen := func(fd int) bool { _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); return err == nil }
	descriptor := func() int {
		fd, err := unix.MemfdCreate("topology-test", unix.MFD_CLOEXEC)
		if err != nil {
			t.Fatal(err)
		}
		return fd
	}
	request := func(p *initProcess) <-chan initMessage {
		r := &initRequest{answers: make(chan initMessage, maxAnswers)}
		p.waiting[1] = r
		return r.answers
	}
	t.Run("answered, then forgotten", func(t *testing.T) {
		p := &initProcess{waiting: map[int]*initRequest{}}
		answers, fd := request(p), descriptor()
		p.deliver(initMessage{Op: opDone, ID: 1, fds: []int{fd}})
		p.forget(answers)
		if isOpen(fd) {
			t.Error("still open")
		}
	})
	t.Run("forgotten, then answered", func(t *testing.T) {
		p := &initProcess{waiting: map[int]*initRequest{}}
		answers, fd := request(p), descriptor()
		p.forget(answers)
		p.deliver(initMessage{Op: opDone, ID: 1, fds: []int{fd}})
		if isOpen(fd) {
			t.Error("still open")
		}
	})
}

// Descriptors that come with what is no message of ours are closed.
func TestDescriptorsOfBadMessagesAreClosed(t *testing.T) {
	for name, c := range map[string]struct {
		text  string
		other []byte // control messages behind the descriptor's
	}{
		"no JSON":            {text: "nonsense"},
		"nothing":            {text: ""},
		"with another thing": {`{"op":"done"}`, unix.UnixCredentials(&unix.Ucred{})},
	} {
		fd, err := unix.MemfdCreate("topology-test", unix.MFD_CLOEXEC)
		if err != nil {
			t.Fatal(err)
		}
		if m, err := parseMessage([]byte(c.text), append(unix.UnixRights(fd), c.other...)); err == nil {
			t.Errorf("%s: %+v, and no error", name, m)
		}
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil {
			t.Errorf("%s: the descriptor is still open", name)
			unix.Close(fd)
		}
	}
}
