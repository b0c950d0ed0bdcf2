package programs

import "golang.org/x/sys/unix"

// polled is UNP's str_cli of figure 6.13, with poll: the mended client, which
// waits for its user and its connection together. Once the connection is
// over, -persist leaves it to look at its input only: a connection that was
// closed or reset would be readable for ever.
func (c *client) polled() int {
	input, conn := true, true
	for input || conn {
		fds := []unix.PollFd{watched(c.input.fd, input), watched(c.conn, conn)}
		if _, err := retry(func() (int, error) { return unix.Poll(fds, -1) }); err != nil {
			complain("poll", err)
			return 1
		}
		if events := fds[1].Revents; events != 0 {
			n, err := c.echo.fill()
			switch {
			case err != nil:
				c.failed("read", err)
				// Without POLLHUP the error may have been a mere hint.
				conn = events&unix.POLLHUP == 0 && !c.gone
			case n > 0:
				c.print(c.echo.rest())
				continue // before anything more is sent
			case !input:
				return c.status // what was to come
			default:
				c.ended()
				conn = false
			}
			if !c.persist {
				return c.status
			}
		}
		if fds[0].Revents != 0 {
			var ok bool
			if input, ok = c.forward(); !ok && !c.persist {
				return c.status
			}
			if !input && conn {
				if err := unix.Shutdown(c.conn, unix.SHUT_WR); err != nil {
					c.failed("shutdown", err)
					return c.status
				}
			}
		}
	}
	return c.status
}

// watched asks poll for input; a negative descriptor is passed over.
func watched(fd int, wanted bool) unix.PollFd {
	if !wanted {
		fd = -1
	}
	return unix.PollFd{Fd: int32(fd), Events: unix.POLLIN}
}

// forward reads the input once and sends its lines. more is false at its end.
func (c *client) forward() (more, ok bool) {
	n, err := c.input.fill()
	if err != nil {
		return false, c.failed("read standard input", err)
	}
	ok = true
	for line := c.input.line(); line != nil; line = c.input.line() {
		if ok = c.send(line) && ok; !ok && !c.persist {
			return true, false
		}
	}
	if n > 0 {
		return true, ok
	}
	if rest := c.input.rest(); rest != nil {
		ok = c.send(rest) && ok
	}
	return false, ok
}
