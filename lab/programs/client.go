package programs

import (
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

const (
	clientName      = "echo-client"
	clientArguments = "[flags] ADDRESS:PORT"

	floodLine  = "flood\n"
	floodBlock = 64 << 10 // octets
)

// A clientConfig is what the command line asks of the echo client.
type clientConfig struct {
	persist, poll, halfClose, flood, sigpipe bool
	heartbeat                                time.Duration
	connections                              int
	settings                                 settings
	server                                   netip.AddrPort
}

func parseClient(args []string) (clientConfig, *flag.FlagSet, error) {
	var c clientConfig
	flags := newFlags(clientName)
	flags.BoolVar(&c.persist, "persist", false, "go on after an error, instead of ending")
	flags.BoolVar(&c.poll, "poll", false, "wait for the input and the connection together")
	flags.BoolVar(&c.halfClose, "half-close", false, "at the end of the input shut down the sending side only, and read until end of file")
	flags.BoolVar(&c.flood, "flood", false, "at the line \"flood\" write without reading until there is an error")
	flags.BoolVar(&c.sigpipe, "sigpipe", false, "leave SIGPIPE its default action, which ends the process")
	flags.DurationVar(&c.heartbeat, "heartbeat", 0, "send a line after this `time` without input, and wait for its echo as long")
	flags.IntVar(&c.connections, "connections", 1, "open `N` connections, and use the first")
	c.settings.flag(flags)
	err := parseFlags(flags, args, 1)
	given := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	switch {
	case err != nil:
	case c.connections < 1:
		err = fmt.Errorf("-connections %d: there is at least one", c.connections)
	case given["heartbeat"] && c.heartbeat < time.Millisecond:
		err = fmt.Errorf("-heartbeat %v: at least a millisecond", c.heartbeat)
	case c.heartbeat > 0 && c.poll:
		err = errors.New("-heartbeat waits in read for its echo, -poll never does: one of them")
	case c.heartbeat > 0 && c.settings.has("SO_RCVTIMEO"):
		err = errors.New("-heartbeat sets SO_RCVTIMEO itself")
	case flags.NArg() == 0:
		err = errors.New("no ADDRESS:PORT")
	default:
		c.server, err = netip.ParseAddrPort(flags.Arg(0))
	}
	return c, flags, err
}

// socketSettings are the options to set on the connection.
func (c clientConfig) socketSettings() settings {
	if c.heartbeat == 0 {
		return c.settings
	}
	return append(c.settings[:len(c.settings):len(c.settings)], receiveTimeout(c.heartbeat))
}

// clientMain is the echo client of UNP figure 5.4. In all its forms it gets a
// line from its standard input, writes it to the server, and prints the echo.
func clientMain(args []string) int {
	config, flags, err := parseClient(args)
	if err != nil {
		return usage(flags, clientArguments, err)
	}
	if config.sigpipe {
		defaultAction(unix.SIGPIPE)
	}
	var conns []int
	for range config.connections { // more than one: UNP figure 5.9
		conn, ok := dial(config.server, config.socketSettings())
		if !ok {
			return 1
		}
		conns = append(conns, conn)
	}
	c := client{clientConfig: config, input: lineReader{fd: 0}, echo: lineReader{fd: conns[0]}, conn: conns[0]}
	switch {
	case config.poll:
		return c.polled()
	case config.heartbeat > 0:
		return c.beating()
	default:
		return c.lines()
	}
}

// dial connects to the server. It says what went wrong.
func dial(server netip.AddrPort, options settings) (conn int, ok bool) {
	conn, err := socket(server.Addr())
	if err != nil {
		complain("socket", err)
		return -1, false
	}
	if !options.apply(conn, family(server.Addr())) {
		return -1, false
	}
	if _, err := retry(func() (int, error) { return 0, unix.Connect(conn, sockaddr(server)) }); err != nil {
		complain("connect", err)
		return -1, false
	}
	return conn, true
}

type client struct {
	clientConfig
	input, echo lineReader
	conn        int
	status      int
	gone        bool // the connection can give no more data
}

// lines is UNP's str_cli of figure 5.5. It is blocked in one read at a time:
// while it waits for its user it does not look at its connection.
func (c *client) lines() int {
	for {
		line, err := c.input.next()
		if err != nil {
			complain("read standard input", err)
			return 1
		}
		if line == nil {
			return c.finish()
		}
		if !c.exchange(line) && !c.persist {
			return c.status
		}
	}
}

// exchange sends a line and prints its echo. It says what went wrong and
// returns false if something did.
func (c *client) exchange(line []byte) bool {
	if !c.send(line) {
		return false
	}
	echo, err := c.echo.next()
	switch {
	case err != nil:
		return c.failed("read", err)
	case echo == nil:
		return c.ended()
	}
	c.print(echo)
	return true
}

// send writes a line, or what it asks for. It says what went wrong.
func (c *client) send(line []byte) bool {
	if c.flood && string(line) == floodLine {
		block := make([]byte, floodBlock)
		for {
			if err := writeAll(c.conn, block); err != nil {
				return c.failed("write", err)
			}
		}
	}
	if err := writeAll(c.conn, line); err != nil {
		return c.failed("write", err)
	}
	return true
}

// failed notes that a call failed, and says so.
func (c *client) failed(call string, err error) bool {
	complain(call, err)
	c.status = 1
	c.gone = c.gone || over(err)
	return false
}

// over tells whether a connection on which a call gave this error can give no
// more data. EHOSTUNREACH and its like may be a mere hint (IP_RECVERR).
func over(err error) bool {
	return errors.Is(err, unix.ECONNRESET) || errors.Is(err, unix.EPIPE) || errors.Is(err, unix.ETIMEDOUT)
}

// ended notes that the server closed the connection, and says so.
func (c *client) ended() bool {
	say("server terminated prematurely")
	c.status = 1
	c.gone = true
	return false
}

// print prints what the server sent. Nobody is there to be told if that fails.
func (c *client) print(p []byte) { _ = writeAll(1, p) }

// finish is the end of the input.
func (c *client) finish() int {
	if !c.halfClose || c.gone {
		return c.status
	}
	if err := unix.Shutdown(c.conn, unix.SHUT_WR); err != nil {
		c.failed("shutdown", err)
		return c.status
	}
	for {
		if rest := c.echo.rest(); rest != nil {
			c.print(rest)
		}
		n, err := c.echo.fill()
		if err != nil {
			c.failed("read", err)
		}
		if n <= 0 {
			return c.status
		}
	}
}
