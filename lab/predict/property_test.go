package predict

import (
	"fmt"
	"testing"
	"time"
)

// sane says what is wrong with a window, "" if nothing.
func sane(w Window) string {
	switch {
	case w.Min > w.Max || w.Min < 0:
		return fmt.Sprintf("window %v to %v", w.Min, w.Max)
	case w.Error == "" || len(w.Errors) == 0 || !w.AllowsError(w.Error) || w.Certain && len(w.Errors) != 1:
		return fmt.Sprintf("error %q of %q, certain %v", w.Error, w.Errors, w.Certain)
	case !w.Allows(w.Min) || !w.Allows(w.Max):
		return "its own bounds are not allowed"
	}
	for _, s := range w.Sends {
		if s.Max > w.Max {
			return fmt.Sprintf("%+v is after the error, %v to %v", s, w.Min, w.Max)
		}
	}
	return schedule(w)
}

// saneUntold is sane for a window that holds no error.
func saneUntold(w Window) string {
	if w.Min > w.Max || w.Min < 0 || w.Error != "" || len(w.Errors) > 0 || !w.Certain || w.Allows(w.Min) {
		return fmt.Sprintf("%q of %q, certain %v, %v to %v; want no error", w.Error, w.Errors, w.Certain, w.Min, w.Max)
	}
	return schedule(w)
}

func schedule(w Window) string {
	switch {
	case w.MinSends > w.MaxSends || len(w.Sends) != min(w.MaxSends, mostSends):
		return fmt.Sprintf("%d to %d sends, %d listed", w.MinSends, w.MaxSends, len(w.Sends))
	case w.Decider == "" || w.Why == "":
		return "unexplained"
	}
	var before time.Duration
	for i, s := range w.Sends {
		switch {
		case s.Min > s.Max, s.Min < before, s.Always != (i < w.MinSends):
			return fmt.Sprintf("send %d %+v of %v to %v", i, s, w.Min, w.Max)
		}
		before = s.Min
	}
	return ""
}

// One more retry may give the same time: the limit is compared only when a
// timer fires. (At HZ=250 tcp_retries2 3 and 4 are the same.)
func TestNotSoonerWithRetries(t *testing.T) {
	for _, hz := range []int{100, 250, 300, 1000} {
		for _, rtoMax := range []time.Duration{time.Second, 10 * time.Second, 120 * time.Second} {
			var before Window
			for r := range 18 {
				p := Defaults()
				p.HZ, p.RTOMax, p.Retries2 = hz, rtoMax, r
				w := Silence(p)
				if bad := sane(w); bad != "" {
					t.Errorf("HZ=%d rto_max=%v retries2=%d: %s", hz, rtoMax, r, bad)
				}
				if r > 0 && (w.Min < before.Min || w.Max < before.Max) {
					t.Errorf("HZ=%d rto_max=%v: retries2=%d gives %v to %v, one less %v to %v", hz, rtoMax, r, w.Min, w.Max, before.Min, before.Max)
				}
				before = w
			}
		}
	}
}

// Each of these grows with its setting, whatever HZ is.
func TestNotSoonerWithMore(t *testing.T) {
	for name, f := range map[string]func(p Params, n int) Window{
		"synack_retries": func(p Params, n int) Window { p.SynAckRetries = n; return SYNACK(p) },
		"syn_retries":    func(p Params, n int) Window { p.SynRetries = n + 1; return SYN(p) },
		"zero window, retries2": func(p Params, n int) Window {
			p.Retries2 = n
			return ZeroWindow(p, Probing{RTO: 201 * ms, Left: 100 * ms})
		},
		"zero window, preview": func(p Params, n int) Window { p.Retries2 = n; return ZeroWindow(p, Probing{}) },
		"zero window, user timeout": func(p Params, n int) Window {
			p.UserTimeout = time.Duration(n+1) * time.Second
			return ZeroWindowAnswered(p)
		},
		"read timeout": func(p Params, n int) Window { return ReadTimeout(p, time.Duration(n+1)*130*ms) },
		"heartbeat":    func(p Params, n int) Window { return Heartbeat(p, time.Duration(n+1)*130*ms) },
		"mcast_solicit": func(p Params, n int) Window {
			neigh := DefaultNeigh()
			neigh.McastSolicit = n + 1
			return ConnectNoARP(p, neigh)
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, hz := range []int{100, 250, 300, 1000} {
				var before Window
				for n := range 11 {
					p := Defaults()
					p.HZ = hz
					w := f(p, n)
					bad := sane(w)
					if w.Error == "" {
						bad = saneUntold(w)
					}
					if bad != "" {
						t.Errorf("HZ=%d, %d: %s", hz, n, bad)
					}
					if n > 0 && (w.Min < before.Min || w.Max < before.Max) {
						t.Errorf("HZ=%d: %d gives %v to %v, one less %v to %v", hz, n, w.Min, w.Max, before.Min, before.Max)
					}
					before = w
				}
			}
		})
	}
}

