package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// What a lab that stays up is measured by: how many come and go, how many
// programs are run in one, and for how long how often one is left alone, after it
// was used.
const (
	upCount    = 15
	execCount  = 50
	idleCount  = 2
	idleTime   = 20 * time.Second
	idleSettle = 5 * time.Second
	// recordedPrograms are run while it is recorded: 12 MB of record.json.
	recordedPrograms = 9000
)

// byHand measures what a lab costs that stays up.
func byHand() ([]row, error) {
	var up, shell sample
	for range upCount {
		time.Sleep(pause)
		took, err := timed("up")
		if err != nil {
			return nil, fmt.Errorf("lab up: %w", err)
		}
		if _, err := timed("down"); err != nil {
			return nil, fmt.Errorf("lab down: %w", err)
		}
		up = append(up, took)

		time.Sleep(pause)
		began := time.Now()
		if out, err := exec.Command("sh", "-c", shellNetwork).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("ip netns: %w: %s", err, out)
		}
		shell = append(shell, time.Since(began).Seconds())
	}
	if _, err := timed("up"); err != nil {
		return nil, fmt.Errorf("lab up: %w", err)
	}
	rows, err := inUse()
	if _, down := timed("down"); err == nil && down != nil {
		err = fmt.Errorf("lab down: %w", down)
	}
	if err != nil {
		return nil, err
	}
	return append([]row{{
		figure: "lab up to prompt", unit: "s", measured: up, base: shell, baseline: "ip netns from a shell, up and down", ratio: over,
		budget: "<= 0.3 s", satisfied: func(m, _ float64) bool { return m <= 0.3 },
	}}, rows...), nil
}

// inUse measures a lab that is up.
func inUse() ([]row, error) {
	var inLab, alone sample
	for range execCount {
		took, err := timed("exec", "client", "--", "true")
		if err != nil {
			return nil, fmt.Errorf("lab exec: %w", err)
		}
		began := time.Now()
		if err := exec.Command("true").Run(); err != nil {
			return nil, err
		}
		inLab, alone = append(inLab, took*1000), append(alone, time.Since(began).Seconds()*1000)
	}
	pids, err := processesUp()
	if err != nil {
		return nil, err
	}
	var cpu, pss sample
	time.Sleep(idleSettle)
	for range idleCount {
		before, err := total(pids, cpuTime)
		if err != nil {
			return nil, err
		}
		began := time.Now()
		time.Sleep(idleTime)
		after, err := total(pids, cpuTime)
		if err != nil {
			return nil, err
		}
		cpu = append(cpu, 100*(after-before)/time.Since(began).Seconds())
		memory, err := total(pids, proportional)
		if err != nil {
			return nil, err
		}
		pss = append(pss, memory)
	}
	after, err := afterRecording(pids)
	if err != nil {
		return nil, err
	}
	plain := alone.median()
	return []row{
		{
			figure: "lab exec HOST -- true", unit: "ms", measured: inLab, base: alone, baseline: "true", ratio: over,
			budget: "<= + 20 ms", satisfied: func(m, _ float64) bool { return m-plain <= 20 },
		},
		{
			figure: "CPU of an idle lab", unit: "% of one", measured: cpu,
			budget: "<= 0.1 %", satisfied: func(m, _ float64) bool { return m <= 0.1 },
		},
		{
			figure: "memory of an idle lab", unit: "MiB", measured: pss,
			budget: "<= 30 MiB", satisfied: func(m, _ float64) bool { return m <= 30 },
		},
		{
			figure: "memory after a recording", unit: "MiB", measured: sample{after},
			budget: "<= 30 MiB", satisfied: func(m, _ float64) bool { return m <= 30 },
		},
	}, nil
}

// afterRecording is the memory of the lab when a recording of many events has
// ended.
func afterRecording(pids []int) (float64, error) {
	many := fmt.Sprintf("i=0; while [ $i -lt %d ]; do /bin/true; i=$((i+1)); done", recordedPrograms)
	for _, args := range [][]string{{"record", "start"}, {"exec", "client", "--", "sh", "-c", many}, {"record", "stop"}} {
		if _, err := timed(args...); err != nil {
			return 0, fmt.Errorf("lab %s: %w", args[0], err)
		}
	}
	time.Sleep(idleSettle)
	return total(pids, proportional)
}

// processesUp are those that the only lab consists of: its supervisor and the hosts'
// inits.
func processesUp() ([]int, error) {
	out, err := exec.Command(lab, "status", "--output", "json").Output()
	if err != nil {
		return nil, fmt.Errorf("lab status: %w", err)
	}
	var status struct {
		PID   int
		Hosts []struct{ PID int }
	}
	if err := json.Unmarshal(out, &status); err != nil {
		return nil, fmt.Errorf("lab status: %w", err)
	}
	pids := []int{status.PID}
	for _, h := range status.Hosts {
		pids = append(pids, h.PID)
	}
	return pids, nil
}

// total adds a figure of processes up.
func total(pids []int, of func(pid int) (float64, error)) (sum float64, err error) {
	for _, pid := range pids {
		one, err := of(pid)
		if err != nil {
			return 0, err
		}
		sum += one
	}
	return sum, nil
}

// cpuTime is what a process's threads have computed, in seconds: unlike that of
// /proc/PID/stat it is not counted in ticks.
func cpuTime(pid int) (float64, error) {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil {
		return 0, err
	}
	sum := 0.0
	for _, thread := range threads {
		text, err := os.ReadFile(thread)
		if err != nil {
			return 0, err
		}
		on, _, _ := strings.Cut(string(text), " ")
		ns, err := strconv.ParseFloat(on, 64)
		if err != nil {
			return 0, fmt.Errorf("read %s: %w", thread, err)
		}
		sum += ns / 1e9
	}
	return sum, nil
}

// proportional is a process's memory in MiB, its share of what it shares.
func proportional(pid int) (float64, error) {
	name := fmt.Sprintf("/proc/%d/smaps_rollup", pid)
	text, err := os.ReadFile(name)
	if err != nil {
		return 0, err
	}
	_, rest, found := strings.Cut(string(text), "\nPss:")
	if !found {
		return 0, fmt.Errorf("read %s: no Pss", name)
	}
	kib, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
	return kib / 1024, err
}
