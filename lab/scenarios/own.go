package scenarios

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Own are programs to be run in the place of a scenario's: one side, or both.
type Own struct {
	Server, Client []string // with its arguments; nil: lab's echo server, lab's echo client
	When           When     // the fault comes
	Demand         Demand
	// File and Line are where this is written; "" if in a command line.
	File string
	Line int
}

// line is where a part of it stands, for a reader.
func (o Own) line(option, text string) line {
	if o.File != "" {
		return line{file: o.File, number: o.Line, text: text}
	}
	return line{file: option, text: text}
}

// WithPrograms is the scenario of its network and its faults, with these
// programs: of its steps only the starts and the faults stay. It is an error
// if the scenario is not about a server that goes away, or does more to it
// than faults do.
func (s *Scenario) WithPrograms(o Own) (*Scenario, error) {
	way, err := s.way()
	if err != nil {
		return nil, fmt.Errorf("not for programs of one's own: %w", err)
	}
	own := *s
	own.Verify, own.Takes, own.Steps, own.Why, own.Next = nil, 0, nil, nil, nil
	own.Own = &o
	server, client := o.Server, o.Client
	if server == nil {
		server = []string{"echo-server", "{any:port}"}
	}
	if client == nil {
		client = []string{"echo-client", "{server:port}"}
	}
	for _, step := range way {
		switch step := step.(type) {
		case Start:
			if step.Host == "standby" { // the same service
				own.Steps = append(own.Steps, Start{line: step.line, Name: step.Name, Host: step.Host, Argv: server})
				continue
			}
			if step.Host == "server" {
				text := "start server " + strings.Join(server, " ")
				own.Steps = append(own.Steps,
					Start{line: o.line("--server", text), Name: "server", Host: "server", Argv: server},
					Listening{o.line("--server", "the server listens")})
				continue
			}
			text := "start client " + strings.Join(client, " ")
			own.Steps = append(own.Steps, Start{line: o.line("--client", text), Name: "client", Host: "client", Argv: client})
			if len(own.Faults()) == 0 {
				own.Steps = append(own.Steps,
					Connected{o.line("--client", "the client connects")},
					Trigger{o.line("--when", "the fault's moment: "+o.When.String()), o.When})
			}
		case Fault:
			own.Steps = append(own.Steps, step)
		}
	}
	if o.Client == nil && own.Connects() {
		const text = "anyone there?"
		own.Steps = append(own.Steps, Type{line: o.line("--client", "type client "+text), Program: "client", Text: text})
	}
	own.Steps = append(own.Steps, Notice{o.line("--expect", o.Demand.String()), o.Demand})
	return &own, nil
}

// Connects tells whether the client is started before the first fault.
func (s *Scenario) Connects() bool {
	for _, step := range s.Steps {
		switch step := step.(type) {
		case Start:
			if step.Host == "client" {
				return true
			}
		case Fault:
			return false
		}
	}
	return false
}

// way is the scenario's way of going away: what is started, and the faults.
func (s *Scenario) way() ([]Step, error) {
	var way []Step
	last := 0
	for i, step := range s.Steps {
		if _, ok := step.(Fault); ok {
			last = i
		}
		if start, ok := step.(Start); ok && start.Host == "client" {
			last = max(last, i)
		}
	}
	faults := 0
	for i, step := range s.Steps {
		switch step := step.(type) {
		case Start:
			// Others beside the server are there for what the scenario shows;
			// and what is started after a reboot is started again.
			if step.Name == step.Host || step.Host == "standby" {
				way = append(way, step)
			}
		case Fault:
			if step.Host == "client" && step.Kind != "partition" {
				return nil, errors.New("its client's host goes away, too")
			}
			faults++
			way = append(way, step)
		case Freeze, Signal:
			if i < last {
				return nil, errors.New("it stops a program first")
			}
		case Heal, Zero:
			return nil, errors.New("nothing goes away for good")
		}
	}
	if faults == 0 {
		return nil, errors.New("nothing goes away")
	}
	for _, host := range []string{"server", "client"} {
		if !slices.ContainsFunc(way, func(s Step) bool { start, ok := s.(Start); return ok && start.Name == host }) {
			return nil, fmt.Errorf("it has no %s", host)
		}
	}
	return way, nil
}

// Ways are those of the sources that are ways of going away, each once: what
// differs only in lab's own programs is the same.
func Ways(list []*Source, v Variant) []*Source {
	var ways []*Source
	known := map[string]bool{}
	for _, source := range list {
		s, err := source.Compile(v)
		if err != nil {
			continue
		}
		steps, err := s.way()
		if err != nil {
			continue
		}
		key := fmt.Sprintf("%s %v", s.Firewall, s.Standby)
		for _, step := range steps {
			switch step := step.(type) {
			case Start:
				key += " start " + step.Host
			case Fault:
				key += " " + step.Kind + " " + step.Host
				if faultKind(step.Kind).down { // else nobody asks for its address
					key += fmt.Sprint(s.AnswerARP)
				}
			}
		}
		if !known[key] {
			known[key] = true
			ways = append(ways, source)
		}
	}
	return ways
}

