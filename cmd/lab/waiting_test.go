package main

import (
	"testing"
	"time"
	"unicode/utf8"

	"github.com/seed-6fefc909/tcplab/lab"
)

func TestStatusLine(t *testing.T) {
	const s, ms = time.Second, time.Millisecond
	crash := lab.Wait{
		Timer: "retransmit", State: "ESTABLISHED", Sent: 3, Of: 5, Next: 1210 * ms,
		Decider: "net.ipv4.tcp_retries2=5", Errors: []string{"ETIMEDOUT"}, Earliest: 7900 * ms, Latest: 8100 * ms,
	}
	with := func(change func(*lab.Wait)) *lab.Wait {
		w := crash
		change(&w)
		return &w
	}
	tests := map[string]struct {
		wait  *lab.Wait
		width int
		want  string
	}{
		"wide": {&crash, 119, "crash: tcp_retries2=5 decides: retransmission 3 of 5, next in 1.2 s; ETIMEDOUT expected in 7.9 to 8.1 s"},
		"any":  {&crash, 0, "crash: tcp_retries2=5 decides: retransmission 3 of 5, next in 1.2 s; ETIMEDOUT expected in 7.9 to 8.1 s"},
		"90":   {&crash, 90, "crash: tcp_retries2=5: retransmission 3 of 5, next in 1.2 s; ETIMEDOUT in 7.9 to 8.1 s"},
		"79":   {&crash, 79, "crash: retransmission 3 of 5, next in 1.2 s; ETIMEDOUT in 7.9 to 8.1 s"},
		"60":   {&crash, 60, "crash: retransmission 3 of 5, next in 1.2 s"},
		"30":   {&crash, 30, "crash: retransmission 3 of..."},
		"2":    {&crash, 2, "cr"},
		"before the first": {
			with(func(w *lab.Wait) { w.Sent, w.Next = 0, 200*ms }), 0,
			"crash: tcp_retries2=5 decides: retransmission 0 of 5, first in 0.2 s; ETIMEDOUT expected in 7.9 to 8.1 s",
		},
		"after the last": {
			with(func(w *lab.Wait) { w.Sent, w.Next, w.Earliest, w.Latest = 5, 3*s, 2900*ms, 3100*ms }), 0,
			"crash: tcp_retries2=5 decides: all 5 retransmissions sent, last wait 3.0 s; ETIMEDOUT expected in 2.9 to 3.1 s",
		},
		"within the window": {
			with(func(w *lab.Wait) { w.Sent, w.Earliest, w.Latest = 5, -ms, 100*ms }), 79,
			"crash: all 5 retransmissions sent, last wait 1.2 s; ETIMEDOUT within 0.1 s",
		},
		"after the window": {
			with(func(w *lab.Wait) { w.Sent, w.Earliest, w.Latest = 4, -2*s, -s }), 0,
			"crash: tcp_retries2=5 decides: retransmission 4 of 5, next in 1.2 s; ETIMEDOUT was expected 1.0 s ago",
		},
		"more than predicted": {
			with(func(w *lab.Wait) { w.Sent = 6 }), 60,
			"crash: retransmission 6, next in 1.2 s",
		},
		"SYN": {
			with(func(w *lab.Wait) { w.State, w.Decider = "SYN_SENT", "net.ipv4.tcp_syn_retries=2" }), 0,
			"crash: tcp_syn_retries=2 decides: SYN retransmission 3 of 5, next in 1.2 s; ETIMEDOUT expected in 7.9 to 8.1 s",
		},
		"keepalive": {
			with(func(w *lab.Wait) { w.Timer, w.Sent, w.Of, w.Decider = "keepalive", 2, 3, "TCP_KEEPCNT=3" }), 79,
			"crash: keepalive probe 2 of 3, next in 1.2 s; ETIMEDOUT in 7.9 to 8.1 s",
		},
		"window probes that never end": {
			&lab.Wait{Timer: "probe", Sent: 7, Next: 90 * s}, 0,
			"crash: window probe 7, next in 90.0 s",
		},
		"either error, minutes": {
			with(func(w *lab.Wait) {
				w.Errors, w.Earliest, w.Latest = []string{"ETIMEDOUT", "EHOSTUNREACH"}, 924*s, 930*s
			}), 0,
			"crash: tcp_retries2=5 decides: retransmission 3 of 5, next in 1.2 s; ETIMEDOUT or EHOSTUNREACH expected in 15m24s to 15m30s",
		},
		"sockets are not looked at": {
			with(func(w *lab.Wait) { w.Timer, w.Of = "", 0 }), 0,
			"crash: tcp_retries2=5 decides: ETIMEDOUT expected in 7.9 to 8.1 s",
		},
		"nothing is known": {&lab.Wait{}, 0, "crash: see what the client is told (4 s)"},
		"no timer":         {nil, 79, "crash: see what the client is told (4 s)"},
		"no timer, narrow": {nil, 30, "crash: see what the client..."},
	}
	for name, test := range tests {
		got := statusLine("crash", lab.Status{Step: "see what the client is told", Since: 4 * s, Wait: test.wait}, test.width)
		if got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
		if test.width > 0 && utf8.RuneCountInString(got) > test.width {
			t.Errorf("%s: %q is longer than %d", name, got, test.width)
		}
	}
}
