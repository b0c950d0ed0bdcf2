// Package claims holds what UNP 5.12 to 5.16 say happens when the other side
// goes away, sentence by sentence, and judges each against the records of
// runs: pure functions of the events that were seen.
package claims

import (
	"fmt"
	"strings"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// A Claim is one thing that the book says happens.
type Claim struct {
	ID   string
	Says string
	// Scenarios are those whose records the claim is judged by.
	Scenarios []string
	// needs are the observers without which the events could not be seen.
	needs []string
	judge func(*evidence) finding
}

// A Status is what the running kernel makes of a claim.
type Status string

// The statuses.
const (
	Confirmed    Status = "confirmed"
	Differs      Status = "differs"
	Inconclusive Status = "inconclusive"
)

// A Result is the judgement of a claim.
type Result struct {
	ID        string   `json:"id"`
	Says      string   `json:"says"` // the book, in our words
	Scenarios []string `json:"scenarios"`
	Status    Status   `json:"status"`
	// Known: that is how Linux is known to be. A difference that is explained
	// is known; one that is not, and what is inconclusive, are not.
	Known bool   `json:"known"`
	Seen  string `json:"seen"` // what this kernel did
	// Why explains a known difference: the kernel's function, the RFC.
	Why string `json:"why,omitempty"`
	// Event decides; absent where it is the lack of one that does.
	Event *Event `json:"event,omitempty"`
}

// An Event is one of a record.
type Event struct {
	Scenario string `json:"scenario"`
	// Time is that in the record, AfterFault the same, from the fault.
	Time       int64         `json:"t_ns"`
	AfterFault int64         `json:"after_fault_ns"`
	Host       string        `json:"host"`
	Source     record.Source `json:"source"`
	Kind       string        `json:"kind"`
	Text       string        `json:"text"`
}

// Evidence is what claims are judged by.
type Evidence struct {
	// Records of runs, by scenario.
	Records map[string]*record.Record
	// Default is what is predicted of a scenario with the kernel's own
	// timers, where the run's were shortened.
	Default map[string]record.Prediction
}

// Schema is the version of a Report's form, which changes as record.Schema does.
const Schema = "lab-claims/1"

// A Report is the judgement of several claims on one kernel.
type Report struct {
	Schema string        `json:"schema"`
	Kernel record.Kernel `json:"kernel"`
	Family int           `json:"family"` // of IP, 0 if there is no record
	// OK: everything came out as it is known to be.
	OK     bool     `json:"ok"`
	Claims []Result `json:"claims"`
}

// All lists the claims in the book's order.
func All() []Claim {
	var all []Claim
	for _, group := range [][]Claim{programClaims(), processClaims(), crashClaims(), rebootClaims(), shutdownClaims()} {
		all = append(all, group...)
	}
	return all
}

// Judge judges several.
func Judge(claims []Claim, e Evidence) Report {
	report := Report{Schema: Schema, OK: true, Claims: []Result{}}
	for _, c := range claims {
		for _, name := range c.Scenarios {
			if r := e.Records[name]; r != nil {
				report.Kernel, report.Family = r.Kernel, r.Family
			}
		}
		result := c.Judge(e)
		report.OK = report.OK && result.Known
		report.Claims = append(report.Claims, result)
	}
	return report
}

// Judge judges the claim. What was not run, or not observed, confirms nothing,
// and neither does a run that went otherwise than its scenario says.
func (c *Claim) Judge(e Evidence) Result {
	f := c.find(e)
	result := Result{ID: c.ID, Says: c.Says, Scenarios: c.Scenarios, Status: f.status, Known: f.known, Seen: f.seen, Why: f.why}
	if f.at.event != nil {
		result.Event = f.at.told()
	}
	return result
}

func (c *Claim) find(e Evidence) finding {
	runs := &evidence{runs: map[string]*run{}, defaults: e.Default}
	for _, name := range c.Scenarios {
		r := e.Records[name]
		if r == nil {
			return unseen("%s was not run", name)
		}
		if lacks := missing(r, c.needs); lacks != "" {
			return unseen("%s: %s", name, lacks)
		}
		if r.Outcome == record.Inconclusive || r.Fault.Kind == "" {
			return unseen("%s was inconclusive: %s", name, because(r))
		}
		runs.runs[name] = newRun(r)
	}
	f := c.judge(runs)
	for _, name := range c.Scenarios {
		if r := e.Records[name]; r.Outcome != record.AsExpected {
			if f.known {
				f.status, f.known = Inconclusive, false
			}
			f.seen = fmt.Sprintf("%s was not as expected (%s). %s", name, because(r), f.seen)
		}
	}
	return f
}

func because(r *record.Record) string {
	if len(r.Reasons) == 0 {
		return "no reason is given"
	}
	return r.Reasons[0]
}

// The observers that claims need, as record.Missing names them.
const (
	wire   = "wire"
	tables = "sockets"
	enters = "ebpf:sys_enter"
	exits  = "ebpf:sys_exit"
	forks  = "ebpf:sched_process_fork"
	ends   = "ebpf:sched_process_exit"
	sent   = "ebpf:signal_generate"
	states = "ebpf:inet_sock_set_state"
)

// missing tells what was not observed of that which is needed.
func missing(r *record.Record, needs []string) string {
	for _, m := range r.Missing {
		for _, need := range needs {
			if m.Observer == need || strings.HasPrefix(need, m.Observer+":") || need == wire && strings.HasPrefix(m.Observer, wire+":") {
				return "not observed: " + m.Observer + ": " + m.Why
			}
		}
	}
	return ""
}

// A finding is what a judge comes to.
type finding struct {
	status Status
	known  bool
	seen   string
	why    string
	at     moment
}

// yes: it is as the book says.
func yes(at moment, seen string, args ...any) finding {
	return finding{status: Confirmed, known: true, seen: fmt.Sprintf(seen, args...), at: at}
}

// linux: it differs as it is known to.
func linux(at moment, why, seen string, args ...any) finding {
	return finding{status: Differs, known: true, seen: fmt.Sprintf(seen, args...), why: why, at: at}
}

// no: it differs, and nobody knows why.
func no(at moment, seen string, args ...any) finding {
	return finding{status: Differs, seen: fmt.Sprintf(seen, args...), at: at}
}

// unseen: it cannot be told.
func unseen(why string, args ...any) finding {
	return finding{status: Inconclusive, seen: fmt.Sprintf(why, args...)}
}

// A moment is an event of a run. The zero value is none.
type moment struct {
	run   *run
	event *record.Event
	text  string // instead of the event's own, if not empty
}

func (m moment) told() *Event {
	e := m.event
	text := m.text
	if text == "" {
		text = e.String()
	}
	return &Event{m.run.Scenario, e.Time, e.Time - m.run.Fault.Time, e.Host, e.Source, e.Kind, text}
}

// evidence is what a judge gets: the runs of all its scenarios.
type evidence struct {
	runs     map[string]*run
	defaults map[string]record.Prediction
}

func (e *evidence) run(name string) *run { return e.runs[name] }
