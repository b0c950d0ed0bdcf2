package warp

import (
	"strings"
	"testing"
	"time"
)

func TestEnding(t *testing.T) {
	for name, c := range map[string]struct {
		lines     string
		ran       time.Duration
		computing string
		waits     string
	}{
		"spins":             {"time: 12 ms\ncomputing: 24 a name: odd\nprocess: 1 S init\nprocess: 24 R a name: odd", 12 * time.Millisecond, "a name: odd (process 24)", ""},
		"waits":             {"time: 3600000 ms\ncomputing: 0 swapper\nprocess: 1 S init\nprocess: 24 S sleep\nprocess: 25 Z sh\nprocess: 26 D cat", time.Hour, "", "sleep (process 24), cat (process 26)"},
		"lab's own is busy": {"time: 5 ms\ncomputing: 1 init\nprocess: 1 R init\nprocess: 24 S yes", 5 * time.Millisecond, "", "yes (process 24)"},
		"is to be run":      {"computing: 1 init\nprocess: 1 R init\nprocess: 24 R yes", 0, "yes (process 24)", ""},
		"many":              {strings.Repeat("process: 7 S x\n", 8), 0, "", strings.Repeat("x (process 7), ", 5) + "3 more"},
		"says nothing":      {"Kernel panic: x\ntime: flies\ncomputing: x\nprocess: x S y\nprocess:\n", 0, "", ""},
	} {
		e := readEnding(strings.Split(c.lines, "\n"))
		computing := ""
		if e.computing.pid > 0 {
			computing = e.computing.String()
		}
		if e.ran != c.ran || computing != c.computing || e.waits() != c.waits {
			t.Errorf("%s: ran %v, computing %q, waits %q; want %v, %q, %q", name, e.ran, computing, e.waits(), c.ran, c.computing, c.waits)
		}
	}
}

func TestTopmost(t *testing.T) {
	got := topmost([]string{"/b/c", "/a", "/b", "/a", "/bc", "/b/c/d"})
	if strings.Join(got, " ") != "/a /b /bc" {
		t.Errorf("%q", got)
	}
	// Between a directory and what is in it others may sort.
	if got := topmost([]string{"/b", "/b-c", "/b/c"}); strings.Join(got, " ") != "/b /b-c" {
		t.Errorf("%q", got)
	}
}

// Who is named when a machine takes too long.
func TestLimitErrorTells(t *testing.T) {
	sleep, yes := guestProcess{24, "sleep"}, guestProcess{25, "yes"}
	for want, end := range map[string]ending{
		"the machine has not ended after 1m0s":                                                                            {},
		"the machine has not ended after 1m0s: yes (process 25) was still computing":                                      {computing: yes, waiting: []guestProcess{sleep}, ran: time.Hour},
		"the machine has not ended after 1m0s: sleep (process 24) was still computing":                                    {waiting: []guestProcess{yes, sleep}, ran: time.Minute},
		"the machine has not ended after 1m0s, 1h0m0s by its own clock, and its processes still wait: sleep (process 24)": {waiting: []guestProcess{sleep}, ran: time.Hour},
	} {
		e := &LimitError{Limit: time.Minute, Hint: "as it was"}
		e.tell(end)
		if e.Error() != want || (e.Hint == "as it was") != (e.Waiting == "") {
			t.Errorf("%q, hint %q, want %q", e.Error(), e.Hint, want)
		}
	}
}
