package predict

import "time"

// Where jiffies stand at the write is not known, and the wheel rounds to
// multiples: a simulation is repeated for many phases. Up to exhaustive
// phases all are tried; beyond, a spread of them, in odd steps so that every
// position within the fine levels occurs.
const exhaustive = 4096

// effort bounds the steps spent on the phases of one prediction.
const effort = 2_000_000

// fewest phases are tried, whatever it costs.
const fewest = 8

// epoch is added to every phase, so that no jiffy is 0, the kernel's "unset".
const epoch jiffies = 1 << 40

// phases lists starting jiffies for timers that are rounded to gran at most,
// no more of them than there is effort for at cost steps each.
func phases(gran jiffies, cost int) []jiffies {
	n := int(min(gran, exhaustive, jiffies(max(fewest, effort/max(1, cost)))))
	list := make([]jiffies, n)
	for i := range list {
		list[i] = epoch + jiffies(i)*gran/jiffies(n)
		if gran > jiffies(n) {
			list[i] += jiffies(i*7919) % (gran / jiffies(n))
		}
	}
	return list
}

// thin leaves of a list what can be simulated at cost steps each with the
// fewest phases: all of it, but for settings out of this world.
func thin[T any](list []T, cost int) []T {
	n := max(24, 5*effort/(fewest*len(skews)*max(1, cost)))
	if n >= len(list) {
		return list
	}
	some := make([]T, n)
	for i := range some {
		some[i] = list[i*(len(list)-1)/(n-1)]
	}
	return some
}

// skews are the readings of the clock tried with each phase.
var skews = [...]int{-1, 0, 1}

// outcomes collects what the simulations of one prediction came to.
type outcomes struct {
	clock
	min, max           jiffies
	errors             map[string]int
	sends              []span
	minSends, maxSends int
	n                  int
}

// span is the range of one transmission over the simulations.
type span struct {
	kind     string
	min, max jiffies
	rto      jiffies
	count    int
	onWire   int
}

// mostSends is how many transmissions a Window lists.
const mostSends = 1024

func newOutcomes(p Params) *outcomes {
	return &outcomes{clock: clock{int64(p.HZ)}, errors: map[string]int{}}
}

func (o *outcomes) add(start, end jiffies, errno string, sends []sent, count int) {
	took := end - start
	if o.n == 0 {
		o.min, o.max, o.minSends = took, took, count
	}
	o.n++
	o.min, o.max = min(o.min, took), max(o.max, took)
	o.minSends, o.maxSends = min(o.minSends, count), max(o.maxSends, count)
	o.errors[errno]++
	for i, s := range sends {
		at := s.at - start
		if i == len(o.sends) {
			o.sends = append(o.sends, span{kind: s.kind, min: at, max: at})
		}
		e := &o.sends[i]
		e.min, e.max, e.rto = min(e.min, at), max(e.max, at), max(e.rto, s.rto)
		e.count++
		if s.onWire {
			e.onWire++
		}
	}
}

// window turns the outcomes into a prediction; the error "" is none. The write happened at some
// time within its jiffy, so up to a whole one of the model's time was already
// over.
func (o *outcomes) window() Window {
	w := Window{
		Min: o.duration(max(0, o.min-1)), Max: o.duration(o.max),
		MinSends: o.minSends, MaxSends: o.maxSends,
	}
	for _, e := range []string{ETIMEDOUT, EHOSTUNREACH, ENETUNREACH, ECONNREFUSED, EACCES, EAGAIN} {
		if o.errors[e] == 0 {
			continue
		}
		w.Errors = append(w.Errors, e)
		if o.errors[e] > o.errors[w.Error] {
			w.Error = e
		}
	}
	w.Certain = len(w.Errors) <= 1
	count := map[string]int{}
	for _, s := range o.sends {
		count[s.kind]++
		w.Sends = append(w.Sends, Send{
			Kind: s.kind, N: count[s.kind],
			Min: o.duration(max(0, s.min-1)), Max: o.duration(s.max),
			RTO:    o.duration(s.rto),
			Always: s.count == o.n,
			OnWire: s.onWire > 0,
		})
	}
	return w
}

// decide names the setting that ended it.
func (w *Window) decide(p Params) {
	w.Decider = decider("net.ipv4.tcp_retries2", p.Retries2)
	if p.UserTimeout > 0 {
		w.Decider = "TCP_USER_TIMEOUT=" + p.UserTimeout.Round(time.Millisecond).String()
	}
}
