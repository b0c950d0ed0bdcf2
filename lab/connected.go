package lab

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/observe"
	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/scenarios"
	"github.com/seed-6fefc909/tcplab/topology"
)

// connected waits for the client's connection.
func (e *Experiment) connected(ctx context.Context, s scenarios.Connected) error {
	began := e.clock.Now()
	var rows []record.SocketRow
	var first time.Time // when it was there
	err := e.until(ctx, e.options.patience(), nil, func([]record.Event) (bool, error) {
		if now, err := e.connections(e.net.Client); err == nil && len(now) > 0 {
			rows = now
			if first.IsZero() {
				first = time.Now()
			}
			return e.accepted() || time.Since(first) > acceptTime, nil
		}
		return e.deserted(e.net.Client), nil
	})
	if err != nil && !errors.Is(err, errNotSeen) {
		return err
	}
	if len(rows) == 0 {
		if err := e.watch.catchUp(); err != nil { // what became of its attempts
			return err
		}
		return &OwnError{e.notConnected(err != nil)}
	}
	what := fmt.Sprintf("the client is connected to %s, after %s", rows[0].Remote, record.Span(e.clock.Now()-began))
	if len(rows) > 1 {
		what = fmt.Sprintf("the client has %s, after %s", count(len(rows), "connection"), record.Span(e.clock.Now()-began))
	}
	e.met(s, what)
	return nil
}

// attempts are what the client's programs did to connect: that a connection
// was there, and a call, one that failed if there is any.
func (e *Experiment) attempts() (was bool, tried *record.Call) {
	for _, ev := range e.timeline.all() {
		if ev.Host != "client" {
			continue
		}
		if ev.State != nil && ev.State.To == "ESTABLISHED" && e.toServer(ev.State.Remote) {
			was = true
		}
		c := ev.Syscall
		if c != nil && c.Name == "connect" && c.Arg != "" && (tried == nil || c.Error != "" && c.Error != "EINPROGRESS") {
			tried = c
		}
	}
	return was, tried
}

// acceptTime is how long the server's program is given to take over what its
// kernel has accepted: not all do, ever.
const acceptTime = time.Second

// accepted tells whether a program of the server holds each connection.
func (e *Experiment) accepted() bool {
	rows, err := e.connections(e.net.Server)
	return err == nil && len(rows) > 0 && !slices.ContainsFunc(rows, func(r record.SocketRow) bool { return r.Inode == 0 })
}

// notConnected says what is wrong with a client that is not.
func (e *Experiment) notConnected(waited bool) string {
	why := "the client made no connection"
	was, tried := e.attempts()
	switch {
	case was:
		why = "the client was connected, and is no more before the fault could come"
	case tried != nil:
		why = fmt.Sprintf("the client tried to connect to %s (%s)", tried.Arg, resultOf(tried))
	}
	if all, err := e.listeners(e.net.Server); err == nil && !was && len(all) > 0 {
		why += "; the server listens on " + addresses(all)
	}
	if waited {
		return fmt.Sprintf("%s after %v%s", why, e.options.patience(), e.lastWords("client"))
	}
	return why + "; " + e.fate("client") + e.lastWords("client")
}

// toServer tells whether an address and port is one of the server's.
func (e *Experiment) toServer(endpoint string) bool {
	return endpoint != "" && host(endpoint) == e.serverAddr.Addr().String()
}

// connections are the rows of a host's connections with the server, those that
// are being made or ended left out.
func (e *Experiment) connections(h *topology.Host) ([]record.SocketRow, error) {
	rows, err := observe.Sockets(e.watch.describe(h))
	return slices.DeleteFunc(rows, func(r record.SocketRow) bool {
		ours := e.toServer(r.Remote)
		if h != e.net.Client {
			ours = e.toServer(r.Local)
		}
		return !ours || r.State != "ESTABLISHED" && r.State != "CLOSE_WAIT"
	}), err
}
