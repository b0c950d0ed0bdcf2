package observe

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// A CarrierWatch follows one interface by rtnetlink's notifications.
type CarrierWatch struct {
	clock Clock
	host  Host
	sink  Sink
	file  *os.File // the netlink socket
	last  string   // what was reported; the reader's
	done  chan struct{}
	err   error // why the reader ended early; set before done is closed

	mu    sync.Mutex
	asked uint32                   // the last question's sequence number
	wait  map[uint32]chan struct{} // who waits for the answer to a question
}

// WatchCarrier reports the state of the interface h.Iface: first as it is,
// before WatchCarrier returns, then whenever it changes. An interface of the
// same name that comes after it is taken for its successor.
//
// The kernel may take up to a second to act on a carrier that came or went
// (net/core/link_watch.c, unless a program asks for the link's state before).
// It announces the change when it does act, that is when the interface begins
// or stops to transmit, and that is the event's time.
//
// Close ends it, and says if changes may have been missed; sink is not called
// any more then.
func WatchCarrier(clock Clock, h Host, sink Sink) (*CarrierWatch, error) {
	w := &CarrierWatch{clock: clock, host: h, sink: sink, done: make(chan struct{}), wait: map[uint32]chan struct{}{}}
	if err := w.open(); err != nil {
		return nil, fmt.Errorf("watch carrier of %s on %s: %w", h.Iface, h.Name, err)
	}
	go w.read()
	return w, nil
}

func (w *CarrierWatch) open() error {
	fd := -1
	err := w.host.Net.Do(func() (err error) {
		fd, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
		return err
	})
	if err != nil {
		return fmt.Errorf("open netlink socket: %w", err)
	}
	w.file = os.NewFile(uintptr(fd), "rtnetlink")
	// First subscribe, then ask: no change falls between.
	err = unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1 << (unix.RTNLGRP_LINK - 1)})
	if err != nil {
		err = fmt.Errorf("subscribe to links: %w", err)
	} else if _, err = interfaceIndex(fd, w.host.Iface); err == nil {
		err = w.ask(0)
	}
	for err == nil && w.last == "" {
		err = w.receive()
	}
	if err != nil {
		w.file.Close()
	}
	return err
}

// Flush returns when sink was told of every change up to now: it asks for the
// link, which makes the kernel act on what it knows, and waits for the answer,
// which comes after all that was announced.
func (w *CarrierWatch) Flush(ctx context.Context) error {
	answered := make(chan struct{})
	w.mu.Lock()
	w.asked++
	w.wait[w.asked] = answered
	err := w.ask(w.asked)
	w.mu.Unlock()
	if err == nil {
		select {
		case <-answered:
			return nil
		case <-w.done:
			if err = w.err; err == nil {
				err = os.ErrClosed
			}
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	return fmt.Errorf("watch carrier of %s on %s: %w", w.host.Iface, w.host.Name, err)
}

// ask makes the kernel send the interface's state (RTM_GETLINK), under a
// sequence number.
func (w *CarrierWatch) ask(seq uint32) error {
	name := append([]byte(w.host.Iface), 0)
	attr := unix.SizeofRtAttr + len(name)
	length := unix.SizeofNlMsghdr + unix.SizeofIfInfomsg + attr
	b := make([]byte, 0, length+unix.NLMSG_ALIGNTO)
	b = binary.NativeEndian.AppendUint32(b, uint32(length))
	b = binary.NativeEndian.AppendUint16(b, unix.RTM_GETLINK)
	b = binary.NativeEndian.AppendUint16(b, unix.NLM_F_REQUEST)
	b = binary.NativeEndian.AppendUint32(b, seq)
	b = append(b, make([]byte, 4+unix.SizeofIfInfomsg)...) // port; any interface
	b = binary.NativeEndian.AppendUint16(b, uint16(attr))
	b = binary.NativeEndian.AppendUint16(b, unix.IFLA_IFNAME)
	b = append(b, name...)
	if _, err := w.file.Write(b); err != nil {
		return fmt.Errorf("ask for the link: %w", err)
	}
	return nil
}

// read is the reader.
func (w *CarrierWatch) read() {
	defer close(w.done)
	for {
		err := w.receive()
		if errors.Is(err, unix.ENOBUFS) {
			// Notifications were lost: what the state is now is still known.
			err = w.ask(0)
		}
		if err != nil {
			if !errors.Is(err, os.ErrClosed) {
				w.err = err
			}
			return
		}
	}
}

// receive reads one datagram and reports what it changes.
func (w *CarrierWatch) receive() error {
	buf := make([]byte, 32<<10) // rtnetlink sends at most 32 KiB at a time
	n, err := w.file.Read(buf)
	if err != nil {
		return fmt.Errorf("receive link notifications: %w", err)
	}
	now := w.clock.Now()
	messages, err := syscall.ParseNetlinkMessage(buf[:n])
	if err != nil {
		return fmt.Errorf("parse link notification: %w", err)
	}
	for _, m := range messages {
		if m.Header.Type == unix.NLMSG_ERROR {
			if err := netlinkError(m.Data); !errors.Is(err, unix.ENODEV) {
				return fmt.Errorf("ask for the link: %w", err)
			}
			w.report(now, record.LinkGone)
		} else if state := linkState(m, w.host.Iface); state != "" {
			w.report(now, state)
		}
		w.mu.Lock()
		if answered := w.wait[m.Header.Seq]; answered != nil {
			close(answered)
			delete(w.wait, m.Header.Seq)
		}
		w.mu.Unlock()
	}
	return nil
}

func netlinkError(b []byte) error {
	if len(b) < 4 {
		return io.ErrUnexpectedEOF
	}
	return unix.Errno(-int32(binary.NativeEndian.Uint32(b)))
}

// linkState is what a message says of the interface called iface, or nothing.
func linkState(m syscall.NetlinkMessage, iface string) string {
	typ := m.Header.Type
	if typ != unix.RTM_NEWLINK && typ != unix.RTM_DELLINK || len(m.Data) < unix.SizeofIfInfomsg {
		return ""
	}
	// A bridge speaks of its ports in the same messages, with its own family.
	if m.Data[0] != unix.AF_UNSPEC {
		return ""
	}
	attrs, err := syscall.ParseNetlinkRouteAttr(&m)
	if err != nil {
		return ""
	}
	named, up := false, false
	for _, a := range attrs {
		switch a.Attr.Type {
		case unix.IFLA_IFNAME:
			named = unix.ByteSliceToString(a.Value) == iface
		case unix.IFLA_OPERSTATE:
			const ifOperUp = 6 // IF_OPER_UP of RFC 2863, linux/if.h
			up = len(a.Value) == 1 && a.Value[0] == ifOperUp
		}
	}
	switch {
	case !named:
		return ""
	case typ == unix.RTM_DELLINK:
		return record.LinkGone
	case up:
		return record.LinkUp
	}
	return record.LinkDown
}

// report emits a state that is not the last one.
func (w *CarrierWatch) report(now int64, state string) {
	if state == w.last {
		return
	}
	w.last = state
	w.sink(record.Event{
		Time: now, Host: w.host.Name, Boot: w.host.Boot,
		Source: record.Wire, Kind: record.KindCarrier, Link: state,
	})
}

// Close ends the watch.
func (w *CarrierWatch) Close() error {
	err := w.file.Close()
	<-w.done
	if w.err != nil {
		return fmt.Errorf("watch carrier of %s on %s: %w", w.host.Iface, w.host.Name, w.err)
	}
	if errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}
