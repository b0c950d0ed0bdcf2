package lab_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/seed-6fefc909/tcplab/internal/testenv"
	"github.com/seed-6fefc909/tcplab/lab"
	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/scenarios"
	"github.com/seed-6fefc909/tcplab/topology"
)

// What the second argument of FuzzRun asks for, bit by bit.
const (
	fuzzIPv6 = 1 << iota
	fuzzReal
	fuzzDelay
	fuzzLoss
	fuzzBlind // without eBPF
)

// FuzzRun runs any scenario that compiles, for a moment. Whatever it asks for,
// the run returns in time with a record that follows its schema, closes
// cleanly, and leaves nothing. To fuzz: go test -fuzz FuzzRun -parallel 1
// -fuzzminimizetime 1x (the processes of other workers would be taken for what
// is left, and nearly all of the time goes into minimizing otherwise).
func FuzzRun(f *testing.F) {
	testenv.NeedRoot(f)
	for _, seed := range []struct {
		name    string
		options uint8
	}{
		{"kill", 0},
		{"crash", fuzzDelay},
		{"reboot", fuzzIPv6},
		{"failover", fuzzLoss},
		{"zero-window", fuzzReal},
		{"nat-expiry-reset", fuzzIPv6 | fuzzDelay},
		{"shutdown", fuzzBlind},
		{"socket-destroyed", 0},
		{"zombies", 0},
		{"recverr", fuzzIPv6 | fuzzLoss},
	} {
		sc, err := findScenario(seed.name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(sc.Script(), seed.options)
	}
	// What none of the built-in ones does.
	f.Add("zero x\neof client\n", uint8(0))
	f.Add("start server echo-server {any:port}\nfault shutdown client\nfault reboot server\nfault crash client\nsockets\n", uint8(0))
	f.Add("start server stubborn\neof server\neof server\ntype server x\nfreeze server\nfault crash server\nsignal server SIGKILL\n", uint8(0))
	f.Add("path router\nfirewall drop\nfault forget-flow\nheal\nfault unreachable-net\nheal\n", uint8(fuzzIPv6))
	f.Add("fault crash server\nfault reboot server\nstart server echo-server {any:port}\nfault partition server\n", uint8(0))
	tracer := lab.NewTracer()
	if _, err := runOnce(f.Context(), "kill", lab.Options{Tracer: tracer}, 0); err != nil { // it is loaded
		f.Fatal(err)
	}
	f.Cleanup(func() {
		if err := tracer.Close(); err != nil {
			f.Error(err)
		}
	})
	f.Fuzz(func(t *testing.T, script string, options uint8) {
		sc, err := scenarios.Read("fuzz.lab", script)
		if err != nil {
			return // FuzzRead's
		}
		o := lab.Options{Timeout: 150 * time.Millisecond, Tracer: tracer, Real: options&fuzzReal != 0}
		if options&fuzzIPv6 != 0 {
			o.Family = topology.IPv6
		}
		if options&fuzzDelay != 0 {
			o.Delay = 10 * time.Millisecond
		}
		if options&fuzzLoss != 0 {
			o.Loss = 0.1
		}
		if options&fuzzBlind != 0 {
			o.Without = []string{lab.ObserveEBPF}
		}
		e, err := lab.New(sc, o)
		if err != nil {
			return
		}
		if err := validate(e.Preview()); err != nil {
			t.Error("preview:", err)
		}
		before := testenv.Take()
		begun := time.Now()
		r, err := e.Run(context.Background())
		if took := time.Since(begun); took > 20*time.Second {
			t.Errorf("it took %v", took)
		}
		if errors.Is(err, lab.ErrTimeout) && r.Outcome != record.Inconclusive {
			t.Errorf("cut short, but %s", r.Outcome)
		}
		if err := validate(r); err != nil {
			t.Error("record:", err)
		}
		if err := e.Close(); err != nil {
			t.Error("close:", err)
		}
		for _, left := range before.Left() {
			t.Error("left behind:", left)
		}
	})
}
