package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/warp"
)

// How often each figure of virtual-time machines is measured, by how long it
// takes.
const (
	umlCount  = 15
	qemuCount = 7
)

// A virtual is a run in a virtual-time machine.
type virtual struct {
	figure string
	args   []string
	budget float64 // in seconds
	time   time.Duration
	took   sample
}

// machines measures runs with the kernel's default timers in virtual-time
// machines, on one CPU, and all scenarios on two. The baseline is a machine
// that does nothing.
func machines() ([]row, error) {
	if err := need([][2]string{{"curl", "curl"}, {"/usr/bin/python3", "python3"}}); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	// Who asks for this waits: it is answered when somebody writes to it.
	if err := unix.Mkfifo(filepath.Join(dir, "answer"), 0o644); err != nil {
		return nil, fmt.Errorf("make a FIFO: %w", err)
	}
	programs := []string{
		"--server", "/usr/bin/python3 -m http.server {port} --directory " + dir,
		"--client", "curl --silent --show-error http://{server:port}/answer", "--within", "15m",
	}
	rows, err := inMachines(warp.UMLName, umlCount, []*virtual{
		{figure: "crash", args: []string{"crash"}, budget: 0.35},
		{figure: "keepalive", args: []string{"keepalive"}, budget: 0.4},
		{figure: "crash, curl and http.server", args: append([]string{"crash"}, programs...), budget: 1.2},
	})
	if err != nil {
		return nil, err
	}
	all, err := allInMachines(dir)
	if err != nil {
		return nil, err
	}
	qemu, err := inMachines(warp.QEMUName, qemuCount, []*virtual{
		{figure: "crash", args: []string{"crash"}, budget: 2},
		{figure: "keepalive", args: []string{"keepalive"}, budget: 2},
	})
	return slices.Concat(rows, all, qemu), err
}

// inMachines measures runs in an engine's machines.
func inMachines(engine string, count int, runs []*virtual) ([]row, error) {
	var boots sample
	err := onCPUs(1, func() error {
		// What is made once, a booted machine's copy above all, is there then.
		for _, v := range runs {
			if err := v.look(engine); err != nil {
				return err
			}
		}
		for range count {
			boot, err := timed("warp", "--engine", engine, "--", "/bin/true")
			if err != nil {
				return fmt.Errorf("lab warp: %w", err)
			}
			boots = append(boots, boot)
			for _, v := range runs {
				took, err := timed(v.command(engine)...)
				if err != nil {
					return fmt.Errorf("lab run %s: %w", v.figure, err)
				}
				v.took = append(v.took, took)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var rows []row
	for _, v := range runs {
		rows = append(rows, v.row(engine, boots))
	}
	return rows, nil
}

func (v *virtual) command(engine string) []string {
	return append(append([]string{"run"}, v.args...), "--warp", "--engine", engine)
}

// look sees that the run is as expected, and how long it is by its own clock.
func (v *virtual) look(engine string) error {
	cmd := exec.Command(lab, append(v.command(engine), "--output", "json")...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("lab run %s: %w", v.figure, err)
	}
	r, err := record.Read(bytes.NewReader(out))
	if err != nil {
		return err
	}
	v.time = time.Duration(r.Duration)
	return nil
}

func (v *virtual) row(engine string, boots sample) row {
	return row{
		figure: engine + ": " + v.figure, unit: "s", measured: v.took, base: boots, ratio: over,
		baseline:  fmt.Sprintf("lab warp -- true; %v pass, %.0f times as fast", v.time.Round(time.Second), v.time.Seconds()/v.took.median()),
		budget:    fmt.Sprintf("<= %g s", v.budget),
		satisfied: func(m, _ float64) bool { return m <= v.budget },
	}
}

// allInMachines measures how long all scenarios take.
func allInMachines(dir string) ([]row, error) {
	const budget = 60
	var all, boots sample
	virtual := time.Duration(0)
	err := onCPUs(2, func() error {
		for range allCount {
			boot, err := timed("warp", "--", "/bin/true")
			if err != nil {
				return fmt.Errorf("lab warp: %w", err)
			}
			boots = append(boots, boot)
			took, err := timed("run", "all", "--warp", "--out", dir)
			if err != nil {
				return fmt.Errorf("lab run all --warp: %w", err)
			}
			all = append(all, took)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	records, err := filepath.Glob(filepath.Join(dir, "*", "record.json"))
	if err != nil {
		return nil, err
	}
	for _, name := range records {
		r, err := record.ReadFile(name)
		if err != nil {
			return nil, err
		}
		virtual += time.Duration(r.Duration)
	}
	return []row{{
		figure: fmt.Sprintf("uml: all %d scenarios, 2 CPUs", len(records)), unit: "s", measured: all, base: boots, ratio: over,
		baseline:  fmt.Sprintf("lab warp -- true; %v pass, %.0f times as fast", virtual.Round(time.Second), virtual.Seconds()/all.median()),
		budget:    fmt.Sprintf("<= %d s", budget),
		satisfied: func(m, _ float64) bool { return m <= budget },
	}}, nil
}

// onCPUs calls f such that what it starts has so many CPUs, if there are.
func onCPUs(n int, f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, some unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return fmt.Errorf("ask for this thread's CPUs: %w", err)
	}
	for cpu := 0; some.Count() < min(n, before.Count()); cpu++ {
		if before.IsSet(cpu) {
			some.Set(cpu)
		}
	}
	if err := unix.SchedSetaffinity(0, &some); err != nil {
		return fmt.Errorf("stay on %d CPUs: %w", n, err)
	}
	defer func() { _ = unix.SchedSetaffinity(0, &before) }() // it had them
	return f()
}