func TestMoreRetransmissionsIfUnreachable(t *testing.T) {
	for r := 1; r <= 15; r++ {
		s, u := Silence(retries(r)), Unreachable(retries(r), HostUnreachable, Router{})
		if bad := sane(u); bad != "" {
			t.Errorf("retries2=%d: %s", r, bad)
		}
		if u.MinSends <= s.MaxSends {
			t.Errorf("retries2=%d: %d sends or more with ICMP, up to %d in silence", r, u.MinSends, s.MaxSends)
		}
	}
}

// The phases are a sample where the wheel is coarse; a finer one must not
// widen the window by more than a granule's share.
func TestSampleIsFineEnough(t *testing.T) {
	p := retries(15)
	p.HZ = 1000
	w := Silence(p)
	p = p.normal()
	for i := range jiffies(5000) {
		s := newSocket(p, epoch+i*977, 0, void{})
		s.write(p)
		s.simulate()
		took := s.duration(s.now - s.start)
		if took < w.Min-5*ms || took > w.Max+5*ms {
			t.Fatalf("phase %d ends after %v, outside %v to %v", i*977, took, w.Min, w.Max)
		}
	}
}

func FuzzPredictions(f *testing.F) {
	f.Add(250, 5, int64(120000), int64(204000), int64(40), int64(0), true, int64(1000), int64(1000), int64(250), 3, 3, int64(1000))
	f.Add(1000, 255, int64(120000), int64(1), int64(1), int64(0), false, int64(1), int64(0), int64(1), 0, 0, int64(0))
	f.Add(100, 255, int64(1000), int64(1), int64(1), int64(1<<31), true, int64(86400000), int64(1), int64(1), 1000, 1000, int64(1))
	f.Fuzz(func(t *testing.T, hz, r2 int, rtoMax, rto, srtt, user int64, tlp bool, reachable, delay, retrans int64, ucast, mcast int, cost int64) {
		const limit = 20 * time.Second // on a busy machine; a tenth of it as a rule
		began := time.Now()
		p := Defaults()
		p.HZ, p.Retries2, p.SynRetries, p.Keepalive.On, p.TLP = hz, r2, r2, true, tlp
		p.RTOMax, p.UserTimeout = bounded(rtoMax)*ms, bounded(user)*ms
		p.RTO, p.SRTT = bounded(rto)*time.Microsecond, bounded(srtt)*time.Microsecond
		n := Neigh{
			ReachableTime: bounded(reachable) * ms, DelayFirstProbe: bounded(delay) * ms, RetransTime: bounded(retrans) * ms,
			UcastSolicit: ucast, McastSolicit: mcast, Quiet: bounded(cost) * ms,
		}
		router := Router{Cost: bounded(cost) * ms, Burst: bounded(retrans) * ms, RTT: bounded(srtt) * time.Microsecond}
		probing := Probing{
			RTO: bounded(rto) * time.Microsecond, Backoff: ucast, Left: bounded(delay) * ms, Unanswered: mcast,
		}
		p.SynAckRetries = r2
		six := n
		six.IPv6 = true
		for name, w := range map[string]Window{
			"silence":     Silence(p),
			"unreachable": Unreachable(p, HostUnreachable, router),
			"no arp":      NoARP(p, n),
			"keepalive":   Keepalives(p),
			"syn":         SYN(p),

			"unreachable, unlimited":         Unreachable(p, ICMP(ucast), Router{Unlimited: true}),
			"unreachable, IPv6":              Unreachable(p, NoRoute6, router),
			"no neighbour, IPv6":             NoARP(p, six),
			"connect, no arp":                ConnectNoARP(p, n),
			"connect, no neighbour, IPv6":    ConnectNoARP(p, six),
			"connect, unreachable":           ConnectUnreachable(p, ICMP(mcast), router),
			"connect, unreachable, IPv6":     ConnectUnreachable(p, AddrUnreachable6, router),
			"zero window":                    ZeroWindow(p, probing),
			"zero window, preview":           ZeroWindow(p, Probing{}),
			"zero window, answered and ends": ZeroWindowAnswered(p),
			"read timeout":                   ReadTimeout(p, bounded(cost)*ms),
			"heartbeat":                      Heartbeat(p, bounded(retrans)*ms),
			"request":                        SYNACK(p),
		} {
			bad := sane(w)
			if w.Error == "" {
				bad = saneUntold(w)
			}
			if bad != "" {
				t.Errorf("%s: %s", name, bad)
			}
		}
		if took := time.Since(began); took > limit {
			t.Errorf("took %v", took)
		}
	})
}

// bounded keeps the fuzzer's numbers from overflowing a Duration.
func bounded(n int64) time.Duration { return time.Duration(n % (1 << 32)) }
