package main

import (
	"fmt"
	"os"
	"time"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/seed-6fefc909/tcplab/internal/virtualtime"
	"github.com/seed-6fefc909/tcplab/lab"
)

// How often a person is told that something is going on.
const (
	liveEvery      = 200 * time.Millisecond
	heartbeatEvery = 10 * time.Second
)

// showStatus keeps a line about the run on the terminal, or writes one now and
// again where there is none, until stop is called.
func (b *batch) showStatus(e *lab.Experiment, alone bool) (stop func()) {
	if virtualtime.On() {
		return func() {} // there a minute is nothing, but each look would take its time
	}
	live := b.live && alone
	every := heartbeatEvery
	if live {
		every = liveEvery
	}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				s := e.Status()
				b.mu.Lock()
				if live {
					b.line.draw(b.streams.err, func(width int) string { return statusLine(e.Scenario().Name, s, width) })
				} else {
					fmt.Fprintln(b.streams.err, statusLine(e.Scenario().Name, s, 0))
				}
				b.mu.Unlock()
			case <-done:
				b.mu.Lock()
				b.line.clear()
				b.mu.Unlock()
				return
			}
		}
	}()
	return func() { close(done); <-ended }
}

// A liveLine is the last line of a terminal, which is written anew again and
// again. The zero value is on none.
type liveLine struct {
	f     *os.File
	text  string // "": there is none
	shown bool
}

// width is how long a line may be: one that fills the last column makes some
// terminals begin another.
func (l *liveLine) width() int {
	width, _, err := term.GetSize(int(l.f.Fd()))
	if err != nil || width <= 0 {
		width = 80
	}
	return width - 1
}

// draw shows what text makes of the width that there is.
func (l *liveLine) draw(f *os.File, text func(width int) string) {
	l.f = f
	line := text(l.width())
	l.hide()
	l.text = line
	l.show()
}

// hide takes the line away, which leaves the cursor where it began.
func (l *liveLine) hide() {
	if l.shown {
		fmt.Fprint(l.f, l.erase())
		l.shown = false
	}
}

// show writes the line again, if there is one.
func (l *liveLine) show() {
	if l.text != "" {
		fmt.Fprint(l.f, l.text)
		l.shown = true
	}
}

// clear leaves nothing of the line.
func (l *liveLine) clear() {
	l.hide()
	l.text = ""
}

// erase is what takes the line away. A terminal that became narrower has broken
// it into several.
func (l *liveLine) erase() string {
	up := ""
	if n, width := utf8.RuneCountInString(l.text), l.width()+1; n > width {
		up = fmt.Sprintf("\x1b[%dA", (n-1)/width)
	}
	return "\r" + up + "\x1b[J"
}
