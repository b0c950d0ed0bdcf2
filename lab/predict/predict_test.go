package predict

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const ms = time.Millisecond

func with(change func(*Params)) Params {
	p := Defaults()
	change(&p)
	return p
}

func retries(n int) Params { return with(func(p *Params) { p.Retries2 = n }) }

// quick are neighbour settings that fail ARP in time for tcp_retries2=5.
func quick() Neigh {
	return Neigh{
		ReachableTime: time.Second, DelayFirstProbe: time.Second, RetransTime: 250 * ms,
		UcastSolicit: 3, McastSolicit: 3,
	}
}

// Every time here was measured on Linux 6.18, HZ=250, over veths without
// delay, RTO 204 ms; it must lie in the model's own window, without any
// tolerance but a few milliseconds for the measuring program.
func TestMeasured(t *testing.T) {
	const late = 10 * ms
	slow := quick()
	slow.DelayFirstProbe, slow.RetransTime, slow.UcastSolicit, slow.ReachableTime = 0, time.Second, 1, 600*ms
	slow.Age, slow.Quiet = 120*ms, 120*ms
	slower := slow
	slower.DelayFirstProbe, slower.RetransTime = time.Second, 1500*ms
	rested := quick()
	rested.Quiet = 3100 * ms
	probes := with(func(p *Params) { p.Keepalive = Keepalive{true, 3 * time.Second, 2 * time.Second, 3} })
	probesUser := probes
	probesUser.UserTimeout = 8 * time.Second
	limited := Router{RateLimit: time.Second}
	for name, c := range map[string]struct {
		window   Window
		errno    string
		sends    []int
		measured []time.Duration
	}{
		"silence r2=3":          {Silence(retries(3)), ETIMEDOUT, []int{5}, []time.Duration{6730 * ms, 6760 * ms, 6796 * ms, 6838 * ms}},
		"silence r2=5":          {Silence(retries(5)), ETIMEDOUT, []int{6}, []time.Duration{13300 * ms, 13425 * ms, 13498 * ms}},
		"silence r2=6":          {Silence(retries(6)), ETIMEDOUT, []int{7}, []time.Duration{26600 * ms}},
		"silence r2=15":         {Silence(retries(15)), ETIMEDOUT, []int{16}, []time.Duration{938008 * ms, 938881 * ms, 939682 * ms}},
		"user timeout 5s":       {Silence(with(func(p *Params) { p.UserTimeout = 5 * time.Second })), ETIMEDOUT, []int{5}, []time.Duration{5432 * ms, 5554 * ms, 5600 * ms}},
		"host r2=3":             {Unreachable(retries(3), HostUnreachable, Router{}), EHOSTUNREACH, []int{9}, []time.Duration{4141 * ms, 4146 * ms, 4168 * ms}},
		"net r2=3":              {Unreachable(retries(3), NetUnreachable, Router{}), ENETUNREACH, []int{9}, []time.Duration{4141 * ms, 4151 * ms, 4164 * ms}},
		"host r2=5":             {Unreachable(retries(5), HostUnreachable, Router{}), EHOSTUNREACH, []int{15}, []time.Duration{13165 * ms, 13170 * ms, 13182 * ms}},
		"net r2=5":              {Unreachable(retries(5), NetUnreachable, Router{}), ENETUNREACH, []int{15}, []time.Duration{13177 * ms, 13183 * ms}},
		"host r2=5 ratelimit":   {Unreachable(retries(5), HostUnreachable, limited), EHOSTUNREACH, []int{8}, []time.Duration{15003 * ms, 15086 * ms}},
		"arp r2=5":              {NoARP(retries(5), quick()), EHOSTUNREACH, nil, []time.Duration{13398 * ms, 13123 * ms, 13126 * ms, 13461 * ms}},
		"arp r2=5 rested":       {NoARP(retries(5), rested), EHOSTUNREACH, nil, []time.Duration{13119 * ms, 13087 * ms, 13110 * ms, 13152 * ms}},
		"arp r2=5 held queue":   {NoARP(retries(5), slow), EHOSTUNREACH, nil, []time.Duration{13946 * ms, 15619 * ms}},
		"arp r2=6 held queue":   {NoARP(retries(6), slower), EHOSTUNREACH, nil, []time.Duration{25903 * ms}},
		"arp r2=5 kernel":       {NoARP(retries(5), DefaultNeigh()), ETIMEDOUT, []int{6}, []time.Duration{13424 * ms, 13498 * ms}},
		"keepalive":             {Keepalives(probes), ETIMEDOUT, []int{3}, []time.Duration{9256 * ms, 9262 * ms, 9287 * ms}},
		"keepalive, user 8s":    {Keepalives(probesUser), ETIMEDOUT, []int{3}, []time.Duration{9219 * ms, 9279 * ms}},
		"connect syn_retries=2": {SYN(with(func(p *Params) { p.SynRetries = 2 })), ETIMEDOUT, []int{5}, []time.Duration{7126 * ms, 7129 * ms}},
	} {
		t.Run(name, func(t *testing.T) {
			w := c.window
			if d := cmp.Diff([]string{c.errno}, w.Errors); d != "" || !w.Certain {
				t.Errorf("errors, certain %v (-want +got):\n%s", w.Certain, d)
			}
			for _, m := range c.measured {
				if m < w.Min || m > w.Max+late {
					t.Errorf("measured %v, predicted %v to %v", m, w.Min, w.Max)
				}
				if !w.Allows(m) {
					t.Errorf("Allows(%v) is false of %v to %v", m, w.Earliest(), w.Latest())
				}
			}
			for _, n := range c.sends {
				if n < w.MinSends || n > w.MaxSends {
					t.Errorf("%d sends measured, predicted %d to %d", n, w.MinSends, w.MaxSends)
				}
			}
		})
	}
}

