package programs_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/seed-6fefc909/tcplab/lab/programs"
	"golang.org/x/sys/unix"
)

const everything = "-set SO_KEEPALIVE=1 -set TCP_KEEPIDLE=7 -set TCP_KEEPINTVL=3s -set TCP_KEEPCNT=4 -set TCP_USER_TIMEOUT=9s " +
	"-set SO_RCVTIMEO=20s -set SO_SNDTIMEO=1m -set TCP_SYNCNT=2 -set IP_RECVERR=1 " +
	"-set SO_RCVBUF=65536 -set SO_SNDBUF=65536 -set TCP_NODELAY=1 -set SO_LINGER=5"

var everythingSet = programs.Options{
	KeepAlive: true, KeepIdle: 7 * time.Second, KeepIntvl: 3 * time.Second, KeepCnt: 4,
	UserTimeout: 9 * time.Second, ReceiveTimeout: 20 * time.Second, SendTimeout: time.Minute,
	SynCount: 2, RecvErr: true,
}

func TestDeclared(t *testing.T) {
	for line, want := range map[string]programs.Options{
		"stubborn":                {},
		"echo-server":             {},
		"echo-server [::]:9":      {},
		"echo-client 192.0.2.1:9": {},
		"echo-client " + everything + " 192.0.2.1:9":                              everythingSet,
		"echo-server " + everything:                                               everythingSet,
		"echo-client -persist -poll [2001:db8::1]:9":                              {},
		"echo-client -heartbeat 2s 192.0.2.1:9":                                   {ReceiveTimeout: 2 * time.Second},
		"echo-client -set SO_KEEPALIVE=1 -set SO_KEEPALIVE=0 192.0.2.1:9":         {},
		"echo-server -set TCP_USER_TIMEOUT=1500 -set SO_RCVTIMEO=0":               {UserTimeout: 1500 * time.Millisecond},
		"echo-client -set TCP_USER_TIMEOUT=1.5s -set TCP_KEEPIDLE=1m 192.0.2.1:9": {UserTimeout: 1500 * time.Millisecond, KeepIdle: time.Minute},
	} {
		got, err := programs.Declared(strings.Fields(line))
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", line, err, diff)
		}
	}
	for line, want := range map[string]string{
		"":                                   "no example program",
		"cat":                                "no example program",
		"echo-child":                         "no example program",
		"echo-client":                        "no ADDRESS:PORT",
		"echo-client -persist":               "no ADDRESS:PORT",
		"echo-client 192.0.2.1":              "not an ip:port",
		"echo-client {server}":               "not an ip:port",
		"echo-client 192.0.2.1:9 again":      `"again" is too many`,
		"echo-server nonsense":               "not an ip:port",
		"stubborn mule":                      `"mule" is too many`,
		"echo-client -nonsense":              "-nonsense",
		"echo-client -set SO_KEEPALIVE":      "not NAME=VALUE",
		"echo-client -set SO_KEEPALIVE=yes":  "SO_KEEPALIVE=yes: not a number",
		"echo-client -set SO_KEEPALIVE=2":    "SO_KEEPALIVE=2: out of range",
		"echo-client -set TCP_KEEPIDLE=1.5s": "TCP_KEEPIDLE=1.5s: not a whole number of 1s",
		"echo-client -set TCP_KEEPIDLE=0":    "TCP_KEEPIDLE=0: out of range",
		"echo-client -set TCP_KEEPIDLE=long": "TCP_KEEPIDLE=long: neither a number nor a duration",
		"echo-client -set SO_RCVTIMEO=2":     "SO_RCVTIMEO=2: not a duration",
		"echo-client -set SO_RCVTIMEO=-2s":   "SO_RCVTIMEO=-2s: out of range",
		"echo-client -set SO_TIMEO=2s":       "SO_TIMEO: not an option known here",
	} {
		if _, err := programs.Declared(strings.Fields(line)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", line, err, want)
		}
	}
}

// What a command line declares is what its sockets have.
func TestReadOptions(t *testing.T) {
	check := func(what string, pid int) {
		t.Helper()
		all := sockets(t, pid)
		if len(all) == 0 {
			t.Errorf("%s has no socket", what)
		}
		for n, fd := range all {
			got, err := programs.ReadOptions(fd)
			if diff := cmp.Diff(everythingSet, got); err != nil || diff != "" {
				t.Errorf("%s, descriptor %d: %v\n%s", what, n, err, diff)
			}
			for name, option := range map[string][2]int{
				"TCP_NODELAY": {unix.SOL_TCP, unix.TCP_NODELAY},
				"SO_LINGER":   {unix.SOL_SOCKET, unix.SO_LINGER}, // l_onoff
			} {
				if v, err := unix.GetsockoptInt(fd, option[0], option[1]); err != nil || v != 1 {
					t.Errorf("%s, descriptor %d: %s is %d, %v", what, n, name, v, err)
				}
			}
			for name, option := range map[string]int{"SO_RCVBUF": unix.SO_RCVBUF, "SO_SNDBUF": unix.SO_SNDBUF} {
				// The kernel doubles what it is given, for its own needs.
				if v, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, option); err != nil || v != 2*65536 {
					t.Errorf("%s, descriptor %d: %s is %d, %v", what, n, name, v, err)
				}
			}
		}
	}
	for _, host := range []string{"127.0.0.1", "::1"} {
		server, address := serve(t, host, strings.Fields(everything)...)
		p := start(t, append(client(strings.Fields(everything)...), address)...)
		p.typed("hello")
		p.says(p.out, "hello")
		check("the client on "+host, p.pid)
		check("the server on "+host, server.pid)
		for child := range server.children() {
			check("the child on "+host, child)
		}
		p.in.Close()
		p.exits(0)
	}
}

func TestReadOptionsOfNothing(t *testing.T) {
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	got, err := programs.ReadOptions(fd)
	if err != nil || got.KeepAlive || got.RecvErr || got.UserTimeout != 0 || got.ReceiveTimeout != 0 || got.SendTimeout != 0 {
		t.Errorf("%+v, %v", got, err)
	}
	if got.KeepIdle == 0 || got.KeepIntvl == 0 || got.KeepCnt == 0 || got.SynCount == 0 {
		t.Errorf("%+v: the kernel has defaults", got)
	}
	if _, err := programs.ReadOptions(-1); err == nil {
		t.Error("no error for no socket")
	}
}
