package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/seed-6fefc909/tcplab/lab/observe"
	"github.com/seed-6fefc909/tcplab/lab/programs"
	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/scenarios"
	"github.com/seed-6fefc909/tcplab/topology"
)

// listening waits for the server to listen where the client can reach it.
func (e *Experiment) listening(ctx context.Context, s scenarios.Listening) error {
	port := 0
	if e.scenario.Own.FixedPort() {
		port = programs.DefaultPort
	}
	began := e.clock.Now()
	var all, right []netip.AddrPort
	var broke error
	err := e.until(ctx, e.options.patience(), nil, func([]record.Event) (bool, error) {
		if all, broke = e.listeners(e.net.Server); broke != nil {
			return false, broke
		}
		right = slices.DeleteFunc(slices.Clone(all), func(a netip.AddrPort) bool {
			return !e.reachable(a.Addr()) || port != 0 && int(a.Port()) != port
		})
		return len(right) > 0 || e.deserted(e.net.Server), nil
	})
	if broke != nil || err != nil && !errors.Is(err, errNotSeen) {
		return err
	}
	if len(right) == 0 {
		return &OwnError{e.notListening(all, port, err != nil)}
	}
	if port == 0 { // for lab's own client
		e.serverAddr = netip.AddrPortFrom(e.serverAddr.Addr(), right[0].Port())
	}
	took := record.Span(e.clock.Now() - began)
	e.met(s, "the server listens on "+addresses(right)+", after "+took)
	return nil
}

// notListening says what is wrong with a server that does not.
func (e *Experiment) notListening(all []netip.AddrPort, port int, waited bool) string {
	why := "the server listens nowhere"
	if len(all) > 0 {
		why = "the server listens on " + addresses(all) + " only"
		switch {
		case port != 0 && !slices.ContainsFunc(all, func(a netip.AddrPort) bool { return int(a.Port()) == port }):
			why += fmt.Sprintf(", not on port %d ({port})", port)
		default:
			why += fmt.Sprintf(", where the client cannot reach it: it is to listen on any address, or on %s", e.serverAddr.Addr())
		}
	}
	if waited {
		return fmt.Sprintf("%s after %v%s", why, e.options.patience(), e.lastWords("server"))
	}
	return why + ", and " + e.fate("server") + e.lastWords("server")
}

// addresses lists some.
func addresses(list []netip.AddrPort) string {
	var all []string
	for _, a := range list {
		if s := a.String(); !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return strings.Join(all, ", ")
}

// reachable tells whether the client can reach what listens on an address.
func (e *Experiment) reachable(a netip.Addr) bool {
	server := e.serverAddr.Addr()
	return a.IsUnspecified() && (a.Is6() || server.Is4()) || a.Unmap() == server
}

// listeners are what a host's programs listen on.
func (e *Experiment) listeners(h *topology.Host) ([]netip.AddrPort, error) {
	rows, err := observe.Sockets(e.watch.describe(h))
	if err != nil {
		return nil, err
	}
	var all []netip.AddrPort
	for _, r := range rows {
		if a, err := netip.ParseAddrPort(r.Local); err == nil && r.State == "LISTEN" {
			all = append(all, a)
		}
	}
	return all, nil
}
