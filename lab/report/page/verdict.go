package page

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report"
	"github.com/seed-6fefc909/tcplab/lab/report/ladder"
)

// A verdict is what stands first on the page.
type verdict struct {
	Scenario, Title string
	Mark            mark
	Answer          string
	Reasons         []string
	Demand          []fact // of the user's own programs: what was asked, told, done
	Command         string
	ByHand          bool // in a lab of lab up, which the command makes, and nothing else
	Facts           []fact
	Rule            string
	Why             []string
	Next            []string
}

// A fact is a thing with its name.
type fact struct{ Name, Value string }

func verdictOf(r *record.Record) verdict {
	v := verdict{
		Scenario: plain(r.Scenario), Title: bounded(r.Title, maxText), Mark: markOf(r),
		Answer:  bounded(report.Conclusion(r), maxText),
		Reasons: all(r.Reasons),
		Command: bounded("sudo "+r.Command, maxText),
		ByHand:  handmade(r),
		Facts:   factsOf(r),
		Rule:    bounded(report.Rule(r), maxText),
		Next:    all(r.Next),
	}
	if r.Outcome == record.AsExpected {
		v.Why = all(r.Why) // otherwise it explains what did not happen
	}
	if r.Demand != nil {
		v.Demand = demandOf(r)
	}
	return v
}

// handmade tells whether it was recorded in a lab that a person had made.
func handmade(r *record.Record) bool { return r.ByHand && strings.HasPrefix(r.Command, "lab ") }

// factsOf are the circumstances of a run.
func factsOf(r *record.Record) []fact {
	network := r.Path + ", IPv" + ladder.Thousands(r.Family)
	if r.Firewall != "" {
		network += ", with a firewall"
	}
	timers := r.Timers
	switch {
	case !slices.ContainsFunc(r.Changed, func(c string) bool { return strings.Contains(c, " net.ipv4.tcp_") }):
		timers = "the kernel's own"
	case r.Timers == "quick":
		timers = "quick: what would take minutes is shortened"
	case r.Timers == "real":
		timers = "real: none is shortened"
	}
	started := r.Started
	if t, err := time.Parse(time.RFC3339Nano, r.Started); err == nil {
		started = t.UTC().Format("2 January 2006, 15:04:05 UTC")
	}
	kernel := "Linux " + r.Kernel.Release + ", " + r.Kernel.Machine + ", HZ=" + ladder.Thousands(r.Kernel.HZ)
	if w := r.Kernel.Warp; w != nil {
		kernel += fmt.Sprintf(", in virtual time: %s, seed %d", w.Engine, w.Seed)
		started += ", by the machine's own clock"
	}
	facts := []fact{
		{"kernel", kernel},
		{"path", network},
		{"timers", timers},
		{"started", started},
		{"took", record.Span(r.Duration)},
	}
	if r.File != "" {
		facts = append(facts, fact{"scenario file", r.File})
	}
	if r.Delay.By != "" {
		facts = append(facts, fact{"delay", delay(r.Delay)})
	}
	for i, f := range facts {
		facts[i].Value = bounded(f.Value, maxText)
	}
	return facts
}

// demandOf says what was asked of the user's own client, and what it did.
func demandOf(r *record.Record) []fact {
	facts := []fact{{"asked", report.Asked(r.Demand)}, {"the fault's moment", r.Demand.When}, {"told", report.Told(r)}}
	for _, a := range r.Actions {
		facts = append(facts, fact{"acted", report.Acted(&a)})
	}
	if len(r.Actions) == 0 && r.Fault.Kind != "" {
		facts = append(facts, fact{"acted", report.DidNothing(r)})
	}
	for i, f := range facts {
		facts[i].Value = bounded(f.Value, maxText)
	}
	return facts
}
