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
	user := func(d time.Duration) Params { return with(func(p *Params) { p.UserTimeout = d }) }
	six := func(n Neigh) Neigh { n.IPv6 = true; return n }
	short := six(DefaultNeigh())
	short.RetransTime, short.McastSolicit = 400*ms, 2
	long := DefaultNeigh()
	long.RetransTime, long.McastSolicit = 2500*ms, 4
	mute := DefaultNeigh()
	mute.McastSolicit = 0
	kept := func(d time.Duration) Params {
		p := probes
		p.UserTimeout = d
		return p
	}
	// What ss said; the times of Left are put back to the fault.
	zero := func(retries, backoff, unanswered int, left, user time.Duration) Window {
		return ZeroWindow(with(func(p *Params) { p.Retries2, p.UserTimeout = retries, user }),
			Probing{RTO: 212 * ms, Backoff: backoff, Unanswered: unanswered, Left: left})
	}
	for name, c := range map[string]struct {
		window   Window
		errno    string
		sends    []int
		measured []time.Duration
	}{
		"silence r2=3":           {Silence(retries(3)), ETIMEDOUT, []int{5}, []time.Duration{6730 * ms, 6760 * ms, 6796 * ms, 6838 * ms}},
		"silence r2=5":           {Silence(retries(5)), ETIMEDOUT, []int{6}, []time.Duration{13300 * ms, 13425 * ms, 13498 * ms}},
		"silence r2=6":           {Silence(retries(6)), ETIMEDOUT, []int{7}, []time.Duration{26600 * ms}},
		"silence r2=15":          {Silence(retries(15)), ETIMEDOUT, []int{16}, []time.Duration{938008 * ms, 938881 * ms, 939682 * ms}},
		"user timeout 5s":        {Silence(with(func(p *Params) { p.UserTimeout = 5 * time.Second })), ETIMEDOUT, []int{5}, []time.Duration{5432 * ms, 5554 * ms, 5600 * ms}},
		"host r2=3":              {Unreachable(retries(3), HostUnreachable, Router{}), EHOSTUNREACH, []int{9}, []time.Duration{4141 * ms, 4146 * ms, 4168 * ms}},
		"net r2=3":               {Unreachable(retries(3), NetUnreachable, Router{}), ENETUNREACH, []int{9}, []time.Duration{4141 * ms, 4151 * ms, 4164 * ms}},
		"host r2=5":              {Unreachable(retries(5), HostUnreachable, Router{}), EHOSTUNREACH, []int{15}, []time.Duration{13165 * ms, 13170 * ms, 13182 * ms}},
		"net r2=5":               {Unreachable(retries(5), NetUnreachable, Router{}), ENETUNREACH, []int{15}, []time.Duration{13177 * ms, 13183 * ms}},
		"host r2=5 ratelimit":    {Unreachable(retries(5), HostUnreachable, limited), EHOSTUNREACH, []int{8}, []time.Duration{15003 * ms, 15086 * ms}},
		"arp r2=5":               {NoARP(retries(5), quick()), EHOSTUNREACH, nil, []time.Duration{13398 * ms, 13123 * ms, 13126 * ms, 13461 * ms}},
		"arp r2=5 rested":        {NoARP(retries(5), rested), EHOSTUNREACH, nil, []time.Duration{13119 * ms, 13087 * ms, 13110 * ms, 13152 * ms}},
		"arp r2=5 held queue":    {NoARP(retries(5), slow), EHOSTUNREACH, nil, []time.Duration{13946 * ms, 15619 * ms}},
		"arp r2=6 held queue":    {NoARP(retries(6), slower), EHOSTUNREACH, nil, []time.Duration{25903 * ms}},
		"arp r2=5 kernel":        {NoARP(retries(5), DefaultNeigh()), ETIMEDOUT, []int{6}, []time.Duration{13424 * ms, 13498 * ms}},
		"keepalive":              {Keepalives(probes), ETIMEDOUT, []int{3}, []time.Duration{9256 * ms, 9262 * ms, 9287 * ms}},
		"keepalive, user 8s":     {Keepalives(probesUser), ETIMEDOUT, []int{3}, []time.Duration{9219 * ms, 9279 * ms}},
		"user timeout 1s":        {Silence(user(time.Second)), ETIMEDOUT, []int{3}, []time.Duration{1424 * ms, 1432 * ms, 1436 * ms, 1438 * ms}},
		"user timeout 3s":        {Silence(user(3 * time.Second)), ETIMEDOUT, []int{5}, []time.Duration{3417 * ms, 3424 * ms}},
		"user timeout 10s":       {Silence(user(10 * time.Second)), ETIMEDOUT, []int{6}, []time.Duration{10441 * ms, 10570 * ms, 10640 * ms}},
		"keepalive, user 1s":     {Keepalives(kept(time.Second)), ETIMEDOUT, []int{1}, []time.Duration{5100 * ms}},
		"keepalive, user 6s":     {Keepalives(kept(6 * time.Second)), ETIMEDOUT, []int{2}, []time.Duration{7197 * ms}},
		"keepalive, user 15s":    {Keepalives(kept(15 * time.Second)), ETIMEDOUT, []int{6}, []time.Duration{15236 * ms}},
		"host, Linux 6.12":       {Unreachable(retries(5), HostUnreachable, Router{Capped: true}), EHOSTUNREACH, []int{11}, []time.Duration{13959 * ms, 13967 * ms}},
		"host unlimited":         {Unreachable(retries(5), HostUnreachable, Router{Unlimited: true}), EHOSTUNREACH, nil, []time.Duration{13072 * ms}},
		"port":                   {Unreachable(retries(5), PortUnreachable, Router{Unlimited: true}), ECONNREFUSED, []int{6}, []time.Duration{13336 * ms}},
		"prohibited":             {Unreachable(retries(5), AdminProhibited, Router{}), EHOSTUNREACH, []int{6}, []time.Duration{13308 * ms, 13377 * ms}},
		"no route, IPv6":         {Unreachable(retries(5), NoRoute6, Router{}), ENETUNREACH, nil, []time.Duration{13068 * ms, 13072 * ms, 13075 * ms}},
		"no route, IPv6, r2=3":   {Unreachable(retries(3), NoRoute6, Router{}), ENETUNREACH, []int{16}, []time.Duration{3481 * ms}},
		"no route, IPv6, limit":  {Unreachable(retries(5), NoRoute6, Router{RateLimit: 4 * time.Second}), ENETUNREACH, []int{12}, []time.Duration{15791 * ms}},
		"neighbour kernel, IPv6": {NoARP(retries(5), six(DefaultNeigh())), ETIMEDOUT, []int{6}, []time.Duration{13479 * ms}},
		"prohibited, IPv6":       {Unreachable(retries(5), AdminProhibited6, Router{}), EACCES, []int{6}, []time.Duration{13385 * ms, 13404 * ms}},
		"scope, IPv6":            {Unreachable(retries(5), BeyondScope6, Router{}), EHOSTUNREACH, []int{6}, []time.Duration{13352 * ms}},
		"address, IPv6":          {Unreachable(retries(5), AddrUnreachable6, Router{}), EHOSTUNREACH, []int{6}, []time.Duration{13424 * ms}},
		"port, IPv6":             {Unreachable(retries(5), PortUnreachable6, Router{}), ECONNREFUSED, []int{6}, []time.Duration{13428 * ms}},
		"policy, IPv6":           {Unreachable(retries(5), PolicyFailed6, Router{}), EACCES, []int{6}, []time.Duration{13363 * ms}},
		"reject, IPv6":           {Unreachable(retries(5), RejectRoute6, Router{}), EACCES, []int{6}, []time.Duration{13291 * ms}},
		"neighbour r2=5, IPv6":   {NoARP(retries(5), six(quick())), EHOSTUNREACH, []int{6}, []time.Duration{13396 * ms, 13389 * ms}},
		"neighbour r2=6, IPv6":   {NoARP(retries(6), six(quick())), EHOSTUNREACH, nil, []time.Duration{26786 * ms}},
		"read 50ms":              {ReadTimeout(Defaults(), 50*ms), EAGAIN, []int{0}, []time.Duration{52140 * time.Microsecond, 56180 * time.Microsecond}},
		"read 247ms":             {ReadTimeout(Defaults(), 247*ms), EAGAIN, []int{0}, []time.Duration{248410 * time.Microsecond, 252180 * time.Microsecond}},
		"read 1s":                {ReadTimeout(Defaults(), time.Second), EAGAIN, []int{0}, []time.Duration{1002 * ms, 1024 * ms}},
		"read 1.7s":              {ReadTimeout(Defaults(), 1700*ms), EAGAIN, []int{0}, []time.Duration{1705 * ms, 1728 * ms}},
		"read 5s":                {ReadTimeout(Defaults(), 5*time.Second), EAGAIN, []int{0}, []time.Duration{5051 * ms, 5116 * ms}},
		"heartbeat 1s":           {Heartbeat(Defaults(), time.Second), EAGAIN, []int{0}, []time.Duration{1042 * ms, 1189 * ms, 1540 * ms, 1925 * ms}},
		"connect no arp":         {ConnectNoARP(Defaults(), DefaultNeigh()), EHOSTUNREACH, nil, []time.Duration{3049 * ms, 3054 * ms, 3066 * ms}},
		"connect no arp, IPv6":   {ConnectNoARP(Defaults(), six(DefaultNeigh())), EHOSTUNREACH, nil, []time.Duration{3051 * ms, 3057 * ms, 3077 * ms}},
		"connect no arp, short":  {ConnectNoARP(Defaults(), short), EHOSTUNREACH, nil, []time.Duration{820 * ms, 838 * ms}},
		"connect no arp, long":   {ConnectNoARP(Defaults(), long), EHOSTUNREACH, nil, []time.Duration{10248 * ms, 10390 * ms}},
		"connect no arp, mute":   {ConnectNoARP(with(func(p *Params) { p.SynRetries = 1 }), mute), ETIMEDOUT, nil, []time.Duration{3075 * ms}},
		"connect host":           {ConnectUnreachable(Defaults(), HostUnreachable, Router{}), EHOSTUNREACH, []int{0, 1}, []time.Duration{0, ms, 1010 * ms, 1022 * ms}},
		"connect prohibit, IPv6": {ConnectUnreachable(Defaults(), AdminProhibited6, Router{}), EACCES, []int{0, 1}, []time.Duration{0, ms, 1006 * ms, 1026 * ms}},
		"connect no route, IPv6": {ConnectUnreachable(Defaults(), NoRoute6, Router{}), ENETUNREACH, []int{0, 1}, []time.Duration{0, ms, 1018 * ms, 1030 * ms}},
		"connect port":           {ConnectUnreachable(Defaults(), PortUnreachable, Router{Unlimited: true}), ECONNREFUSED, []int{0}, []time.Duration{0, ms}},
		"connect refused":        {ConnectRefused(0), ECONNREFUSED, []int{0}, []time.Duration{0, ms}},
		"zero window r2=3":       {zero(3, 3, 0, 1310*ms, 0), ETIMEDOUT, []int{3}, []time.Duration{6511 * ms, 6513 * ms}},
		"zero window r2=3, one":  {zero(3, 2, 1, 573*ms, 0), ETIMEDOUT, []int{2}, []time.Duration{4040 * ms}},
		"zero window r2=5":       {zero(5, 3, 0, 1285*ms, 0), ETIMEDOUT, []int{5}, []time.Duration{32424 * ms}},
		"zero window user 3s":    {zero(15, 2, 1, 592*ms, 3*time.Second), ETIMEDOUT, []int{1}, []time.Duration{2307 * ms}},
		"zero window user 5s":    {zero(15, 4, 0, 299*ms, 5*time.Second), ETIMEDOUT, []int{0}, []time.Duration{327 * ms}},
		"zero window preview":    {ZeroWindow(retries(5), Probing{}), ETIMEDOUT, nil, []time.Duration{32424 * ms}},
		"connect syn_retries=2":  {SYN(with(func(p *Params) { p.SynRetries = 2 })), ETIMEDOUT, []int{5}, []time.Duration{7126 * ms, 7129 * ms}},
	} {
		t.Run(name, func(t *testing.T) {
			w := c.window
			if d := cmp.Diff([]string{c.errno}, w.Errors); d != "" || !w.Certain {
				t.Errorf("errors, certain %v (-want +got):\n%s", w.Certain, d)
			}
			for _, m := range c.measured {
				// Every timer of a long row of them may be a little late.
				if m < w.Min || m > w.Max+late+time.Duration(w.MaxSends)*ms/4 {
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

// What nobody is told of: how long the kernel kept it, on Linux 6.18, HZ=250.
func TestMeasuredLives(t *testing.T) {
	synack := func(n int) Window { return SYNACK(with(func(p *Params) { p.SynAckRetries = n })) }
	for name, c := range map[string]struct {
		window   Window
		sends    int
		measured []time.Duration
	}{
		"synack 1": {synack(1), 1, []time.Duration{3026 * ms, 3045 * ms}},
		"synack 2": {synack(2), 2, []time.Duration{7123 * ms, 7280 * ms}},
		"synack 3": {synack(3), 3, []time.Duration{15402 * ms}},
		"synack 5": {synack(5), 5, []time.Duration{64505 * ms}},
	} {
		t.Run(name, func(t *testing.T) {
			w := c.window
			if bad := saneUntold(w); bad != "" {
				t.Error(bad)
			}
			// The table of connections was read every 10 ms.
			for _, m := range c.measured {
				if m < w.Min || m > w.Max+30*ms {
					t.Errorf("measured %v, predicted %v to %v", m, w.Min, w.Max)
				}
			}
			if w.MinSends != c.sends || w.MaxSends != c.sends {
				t.Errorf("%d to %d sends, measured %d", w.MinSends, w.MaxSends, c.sends)
			}
		})
	}
}

// Measured on Linux 6.18, HZ=250: a reader that was stopped for 75 s, RTO 212
// ms, tcp_retries2=5. The first bytes were written 10 ms before the first
// probe's timer was armed, more or less.
func TestMeasuredZeroWindowAnswered(t *testing.T) {
	w := ZeroWindowAnswered(with(func(p *Params) { p.Retries2, p.RTO = 5, 212*ms }))
	if bad := saneUntold(w); bad != "" || w.Max != 0 {
		t.Errorf("%s, up to %v", bad, w.Max)
	}
	measured := []time.Duration{303, 747, 1611, 3339, 6930, 13835, 20749, 27659, 34575, 41483, 48395, 55307, 62219, 69131}
	for i := range measured[1:] {
		gap := (measured[i+1] - measured[i]) * ms
		least, most := w.Sends[i+1].Min-w.Sends[i].Max, w.Sends[i+1].Max-w.Sends[i].Min
		if gap < least-10*ms || gap > most+10*ms || w.Sends[i].Kind != KindProbe {
			t.Errorf("%s %d came %v after the one before, predicted %v to %v", w.Sends[i].Kind, i+2, gap, least, most)
		}
	}
	// An answer to a probe does not set TCP_USER_TIMEOUT back. What was
	// measured counts from the first write, some 90 ms before the timer.
	w = ZeroWindowAnswered(with(func(p *Params) { p.UserTimeout, p.RTO = 8*time.Second, 212*ms }))
	if bad := sane(w); bad != "" || w.Error != ETIMEDOUT || !w.Allows((8324-90)*ms) || w.MaxSends != 5 {
		t.Errorf("user timeout: %s, %s, %v to %v, %d sends", bad, w.Error, w.Min, w.Max, w.MaxSends)
	}
	// Two probes within 500 ms are too many for tcp_retries2=1.
	w = ZeroWindowAnswered(with(func(p *Params) { p.Retries2, p.RTO = 1, 212*ms }))
	if bad := sane(w); bad != "" || w.Error != ETIMEDOUT || !w.Allows((1206-90)*ms) || w.MaxSends != 2 {
		t.Errorf("retries2=1: %s, %s, %v to %v, %d sends", bad, w.Error, w.Min, w.Max, w.MaxSends)
	}
	if w = ZeroWindowAnswered(retries(2)); w.Error != "" {
		t.Errorf("retries2=2: %s, %v to %v", w.Error, w.Min, w.Max)
	}
}

// The measured SYN+ACKs of tcp_synack_retries=5.
func TestSYNACKSchedule(t *testing.T) {
	w := SYNACK(Defaults())
	for i, m := range []time.Duration{1011 * ms, 3027 * ms, 7159 * ms, 15347 * ms, 31475 * ms} {
		s := w.Sends[i]
		if m < s.Min-10*ms || m > s.Max+10*ms || s.Kind != KindSYNACK || s.N != i+1 {
			t.Errorf("measured %v, predicted %+v", m, s)
		}
	}
}

// Netfilter's reject pays nothing but icmp_ratelimit: six, then one a second.
func TestUnlimitedKeepsRateLimit(t *testing.T) {
	p := retries(5)
	reject := Unreachable(p, HostUnreachable, Router{Unlimited: true, RateLimit: time.Second})
	free := Unreachable(p, HostUnreachable, Router{Unlimited: true})
	route := Unreachable(p, HostUnreachable, Router{RateLimit: time.Second})
	if !(free.MinSends > reject.MaxSends && reject.MinSends > route.MaxSends) {
		t.Errorf("sends: %d without limit, %d with icmp_ratelimit, %d of a route; want fewer each time", free.MinSends, reject.MaxSends, route.MaxSends)
	}
}

// A round trip that connect() does not wait for finds the socket unlocked.
func TestConnectUnreachableFromAfar(t *testing.T) {
	for _, kind := range []ICMP{HostUnreachable, NetUnreachable, NoRoute6, AddrUnreachable6} {
		w := ConnectUnreachable(Defaults(), kind, Router{RTT: 40 * ms})
		if w.Error != kind.Errno() || w.Min > 40*ms || w.Max < 40*ms || w.Max > 60*ms || w.MaxSends != 0 {
			t.Errorf("%s after %v to %v, %d sends; want %s after the round trip of 40ms", w.Error, w.Min, w.Max, w.MaxSends, kind.Errno())
		}
	}
}

// A segment that waits for an address never leaves.
func TestConnectNoARPHoldsSYN(t *testing.T) {
	for _, s := range ConnectNoARP(Defaults(), DefaultNeigh()).Sends {
		if s.OnWire {
			t.Errorf("%+v is on the wire", s)
		}
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

// What ends it is what decides: tcp_retries2 holds beside TCP_USER_TIMEOUT.
func TestZeroWindowDecider(t *testing.T) {
	p := retries(3)
	for user, want := range map[time.Duration]string{0: "net.ipv4.tcp_retries2=3", 3 * time.Second: "TCP_USER_TIMEOUT=3s", time.Hour: "net.ipv4.tcp_retries2=3"} {
		p.UserTimeout = user
		if got := ZeroWindow(p, Probing{RTO: 212 * ms, Left: 100 * ms}).Decider; got != want {
			t.Errorf("user timeout %v: decided by %s, want %s", user, got, want)
		}
	}
}

// Over IPv6 either error comes when silence would end: measured once.
func TestNoNeighbourUncertain(t *testing.T) {
	n := quick()
	n.IPv6 = true
	w, s := NoARP(retries(3), n), Silence(retries(3))
	if w.Certain || !w.AllowsError(EHOSTUNREACH) || !w.AllowsError(ETIMEDOUT) || !w.Allows(6656*ms) {
		t.Errorf("%q, certain %v, %v to %v", w.Errors, w.Certain, w.Min, w.Max)
	}
	if w.Min < s.Min || w.Max > s.Max {
		t.Errorf("%v to %v, in silence %v to %v", w.Min, w.Max, s.Min, s.Max)
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
	got := []string{Reset(ms).Error, Closed(0).Error}
	if d := cmp.Diff([]string{ECONNRESET, EOF}, got); d != "" {
		t.Errorf("errors (-want +got):\n%s", d)
	}
	if w := Reset(ms); !w.Allows(0) || !w.Allows(100*ms) || w.Allows(time.Second) {
		t.Errorf("reset allows %v to %v", w.Earliest(), w.Latest())
	}
}
