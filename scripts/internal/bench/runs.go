package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// runCount is how many runs of lab are measured.
const runCount = 20

// runs measures from the execution of lab to the first packet on the wire, and
// from the verdict on its standard output to its end. The packet's time is the
// kernel's, by way of the record: the run's zero and the event's time. The
// baseline is a lab that does next to nothing.
func runs() ([]row, error) {
	var first, after, idle sample
	for range runCount {
		began := time.Now()
		if err := exec.Command(lab, "schema").Run(); err != nil {
			return nil, fmt.Errorf("lab schema: %w", err)
		}
		idle = append(idle, time.Since(began).Seconds())
		f, a, err := run()
		if err != nil {
			return nil, err
		}
		first, after = append(first, f), append(after, a)
	}
	const baseline = "lab schema, start to end"
	return []row{
		{
			figure: "start to first packet", unit: "s", measured: first, base: idle, baseline: baseline, ratio: over,
			budget: "<= 0.25 s", satisfied: func(m, _ float64) bool { return m <= 0.25 },
		},
		{
			figure: "verdict to end", unit: "s", measured: after, base: idle, baseline: baseline, ratio: over,
			budget: "<= 0.15 s", satisfied: func(m, _ float64) bool { return m <= 0.15 },
		},
	}, nil
}

// run measures one run of lab.
func run() (first, after float64, err error) {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return 0, 0, err
	}
	defer os.RemoveAll(dir)
	cmd := exec.Command(lab, "run", "kill", "--out", dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, 0, err
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, 0, err
	}
	var verdict time.Time
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if verdict.IsZero() && strings.HasPrefix(lines.Text(), "verdict") {
			verdict = time.Now()
		}
	}
	if err := cmd.Wait(); err != nil {
		return 0, 0, fmt.Errorf("lab run: %w", err)
	}
	ended := time.Now()
	if verdict.IsZero() {
		return 0, 0, errors.New("lab run printed no verdict")
	}
	packet, err := firstPacket(filepath.Join(dir, "record.json"))
	if err != nil {
		return 0, 0, err
	}
	return packet.Sub(began).Seconds(), ended.Sub(verdict).Seconds(), nil
}

// firstPacket is when a record's first packet was on the wire.
func firstPacket(name string) (time.Time, error) {
	f, err := os.Open(name)
	if err != nil {
		return time.Time{}, err
	}
	defer f.Close()
	r, err := record.Read(f)
	if err != nil {
		return time.Time{}, err
	}
	zero, err := time.Parse(time.RFC3339Nano, r.Started)
	if err != nil {
		return time.Time{}, fmt.Errorf("start of the run: %w", err)
	}
	for _, e := range r.Events {
		if e.Source == record.Wire {
			return zero.Add(time.Duration(e.Time)), nil
		}
	}
	return time.Time{}, errors.New("no packet in the record")
}

// memory measures the most memory that lab had resident, up to just before
// its end, in a run that lasts.
func memory() ([]row, error) {
	// A peak can only be read while the process lives, and the last look
	// must come late: it is taken until the process is a zombie.
	peak := func(args ...string) (float64, error) {
		cmd := exec.Command(lab, args...)
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			return 0, err
		}
		most := 0.0
		for {
			kib, err := residentPeak(cmd.Process.Pid)
			if err != nil {
				break
			}
			most = max(most, kib/1024)
			time.Sleep(time.Millisecond)
		}
		return most, cmd.Wait()
	}
	run, err := peak("run", "crash")
	if err != nil {
		return nil, fmt.Errorf("lab run: %w", err)
	}
	idle, err := peak("schema")
	if err != nil {
		return nil, fmt.Errorf("lab schema: %w", err)
	}
	return []row{{
		figure: "memory of lab run crash", unit: "MiB",
		measured: sample{run}, base: sample{idle}, baseline: "lab schema", ratio: over,
		budget: "< 64 MiB", satisfied: func(m, _ float64) bool { return m < 64 },
	}}, nil
}

// residentPeak reads VmHWM, in KiB. A zombie has none.
func residentPeak(pid int) (float64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, rest, found := bytes.Cut(status, []byte("VmHWM:"))
	if !found {
		return 0, errors.New("no VmHWM")
	}
	return strconv.ParseFloat(string(bytes.Fields(rest)[0]), 64)
}
