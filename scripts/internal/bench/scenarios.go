package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/scenarios"
)

// How often all scenarios are run, and the client that waits by poll.
const (
	allCount  = 3
	pollCount = 20
)

// everything measures how long it takes to run all scenarios beside each
// other. The baseline is the slowest of them, alone.
func everything() ([]row, error) {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	var all, slowest sample
	name, failed := "", 0.0
	for range allCount {
		took, err := timed("run", "all", "--out", dir)
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.ExitCode() == 1 {
			err = nil // counted below
		}
		if err != nil {
			return nil, fmt.Errorf("lab run all: %w", err)
		}
		all = append(all, took)
		longest := int64(0)
		for _, s := range scenarios.All() {
			r, err := record.ReadFile(filepath.Join(dir, s.Name, "record.json"))
			if err != nil {
				return nil, err
			}
			if r.Outcome != record.AsExpected {
				failed++
			}
			if r.Duration > longest {
				longest, name = r.Duration, s.Name
			}
		}
		if took, err = timed("run", name); err != nil {
			return nil, fmt.Errorf("lab run %s: %w", name, err)
		}
		slowest = append(slowest, took)
	}
	return []row{
		{
			figure: "lab run all", unit: "s", measured: all, base: slowest, baseline: "lab run " + name + ", the slowest, alone", ratio: over,
			budget: "<= 1.3", satisfied: func(_, ratio float64) bool { return ratio <= 1.3 },
		},
		{
			figure: fmt.Sprintf("not as expected of %d runs", allCount*len(scenarios.All())), unit: "runs", measured: sample{failed},
			budget: "0", satisfied: func(m, _ float64) bool { return m == 0 },
		},
	}, nil
}

func timed(args ...string) (float64, error) {
	cmd := exec.Command(lab, args...)
	began := time.Now()
	err := cmd.Run()
	return time.Since(began).Seconds(), err
}

// told measures how soon a client that waits for its connection by poll knows
// of the FIN, and beside it one that does not, in the same way.
func told() ([]row, error) {
	var mended, plain sample
	for range pollCount {
		m, err := finToRead("kill-poll")
		if err != nil {
			return nil, err
		}
		p, err := finToRead("kill")
		if err != nil {
			return nil, err
		}
		mended, plain = append(mended, m), append(plain, p)
	}
	return []row{{
		figure: "FIN's arrival to the client's EOF", unit: "ms", measured: mended, base: plain, baseline: "a client that waits for its user", ratio: under,
		budget: "< 1 ms", satisfied: func(m, _ float64) bool { return m < 1 },
	}}, nil
}

// finToRead is the time from the FIN's arrival at the client to the read that
// told of it, in milliseconds.
func finToRead(scenario string) (float64, error) {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	if _, err := timed("run", scenario, "--out", dir); err != nil {
		return 0, fmt.Errorf("lab run %s: %w", scenario, err)
	}
	r, err := record.ReadFile(filepath.Join(dir, "record.json"))
	if err != nil {
		return 0, err
	}
	for _, e := range r.Events {
		if e.Host == "client" && e.Kind == record.KindIn && e.Packet != nil && e.Packet.Flags&record.FlagFIN != 0 {
			return float64(r.Detection.Time-e.Time) / 1e6, nil
		}
	}
	return 0, errors.New("no FIN in the record")
}
