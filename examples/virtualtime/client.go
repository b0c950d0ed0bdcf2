// Package virtualtime is an example: a client library, and tests that hold it
// against the kernel's own timers, which take minutes and hours.
package virtualtime

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// A Client sends lines to a server, and gets lines back.
type Client struct {
	conn net.Conn
	in   *bufio.Reader
}

// A Dialer is a *net.Dialer, or what has its method.
type Dialer interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// Dial connects. patience is for how long the server may leave what was sent
// without an acknowledgement, 0 for the kernel's default.
func Dial(ctx context.Context, d Dialer, address string, patience time.Duration) (*Client, error) {
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	if err := setUserTimeout(conn.(*net.TCPConn), patience); err != nil {
		conn.Close()
		return nil, fmt.Errorf("set TCP_USER_TIMEOUT: %w", err)
	}
	return &Client{conn, bufio.NewReader(conn)}, nil
}

func setUserTimeout(c *net.TCPConn, d time.Duration) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var set error
	err = raw.Control(func(fd uintptr) {
		set = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(d.Milliseconds()))
	})
	return errors.Join(err, set)
}

// Ask sends a line and waits for one.
func (c *Client) Ask(line string) (string, error) {
	if _, err := fmt.Fprintln(c.conn, line); err != nil {
		return "", err
	}
	return c.Next()
}

// Next waits for a line that the server sends by itself.
func (c *Client) Next() (string, error) { return c.in.ReadString('\n') }

// Close ends the connection.
func (c *Client) Close() error { return c.conn.Close() }
