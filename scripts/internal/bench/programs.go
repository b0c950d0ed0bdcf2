package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/topology"
)

// programCount is how often each program is measured, with observers and
// without.
const programCount = 7

const (
	redisAt = 6379
	nginxAt = 8080
	// startTimeout bounds the wait until a server listens.
	startTimeout = 5 * time.Second
)

// nginxConfig keeps everything that nginx writes in one directory.
const nginxConfig = `daemon off;
worker_processes 1;
pid %[1]s/pid;
error_log stderr crit;
events { worker_connections 1024; }
http {
	access_log off;
	keepalive_requests 1000000000;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	server {
		listen %[2]d;
		location / { return 200 "hello\n"; }
	}
}
`

// needed are the programs that are measured, with their packages.
var needed = [][2]string{
	{"redis-server", "redis-server"},
	{"redis-benchmark", "redis-tools"},
	{"nginx", "nginx-light"},
	{"wrk", "wrk"},
}

// A load is a client's run against a server: what to start, and where its
// output has the number of requests in a second.
type load struct {
	figure string
	argv   []string
	rate   *regexp.Regexp
	least  float64 // of the ratio
}

// realPrograms measures what being observed costs programs that are not lab's.
func realPrograms() (_ []row, err error) {
	for _, p := range needed {
		if _, err := exec.LookPath(p[0]); err != nil {
			return nil, fmt.Errorf("no %s: install the package %s, or run scripts/provision test", p[0], p[1])
		}
	}
	defer debug.SetGCPercent(debug.SetGCPercent(gcPercent))
	n, err := topology.New(topology.Config{Path: topology.Direct})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, n.Close()) }() // and all that runs in it
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	config := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, nginxConfig, dir, nginxAt), 0o644); err != nil {
		return nil, err
	}
	address := n.Server.NIC.Address.Addr()
	for port, argv := range map[uint16][]string{
		redisAt: {
			"redis-server", "--port", fmt.Sprint(redisAt), "--protected-mode", "no",
			"--save", "", "--appendonly", "no", "--dir", dir,
		},
		nginxAt: {"nginx", "-e", "stderr", "-c", config, "-p", dir},
	} {
		if err := serveProgram(n, netip.AddrPortFrom(address, port), argv); err != nil {
			return nil, err
		}
	}
	redis := func(pipeline, requests int) []string {
		return []string{
			"redis-benchmark", "-h", address.String(), "-p", fmt.Sprint(redisAt),
			"-t", "get", "-n", fmt.Sprint(requests), "-P", fmt.Sprint(pipeline), "--csv",
		}
	}
	csv := regexp.MustCompile(`"GET[^"]*","([0-9.]+)"`)
	var rows []row
	for _, l := range []load{
		{"redis GET, pipeline 1, observed", redis(1, 200_000), csv, 0.90},
		{"redis GET, pipeline 16, observed", redis(16, 3_000_000), csv, 0.90},
		{
			"nginx, wrk, observed",
			[]string{"wrk", "-t", "1", "-c", "50", "-d", "2s", "http://" + netip.AddrPortFrom(address, nginxAt).String() + "/"},
			regexp.MustCompile(`Requests/sec: *([0-9.]+)`), 0.95,
		},
	} {
		r, err := l.measure(n)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", l.figure, err)
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// serveProgram starts a server, and returns when it listens.
func serveProgram(n *topology.Network, at netip.AddrPort, argv []string) error {
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return err
	}
	p, err := n.Server.Start(topology.Command{Path: path, Argv: argv, Env: os.Environ(), Stderr: os.Stderr})
	if err != nil {
		return err
	}
	for deadline := time.Now().Add(startTimeout); ; time.Sleep(10 * time.Millisecond) {
		var c net.Conn
		err := n.Client.Namespace().Do(func() (err error) {
			c, err = net.DialTimeout("tcp", at.String(), time.Second)
			return err
		})
		if err == nil {
			return c.Close()
		}
		if _, ended := p.Status(); ended {
			return fmt.Errorf("%s ended instead of listening", argv[0])
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("wait for %s: %w", argv[0], err)
		}
	}
}

// run gives the requests in a second that a client made.
func (l *load) run(n *topology.Network) (float64, error) {
	path, err := exec.LookPath(l.argv[0])
	if err != nil {
		return 0, err
	}
	result, resultEnd, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer result.Close()
	client, err := n.Client.Start(topology.Command{
		Path: path, Argv: l.argv, Env: os.Environ(), Stdout: resultEnd, Stderr: os.Stderr,
	})
	resultEnd.Close()
	if err != nil {
		return 0, err
	}
	text, err := io.ReadAll(result)
	if err != nil {
		return 0, err
	}
	<-client.Done()
	if status, ok := client.Status(); !ok || status != unix.WaitStatus(0) {
		return 0, fmt.Errorf("%s failed: %s", strings.Join(l.argv, " "), text)
	}
	m := l.rate.FindSubmatch(text)
	if m == nil {
		return 0, fmt.Errorf("no rate in the output of %s: %s", l.argv[0], text)
	}
	return strconv.ParseFloat(string(m[1]), 64)
}

func (l *load) measure(n *topology.Network) (row, error) {
	var with, without, told sample
	for i := range programCount {
		// Whatever grows or shrinks over time is to hit both alike.
		for _, on := range []bool{i%2 == 0, i%2 == 1} {
			var value float64
			one := func() (err error) { value, err = l.run(n); return err }
			if !on {
				if err := one(); err != nil {
					return row{}, err
				}
				without = append(without, value)
				continue
			}
			w, err := watch(n, false, one)
			if err != nil {
				return row{}, err
			}
			with = append(with, value)
			told = append(told, float64(w.count()))
		}
	}
	return row{
		figure: l.figure, unit: "1/s", measured: with, base: without, baseline: fmt.Sprintf("not observed; %.0f events recorded", told.median()), ratio: over,
		budget: fmt.Sprintf(">= %.2f", l.least), satisfied: func(_, ratio float64) bool { return ratio >= l.least },
	}, nil
}
