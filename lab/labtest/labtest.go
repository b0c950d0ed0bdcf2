// Package labtest gives a test a network of two hosts, in which it runs
// commands or its own Go code, lets a host crash, reboot or become unreachable,
// and waits for what is then observed. docs/testing.md tells how.
//
// A network takes root on Linux, or a virtual-time machine (Warp). Where it
// cannot be had the test is skipped, with the reason, or fails if LAB_REQUIRE is
// set. Nothing of a network has a
// name outside of it, so that any number of tests can run beside each other.
package labtest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/seed-6fefc909/tcplab/lab"
	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/scenarios"
	"github.com/seed-6fefc909/tcplab/topology"
)

// Options say what network to build. The zero value is a good one: IPv4, a
// switch between the hosts, the kernel's own timers.
type Options struct {
	// Path is what lies between the hosts: "direct" (one veth pair, on which
	// no crash looks like one), "switch", or "router"; "" is switch.
	Path topology.Path
	// Family is that of IP, 4 or 6; 0 is 4.
	Family topology.Family
	// ARPFails: the address of a dead host is not resolved any more, as on a
	// plain LAN. Without, the network goes on resolving it, as those of
	// clouds do.
	ARPFails bool
	// Standby: there is a third host, which takes the server's address over
	// at the fault failover. It takes a switch.
	Standby bool
	// Firewall lets the router know its flows: what belongs to none that it
	// saw begin it answers as "drop" or "reset" says.
	Firewall topology.Firewall
	// Delay is what the client's link adds each way, Loss the share of the
	// frames that it loses, from 0 to 1.
	Delay time.Duration
	Loss  float64
	// Sysctls are set on the hosts, as "client:net.ipv4.tcp_retries2=3";
	// without "client:", "server:" or "router:" on client and server.
	Sysctls []string
	// Grace is the time between SIGTERM and SIGKILL at the fault shutdown, 0
	// for 5 s.
	Grace time.Duration
	// Unverified leaves out the check that each fault looked on the wire like
	// what it is called, which otherwise fails the test.
	Unverified bool
}

// A Network is a client, a server and what lies between them. Its methods fail
// the test where something goes wrong, and so belong into the test's own
// goroutine; those of a Host and of a Cmd belong into any.
type Network struct {
	Client, Server *Host
	Standby        *Host // nil without Options.Standby

	t       TB
	options Options
	session *lab.Session
	number  int // of the test's networks

	ctx     context.Context // ends with the network
	cancel  context.CancelFunc
	sockets sockets
	running sync.WaitGroup // what Host.Go runs
}

// New builds a network, which is taken down at the end of the test. What the
// test left open in it is closed then. If the test failed, it logs what
// happened in the network; so it does if a fault was not what it is called.
func New(t TB, o Options) *Network {
	t.Helper()
	if err := lab.Preflight(); err != nil {
		lack(t, fmt.Errorf("no network: %w", err))
		return nil
	}
	n := &Network{t: t, options: o}
	if err := n.open(); err != nil {
		if _, cannot := lab.Explain(err); cannot {
			lack(t, fmt.Errorf("no network: %w", err))
			return nil
		}
		t.Fatalf("make a network: %v", err)
		return nil
	}
	t.Cleanup(n.close)
	return n
}

// open makes all that close gives up.
func (n *Network) open() error {
	o, build, err := n.options.lab()
	if err != nil {
		return err
	}
	o.Frames = kept()
	o.Tracer, n.number = shared.join(n.t.Name())
	n.session, err = lab.Open(lab.Hand{Name: n.t.Name(), Command: command(n.t.Name()), Build: build}, o)
	if err != nil {
		return errors.Join(plain(err), shared.leave(n.t.Name()))
	}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	net := n.session.Network()
	n.Client, n.Server = &Host{n, net.Client}, &Host{n, net.Server}
	if net.Standby != nil {
		n.Standby = &Host{n, net.Standby}
	}
	return nil
}

// lab are the options as lab takes them, and what they leave to a scenario's
// lines.
func (o Options) lab() (lab.Options, []string, error) {
	l := lab.Options{
		Path: o.Path, Family: o.Family, Delay: o.Delay, Loss: o.Loss, Grace: o.Grace,
		Sysctls: map[string]map[string]string{},
	}
	if l.Path == "" {
		l.Path = topology.Switch
	}
	for _, s := range o.Sysctls {
		if err := lab.ParseSysctl(s, l.Sysctls); err != nil {
			return l, nil, err
		}
	}
	return l, lab.BuildLines(o.ARPFails, o.Standby, o.Firewall), nil
}

// plain is an error without the place of a line that is no one's.
func plain(err error) error {
	if e, ok := errors.AsType[*scenarios.SyntaxError](err); ok {
		return e.Err
	}
	return err
}

// patience is how long what is to end when its sockets are closed may take.
const patience = 5 * time.Second

// close takes the network down: first what was seen is put down, so that the
// end is not part of it; then what the test left open is closed, for it would
// hold the hosts' namespaces.
func (n *Network) close() {
	n.t.Helper()
	r := n.session.Finish()
	n.cancel()
	n.sockets.closeAll()
	ended := make(chan struct{})
	go func() { n.running.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(patience):
		n.t.Errorf("a function that Host.Go runs has not returned %v after all connections were closed", patience)
	}
	n.verify(r)
	if n.t.Failed() {
		n.report(r)
	}
	if err := errors.Join(n.session.Close(), shared.leave(n.t.Name())); err != nil {
		n.t.Errorf("take the network down: %v", err)
	}
}

// verify fails a test, unless it has failed, if a fault was not what it is
// called. What could not be known, because the machine was too busy or lacks
// an observer, is only told, unless everything is required.
func (n *Network) verify(r *record.Record) {
	n.t.Helper()
	if n.options.Unverified || n.t.Failed() {
		return
	}
	for _, reason := range r.Reasons {
		switch {
		case r.Outcome == record.NotAsExpected:
			n.t.Errorf("fault %s: %s", r.Fault.Kind, reason)
		case required():
			n.t.Errorf("not known (%s is set): %s", RequireEnv, reason)
		default:
			n.t.Logf("not known: %s", reason)
		}
	}
}
