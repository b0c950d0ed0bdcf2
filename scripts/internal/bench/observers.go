package main

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/observe"
	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/topology"
)

const (
	trafficCount = 15      // measurements of each kind, with observers and without
	roundTrips   = 10_000  // of one measurement
	bulkSeconds  = "1"     // of one measurement
	packetsWant  = 100_000 // of which none may be dropped
	flushTimeout = time.Minute

	// As in lab: events that the timeline allocates at once, and how much
	// the heap may grow before its garbage is collected.
	chunk     = 4096
	gcPercent = 400
)

// watched is what the observers told.
type watched struct {
	mu      sync.Mutex
	events  [][]record.Event // kept in chunks, as lab's timeline keeps them
	packets int              // seen by the client's tap
	dropped uint64
}

func (w *watched) add(e record.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	last := len(w.events) - 1
	if last < 0 || len(w.events[last]) == chunk {
		w.events = append(w.events, make([]record.Event, 0, chunk))
		last++
	}
	w.events[last] = append(w.events[last], e)
	if e.Source == record.Wire && e.Host == "client" {
		w.packets++
	}
}

// watch does f under the observers that a run has: a tap at each end, and the
// tracer with both hosts. They tell everything, as after a fault, or are as
// economical as before.
func watch(n *topology.Network, f func() error) (w *watched, err error) {
	w = &watched{}
	clock, err := observe.NewClock()
	if err != nil {
		return nil, err
	}
	tracer, missing, err := observe.OpenTracer(false)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, tracer.Close()) }()
	tracing, err := tracer.Watch(clock, w.add)
	if err != nil {
		return nil, err
	}
	defer func() {
		dropped, e := tracing.Close()
		w.dropped += dropped
		err = errors.Join(err, e)
	}()
	if len(missing) > 0 {
		return nil, fmt.Errorf("this kernel lacks %d of the tracepoints", len(missing))
	}
	ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
	defer cancel()
	for _, h := range []*topology.Host{n.Client, n.Server} {
		host := observe.Host{
			Name: h.Name, Boot: h.Boot(), Net: h.Namespace(), PIDNS: h.PIDNamespace(), Iface: h.NIC.Name,
		}
		tap, err := observe.OpenWire(clock, host, w.add)
		if err != nil {
			return nil, err
		}
		defer func() {
			e := tap.Flush(ctx)
			dropped, e2 := tap.Close()
			w.dropped += dropped
			err = errors.Join(err, e, e2)
		}()
		if err := tracing.Add(host); err != nil {
			return nil, err
		}
		if err := errors.Join(tap.Everything(), tracing.Everything()); err != nil {
			return nil, err
		}
	}
	return w, f()
}

// observers measures what being observed costs the programs.
func observers() ([]row, error) {
	defer debug.SetGCPercent(debug.SetGCPercent(gcPercent))
	n, err := topology.New(topology.Config{Path: topology.Direct})
	if err != nil {
		return nil, err
	}
	defer n.Close()

	echo := func() (float64, error) { return traffic(n, "echo", fmt.Sprint(roundTrips)) }
	bulk := func() (float64, error) { return traffic(n, "bulk", bulkSeconds) }
	var trip, tripWatched, speed, speedWatched sample
	packets, lost := 0, uint64(0)
	for i := range trafficCount {
		// Whatever grows or shrinks over time is to hit both alike.
		for _, on := range []bool{i%2 == 0, i%2 == 1} {
			for _, kind := range []struct {
				do      func() (float64, error)
				off, on *sample
			}{{echo, &trip, &tripWatched}, {bulk, &speed, &speedWatched}} {
				var value float64
				one := func() (err error) { value, err = kind.do(); return err }
				if !on {
					if err := one(); err != nil {
						return nil, err
					}
					*kind.off = append(*kind.off, value)
					continue
				}
				w, err := watch(n, one)
				if err != nil {
					return nil, err
				}
				*kind.on = append(*kind.on, value)
				packets += w.packets
				lost += w.dropped
			}
		}
	}

	w, err := watch(n, func() error {
		_, err := traffic(n, "echo", fmt.Sprint(packetsWant/2))
		return err
	})
	if err != nil {
		return nil, err
	}
	return []row{
		{
			figure: "round trip, observed", unit: "us",
			measured: tripWatched, base: trip, baseline: "without observers", ratio: over,
			budget: "<= 1.25", satisfied: func(_, ratio float64) bool { return ratio <= 1.25 },
		},
		{
			figure: "throughput, observed", unit: "MB/s",
			measured: speedWatched, base: speed, baseline: "without observers", ratio: over,
			budget: ">= 0.95", satisfied: func(_, ratio float64) bool { return ratio >= 0.95 },
		},
		{
			figure: fmt.Sprintf("lost of %d packets", packetsWant), unit: "events",
			measured: sample{float64(w.dropped)}, budget: "0",
			satisfied: func(m, _ float64) bool { return m == 0 && w.packets >= packetsWant },
			baseline:  fmt.Sprintf("%d packets seen by the client's tap", w.packets),
		},
		{
			figure: "lost in all of the above", unit: "events", measured: sample{float64(lost)},
			budget: "-", satisfied: func(_, _ float64) bool { return true },
			baseline: fmt.Sprintf("%d packets seen by the client's tap", packets),
		},
	}, nil
}