func TestSilenceSchedule(t *testing.T) {
	want := []Send{
		{KindTLP, 1, 204 * ms, 208 * ms, 204 * ms, true, true},
		{KindRetransmit, 1, 412 * ms, 416 * ms, 204 * ms, true, true},
		{KindRetransmit, 2, 824 * ms, 856 * ms, 408 * ms, true, true},
		{KindRetransmit, 3, 1656 * ms, 1688 * ms, 816 * ms, true, true},
		{KindRetransmit, 4, 3320 * ms, 3352 * ms, 1632 * ms, true, true},
	}
	if d := cmp.Diff(want, Silence(retries(3)).Sends); d != "" {
		t.Errorf("schedule (-want +got):\n%s", d)
	}
}

func TestNoTailLossProbe(t *testing.T) {
	w := Silence(with(func(p *Params) { p.Retries2, p.TLP = 3, false }))
	if w.Sends[0].Kind != KindRetransmit || w.MaxSends != 4 {
		t.Errorf("first of %d sends is %+v, want a retransmission, 4 in all", w.MaxSends, w.Sends[0])
	}
}

// With these the entry may fail in time or not: both were measured.
func TestNoARPUncertain(t *testing.T) {
	n := quick()
	n.Age, n.Quiet = 120*ms, 120*ms
	w := NoARP(retries(3), n)
	if d := cmp.Diff([]string{ETIMEDOUT, EHOSTUNREACH}, w.Errors); d != "" || w.Certain {
		t.Errorf("errors, certain %v (-want +got):\n%s", w.Certain, d)
	}
	for _, m := range []time.Duration{4959 * ms, 4968 * ms, 6617 * ms, 6748 * ms} {
		if !w.Allows(m) {
			t.Errorf("measured %v, predicted %v to %v", m, w.Min, w.Max)
		}
	}
}

// Segments that wait for an address never leave: a capture has fewer.
func TestNoARPHoldsSegments(t *testing.T) {
	n := quick()
	n.Age, n.Quiet = 120*ms, 120*ms
	w := NoARP(retries(5), n)
	if last := w.Sends[len(w.Sends)-1]; last.OnWire {
		t.Errorf("last send %+v is on the wire", last)
	}
	if !w.Sends[0].OnWire {
		t.Errorf("tail loss probe %+v is not on the wire", w.Sends[0])
	}
}

func TestUnreachableWithoutTokens(t *testing.T) {
	p := retries(3)
	got := Unreachable(p, HostUnreachable, Router{Burst: time.Second, Cost: 10 * time.Second})
	want := Silence(p)
	got.Why, want.Why = "", ""
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("a router without tokens is not silent (-want +got):\n%s", d)
	}
}

// Code 13 is a soft error like the others, but undoes no backoff.
func TestProhibitedKeepsSchedule(t *testing.T) {
	p := retries(5)
	w, s := Unreachable(p, AdminProhibited, Router{}), Silence(p)
	if w.Error != EHOSTUNREACH {
		t.Errorf("error %s, want %s", w.Error, EHOSTUNREACH)
	}
	if d := cmp.Diff(s.Sends, w.Sends); d != "" {
		t.Errorf("schedule (-silence +prohibited):\n%s", d)
	}
}

func TestNoKeepalive(t *testing.T) {
	if w := Keepalives(Defaults()); w.Error != "" || w.Allows(time.Hour) {
		t.Errorf("without keepalive: %+v, want no error ever", w)
	}
}

func TestReset(t *testing.T) {
	got := []string{Reset(false, ms).Error, Reset(true, ms).Error, Closed(0).Error}
	if d := cmp.Diff([]string{ECONNRESET, EOF, EOF}, got); d != "" {
		t.Errorf("errors (-want +got):\n%s", d)
	}
	if w := Reset(false, ms); !w.Allows(0) || !w.Allows(100*ms) || w.Allows(time.Second) {
		t.Errorf("reset allows %v to %v", w.Earliest(), w.Latest())
	}
}