// When says at which moment the fault comes, once the client is connected.
type When struct {
	Kind   string        // WhenConnected and so on; "" is that
	Time   time.Duration // idle, at
	Octets int64         // after-bytes
	Output *regexp.Regexp
}

// The kinds of moments.
const (
	WhenConnected = "connected"
	WhenIdle      = "idle"        // no data has passed for Time
	WhenOctets    = "after-bytes" // so many octets have passed, of both ends
	WhenOutput    = "output"      // a program printed a line that matches
	WhenAt        = "at"          // so long after the client connected
)

// ParseWhen reads connected, idle:2s, after-bytes:N, output:REGEXP or at:3s.
func ParseWhen(s string) (When, error) {
	kind, value, valued := strings.Cut(s, ":")
	w := When{Kind: kind}
	var err error
	switch kind {
	case "", WhenConnected:
		if valued {
			return w, fmt.Errorf("%q: %s takes nothing", s, WhenConnected)
		}
		w.Kind = WhenConnected
		return w, nil
	case WhenIdle, WhenAt:
		w.Time, err = duration(value)
	case WhenOctets:
		if w.Octets, err = strconv.ParseInt(value, 10, 64); err != nil || w.Octets < 1 {
			err = fmt.Errorf("%q is no number of octets", value)
		}
	case WhenOutput:
		if value == "" {
			return w, fmt.Errorf("%q: which output?", s)
		}
		w.Output, err = regexp.Compile(value)
	default:
		err = fmt.Errorf("there are %s, %s:TIME, %s:N, %s:REGEXP, %s:TIME", WhenConnected, WhenIdle, WhenOctets, WhenOutput, WhenAt)
	}
	if err != nil {
		return w, fmt.Errorf("%q: %w", s, err)
	}
	return w, nil
}

// String is what ParseWhen reads.
func (w When) String() string {
	switch w.Kind {
	case WhenIdle, WhenAt:
		return w.Kind + ":" + w.Time.String()
	case WhenOctets:
		return fmt.Sprintf("%s:%d", w.Kind, w.Octets)
	case WhenOutput:
		return w.Kind + ":" + w.Output.String()
	}
	return WhenConnected
}

// A Demand is what a client must do about its server's end, and how soon.
type Demand struct {
	// Error is what it must be told: an errno's name, or EOF; "" for anything.
	Error string
	// Exit: it must end with the status. Without, and with no Error, anything
	// that it does will do.
	Exit   bool
	Status int
	Within time.Duration // from the first fault
}

// DefaultDemand is the time within which a client must have noticed.
const DefaultDemand = time.Minute

// ParseDemand reads an errno's name, EOF or exit=N; "" for that the client
// does anything at all. Without a time it is DefaultDemand.
func ParseDemand(expect string, within time.Duration) (Demand, error) {
	d := Demand{Within: within}
	if within == 0 {
		d.Within = DefaultDemand
	}
	if d.Within < 0 || d.Within > maxTime {
		return d, fmt.Errorf("within %v: between 0 and %v", within, maxTime)
	}
	status, exits := strings.CutPrefix(expect, "exit=")
	switch {
	case expect == "":
	case exits:
		n, err := number(status, 255)
		if err != nil {
			return d, fmt.Errorf("expect %q: %w", expect, err)
		}
		d.Exit, d.Status = true, n
	case expect == "EOF" || errnoName(expect):
		d.Error = expect
	default:
		return d, fmt.Errorf("expect %q: an errno's name, EOF, or exit=N", expect)
	}
	return d, nil
}

// String says it for a reader.
func (d Demand) String() string {
	what := "the client does something about it"
	switch {
	case d.Exit:
		what = fmt.Sprintf("the client ends with exit %d", d.Status)
	case d.Error != "":
		what = "the client is told " + d.Error
	}
	return what
}

// Expect is what ParseDemand reads.
func (d Demand) Expect() string {
	if d.Exit {
		return fmt.Sprintf("exit=%d", d.Status)
	}
	return d.Error
}

// Listening waits until the server listens where the client can reach it.
type Listening struct{ line }

// Connected waits until the client has a connection to the server.
type Connected struct{ line }

// Trigger waits for the moment of the fault.
type Trigger struct {
	line
	When When
}

// Notice waits for what the client is told, and does.
type Notice struct {
	line
	Demand Demand
}

// FixedPort tells whether the programs are told which port to use: then they
// must use that one.
func (o Own) FixedPort() bool {
	return slices.ContainsFunc(slices.Concat(o.Server, o.Client), func(a string) bool { return strings.Contains(a, "port}") })
}

// OwnClient tells whether the client is the user's own, of whose sockets
// nothing is known beforehand.
func (s *Scenario) OwnClient() bool { return s.Own != nil && s.Own.Client != nil }
