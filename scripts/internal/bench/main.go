// Command bench measures what lab costs: beside each figure it measures a
// baseline in the same run, as often and in turn with it, and prints the
// medians, how far the runs spread, the ratio and the budget. It ends with
// status 1 if a budget is missed. It needs root; scripts/bench runs it. Its
// arguments choose what to measure: runs, listening, networks, observers,
// programs, memory, byhand, poll, all, warp.
package main

import (
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/seed-6fefc909/tcplab/topology"
)

// lab is the program that is measured.
const lab = "bin/lab"

// A sample is one measurement, in the unit of its row.
type sample []float64

// spread gives the median and the quartiles.
func (s sample) spread() (q1, median, q3 float64) {
	sorted := slices.Sorted(slices.Values(s))
	at := func(part float64) float64 { // interpolated between neighbours
		x := part * float64(len(sorted)-1)
		i := int(x)
		if i+1 == len(sorted) {
			return sorted[i]
		}
		return sorted[i] + (x-float64(i))*(sorted[i+1]-sorted[i])
	}
	return at(0.25), at(0.5), at(0.75)
}

func (s sample) median() float64 {
	_, m, _ := s.spread()
	return m
}

func (s sample) String() string {
	q1, m, q3 := s.spread()
	return fmt.Sprintf("%.4g (%.4g to %.4g)", m, q1, q3)
}

// A row is a line of the table.
type row struct {
	figure    string
	unit      string
	measured  sample
	base      sample // nil: none
	baseline  string // what it is
	ratio     func(measured, base float64) float64
	budget    string
	satisfied func(measured, ratio float64) bool
}

// over is how many times the baseline the measured is, under the inverse.
func over(measured, base float64) float64  { return measured / base }
func under(measured, base float64) float64 { return base / measured }

func (r row) print() (ok bool) {
	measured, ratio := r.measured.median(), 0.0
	line := fmt.Sprintf("%-34s %-34s", r.figure+", "+r.unit, r.measured)
	if r.base != nil {
		ratio = r.ratio(measured, r.base.median())
		line += fmt.Sprintf(" %-30s %6.2f", r.base, ratio)
	} else {
		line += fmt.Sprintf(" %-30s %6s", "-", "-")
	}
	ok = r.satisfied(measured, ratio)
	verdict := "ok"
	if !ok {
		verdict = "NOT OK"
	}
	fmt.Printf("%s  %-14s %-7s n=%-3d %s\n", line, r.budget, verdict, len(r.measured), r.baseline)
	return ok
}

func main() {
	topology.RunInit() // in a host's process 1 this does not return,
	runPeer()          // in an end of the traffic neither
	if err := bench(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func bench() error {
	began := time.Now()
	var rows []row
	for _, measure := range []struct {
		name, what string
		do         func() ([]row, error)
	}{
		{"runs", "start and end of lab", runs},
		{"listening", "one's own server's start", listening},
		{"networks", "networks up and down", networks},
		{"observers", "traffic with observers and without", observers},
		{"programs", "programs with observers and without", realPrograms},
		{"memory", "memory", memory},
		{"byhand", "a lab that stays up", byHand},
		{"poll", "the client that is told at once", told},
		{"all", "all scenarios beside each other", everything},
		{"warp", "virtual-time machines", machines},
	} {
		fmt.Fprintf(os.Stderr, "measuring: %s\n", measure.what)
		if len(os.Args) > 1 && !slices.Contains(os.Args[1:], measure.name) {
			continue
		}
		some, err := measure.do()
		if err != nil {
			return fmt.Errorf("measure %s: %w", measure.what, err)
		}
		rows = append(rows, some...)
	}
	fmt.Printf("%-34s %-34s %-30s %6s  %-14s\n", "figure", "measured: median (quartiles)", "baseline", "ratio", "budget")
	missed := 0
	for _, r := range rows {
		if !r.print() {
			missed++
		}
	}
	fmt.Printf("%d figures in %.0f s, %d budgets missed\n", len(rows), time.Since(began).Seconds(), missed)
	if missed > 0 {
		return fmt.Errorf("%d budgets missed", missed)
	}
	return nil
}
