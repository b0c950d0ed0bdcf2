package programs

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

const heartbeatLine = "heartbeat\n"

// receiveTimeout is SO_RCVTIMEO, as -set would have it.
func receiveTimeout(d time.Duration) setting {
	for _, o := range options() {
		if o.name == "SO_RCVTIMEO" {
			return setting{o, int64(d)}
		}
	}
	panic("no SO_RCVTIMEO")
}

// beating is the client with a heartbeat of its own, which asks the server's
// application and not only its kernel (UNP 5.15: for a client that has nothing
// to send). Once the connection is over, -persist leaves it its input.
func (c *client) beating() int {
	for {
		line := c.input.line()
		if line == nil {
			ready, err := c.awaitInput()
			if err != nil {
				complain("poll", err)
				return 1
			}
			if !ready {
				if alive, silent := c.beat(); silent || !alive && !c.persist {
					return c.status
				}
				continue
			}
			n, err := c.input.fill()
			if err != nil {
				complain("read standard input", err)
				return 1
			}
			if n > 0 {
				continue
			}
			if line = c.input.rest(); line == nil {
				return c.finish()
			}
		}
		if !c.exchange(line) && !c.persist {
			return c.status
		}
	}
}

// awaitInput waits for the user, or for the next beat.
func (c *client) awaitInput() (ready bool, err error) {
	end := time.Now().Add(c.heartbeat)
	for {
		timeout := -1
		if !c.gone {
			// Rounded up: a poll that is too short would be two.
			left := max(0, time.Until(end)) + time.Millisecond - 1
			timeout = int(left / time.Millisecond)
		}
		n, err := unix.Poll([]unix.PollFd{watched(c.input.fd, true)}, timeout)
		if !errors.Is(err, unix.EINTR) {
			return n > 0, err
		}
	}
}

// beat sends a heartbeat and reads until its echo. Echoes that come before are
// those of lines whose echo was late. It says what went wrong; silent is that
// no echo came.
func (c *client) beat() (alive, silent bool) {
	if err := writeAll(c.conn, []byte(heartbeatLine)); err != nil {
		return c.failed("write", err), false
	}
	for {
		echo, err := c.echo.next()
		switch {
		case errors.Is(err, unix.EAGAIN):
			say("no heartbeat from the server")
			c.status = 1
			return false, true
		case err != nil:
			return c.failed("read", err), false
		case echo == nil:
			return c.ended(), false
		case string(echo) == heartbeatLine:
			return true, false
		}
		c.print(echo)
	}
}
