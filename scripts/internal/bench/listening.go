package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// listeningCount is how many starts of a server are measured.
const listeningCount = 20

// redisServer is the user's own, its port as /proc/net/tcp has it.
var redisServer = []string{"redis-server", "--port", "6379", "--bind", "0.0.0.0", "--protected-mode", "no", "--save", ""}

const redisPort = ":18EB "

// listening measures from the execution of lab to the user's own server
// listening, against that of a shell that starts it in a namespace.
func listening() ([]row, error) {
	if _, err := exec.LookPath(redisServer[0]); err != nil {
		return nil, fmt.Errorf("%w (scripts/provision test installs it)", err)
	}
	var inLab, byHand sample
	for range listeningCount {
		hand, err := startByHand()
		if err != nil {
			return nil, err
		}
		ours, err := startInLab()
		if err != nil {
			return nil, err
		}
		inLab, byHand = append(inLab, ours), append(byHand, hand)
	}
	hand := byHand.median()
	return []row{{
		figure: "lab run to one's server listening", unit: "s", measured: inLab, base: byHand, baseline: "unshare --net redis-server", ratio: over,
		budget: "<= + 0.2 s", satisfied: func(m, _ float64) bool { return m-hand <= 0.2 },
	}}, nil
}

// startInLab reads when the server listened from the record.
func startInLab() (float64, error) {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	began := time.Now()
	// The client has nothing to do: the run ends when the server listens.
	cmd := exec.Command(lab, "run", "kill", "--out", dir, "--client", "true", "--server", strings.Join(redisServer[:len(redisServer)-1], " ")+" ''")
	out, err := cmd.CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && (!ok || exit.ExitCode() != 1) {
		return 0, fmt.Errorf("lab run: %w\n%s", err, out)
	}
	r, err := record.ReadFile(filepath.Join(dir, "record.json"))
	if err != nil {
		return 0, err
	}
	zero, err := time.Parse(time.RFC3339Nano, r.Started)
	if err != nil {
		return 0, fmt.Errorf("start of the run: %w", err)
	}
	for _, e := range r.Events {
		if e.State != nil && e.Host == "server" && e.State.To == "LISTEN" {
			return zero.Add(time.Duration(e.Time)).Sub(began).Seconds(), nil
		}
	}
	return 0, errors.New("no server that listens in the record")
}

// startByHand starts it as a person would, and waits until it listens.
func startByHand() (float64, error) {
	began := time.Now()
	cmd := exec.Command("unshare", append([]string{"--net"}, redisServer...)...)
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	}()
	for table := fmt.Sprintf("/proc/%d/net/tcp", cmd.Process.Pid); time.Since(began) < 10*time.Second; {
		sockets, err := os.ReadFile(table)
		if err != nil {
			return 0, err
		}
		if strings.Contains(string(sockets), redisPort) {
			return time.Since(began).Seconds(), nil
		}
		time.Sleep(200 * time.Microsecond)
	}
	return 0, errors.New("redis-server does not listen after 10 s")
}
