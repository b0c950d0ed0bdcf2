package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// programCount is how often each program is measured, with observers and
// without.
const programCount = 7

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
		listen 80;
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

// need tells which of the programs is not there, and the package that has it.
func need(programs [][2]string) error {
	for _, p := range programs {
		if _, err := exec.LookPath(p[0]); err != nil {
			return fmt.Errorf("no %s: install the package %s, or run scripts/provision test", p[0], p[1])
		}
	}
	return nil
}

// A load is a client's run against a server, and where its output has the
// number of requests in a second.
type load struct {
	figure         string
	server, client string
	rate           string  // a regular expression
	least          float64 // of the ratio
}

// realPrograms measures what being observed costs programs that are not lab's:
// in runs of lab, which wait for the client's result, with observers and
// without.
func realPrograms() ([]row, error) {
	if err := need(needed); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	config := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, nginxConfig, dir), 0o644); err != nil {
		return nil, err
	}
	redis := "redis-server --port 6379 --bind 0.0.0.0 --protected-mode no --save '' --appendonly no --dir " + dir
	benchmark := func(pipeline, requests int) string {
		return fmt.Sprintf("redis-benchmark -h {server} -p 6379 -t get -n %d -P %d --csv", requests, pipeline)
	}
	const csv = `"GET[^"]*","([0-9.]+)"`
	var rows []row
	for _, l := range []load{
		{"redis GET, pipeline 1, observed", redis, benchmark(1, 300_000), csv, 0.90},
		{"redis GET, pipeline 16, observed", redis, benchmark(16, 5_000_000), csv, 0.90},
		{
			"nginx, wrk, observed", "nginx -e stderr -c " + config + " -p " + dir,
			"wrk -t 1 -c 50 -d 3s http://{server}/", `Requests/sec: *([0-9.]+)`, 0.95,
		},
	} {
		r, err := l.measure()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", l.figure, err)
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// run gives the requests in a second that the client made, and how many events
// were recorded meanwhile.
func (l *load) run(options ...string) (rate float64, events int, err error) {
	args := append([]string{
		"run", "kill", "--server", l.server, "--client", l.client, "--when", "output:" + l.rate, "--output", "json",
	}, options...)
	cmd := exec.Command(lab, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	// The client has ended when it has said its result: there is no verdict.
	if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && (!ok || exit.ExitCode() != 1) {
		return 0, 0, fmt.Errorf("lab run: %w", err)
	}
	r, err := record.Read(bytes.NewReader(out))
	if err != nil {
		return 0, 0, err
	}
	expr := regexp.MustCompile(l.rate)
	for _, e := range r.Events {
		if e.Source != record.Output {
			continue
		}
		if m := expr.FindStringSubmatch(e.Text); m != nil {
			rate, err = strconv.ParseFloat(m[1], 64)
			return rate, len(r.Events), err
		}
	}
	return 0, 0, fmt.Errorf("no rate in the output of %s: %q", l.client, r.Reasons)
}

func (l *load) measure() (row, error) {
	var with, without, told sample
	for i := range programCount {
		// Whatever grows or shrinks over time is to hit both alike.
		for _, on := range []bool{i%2 == 0, i%2 == 1} {
			if !on {
				rate, _, err := l.run("--without", "wire,ebpf,sockets")
				if err != nil {
					return row{}, err
				}
				without = append(without, rate)
				continue
			}
			rate, events, err := l.run()
			if err != nil {
				return row{}, err
			}
			with, told = append(with, rate), append(told, float64(events))
		}
	}
	return row{
		figure: l.figure, unit: "1/s", measured: with, base: without, baseline: fmt.Sprintf("--without wire,ebpf,sockets; %.0f events recorded", told.median()), ratio: over,
		budget: fmt.Sprintf(">= %.2f", l.least), satisfied: func(_, ratio float64) bool { return ratio >= l.least },
	}, nil
}
