package lab

import (
	"context"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/scenarios"
)

// load reads a record of a real run.
func load(t *testing.T, scenario string) *record.Record {
	t.Helper()
	r, err := record.ReadFile(filepath.Join("testdata", scenario+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// rejudge judges a record anew.
func rejudge(t *testing.T, r *record.Record, dropped uint64, failure error) {
	t.Helper()
	var server string
	for _, h := range r.Hosts {
		if h.Name == "server" {
			server = h.Address + ":9998"
		}
	}
	record.Sort(r.Events)
	v := newView(r, netip.MustParseAddrPort(server))
	r.Detection = v.detection()
	r.Signature = v.signature()
	judge(r, v, dropped, failure)
}

func TestRealRecordsAreJudgedTheSameAgain(t *testing.T) {
	for _, s := range scenarios.All() {
		t.Run(s.Name, func(t *testing.T) {
			r := load(t, s.Name)
			want := r.Detection
			rejudge(t, r, 0, nil)
			if r.Outcome != record.AsExpected {
				t.Errorf("outcome %s: %q", r.Outcome, r.Reasons)
			}
			if r.Detection != want {
				t.Errorf("detection %+v, was %+v", r.Detection, want)
			}
		})
	}
}

// add puts a packet into the record, some time after the fault.
func add(r *record.Record, after time.Duration, host, kind string, p record.Packet) {
	r.Events = append(r.Events, record.Event{
		Time: r.Fault.Time + int64(after), Host: host, Source: record.Wire, Kind: kind, Boot: 1, Packet: &p,
	})
}

// drop removes the events that f holds for.
func drop(r *record.Record, f func(e *record.Event) bool) {
	r.Events = slices.DeleteFunc(r.Events, func(e record.Event) bool { return f(&e) })
}

func fromServer(flags int) record.Packet {
	return record.Packet{Proto: "tcp", Src: "10.0.0.2:9998", Dst: "10.0.0.1:40000", Flags: flags, SrcMAC: "02:00:00:00:00:02"}
}

func isTCP(e *record.Event, kind, host string, flags int) bool {
	return e.Packet != nil && e.Packet.Proto == "tcp" && e.Kind == kind && e.Host == host && e.Packet.Flags&flags != 0
}

// TestUnfaithfulFaultsFail breaks good records in the ways in which a naive
// lab goes wrong: each must be found out, by the check that is there for it.
func TestUnfaithfulFaultsFail(t *testing.T) {
	for _, c := range []struct {
		name, scenario string
		spoil          func(*record.Record)
		want           string // a part of the reasons
	}{
		{"a FIN escapes a crash", "crash", func(r *record.Record) {
			add(r, time.Millisecond, "client", record.KindIn, fromServer(record.FlagFIN|record.FlagACK))
		}, "no segment left the server"},
		{"a RST escapes a crash", "crash-lan", func(r *record.Record) {
			add(r, time.Second, "client", record.KindIn, fromServer(record.FlagRST))
		}, "no segment left the server"},
		{"the client loses its carrier", "crash", func(r *record.Record) {
			r.Events = append(r.Events, record.Event{
				Time: r.Fault.Time + 1, Host: "client", Source: record.Wire, Kind: record.KindCarrier, Link: record.LinkDown,
			})
		}, "the client kept its carrier"},
		{"a lost segment arrives after all", "crash", func(r *record.Record) {
			for i := range r.Events {
				e := &r.Events[i]
				if e.Time > r.Fault.Time && isTCP(e, record.KindOut, "client", record.FlagACK) {
					e.Packet.Fate = record.FateArrived
					break
				}
			}
		}, "what the client sent did not arrive"},
		{"the kernel does not back off", "crash", func(r *record.Record) {
			n := 0
			for i := range r.Events {
				e := &r.Events[i]
				if e.Time > r.Fault.Time && isTCP(e, record.KindOut, "client", record.FlagACK) {
					e.Time = r.Fault.Time + int64(10*time.Millisecond) + int64(n)*int64(204*time.Millisecond)
					n++
				}
			}
		}, "each retransmission timeout was about twice the one before"},
		{"ARP is answered though it must not", "crash-lan", func(r *record.Record) {
			add(r, 2*time.Second, "client", record.KindIn, record.Packet{Proto: "arp", ARP: record.ARPReply, Src: "10.0.0.2", Dst: "10.0.0.1"})
		}, "nobody resolved the dead host's address"},
		{"ARP goes unanswered though it must not", "crash", func(r *record.Record) {
			add(r, 2*time.Second, "client", record.KindOut, record.Packet{Proto: "arp", ARP: record.ARPRequest, Src: "10.0.0.1", Dst: "10.0.0.2"})
		}, "the dead host's address was still resolved"},
		{"the router says nothing", "unreachable-host", func(r *record.Record) {
			drop(r, func(e *record.Event) bool { return e.Packet != nil && e.Packet.Proto == "icmp" })
		}, "the router answered ICMP host unreachable"},
		{"the router says something else", "unreachable-net", func(r *record.Record) {
			for i := range r.Events {
				if p := r.Events[i].Packet; p != nil && p.Proto == "icmp" {
					p.ICMPCode = 1
				}
			}
		}, "the router answered ICMP net unreachable"},
		{"no more retransmissions than in silence", "unreachable-host", func(r *record.Record) {
			n := 0
			drop(r, func(e *record.Event) bool {
				if e.Time > r.Fault.Time && isTCP(e, record.KindOut, "client", record.FlagACK) {
					n++
				}
				return n > 6 && e.Time > r.Fault.Time && isTCP(e, record.KindOut, "client", record.FlagACK)
			})
		}, "more retransmissions than in silence"},
		{"a FIN leaves before the reboot", "reboot", func(r *record.Record) {
			add(r, time.Millisecond, "client", record.KindIn, fromServer(record.FlagFIN|record.FlagACK))
		}, "no FIN and no RST left the host before it was back"},
		{"the RST is the old kernel's", "reboot", func(r *record.Record) {
			for i := range r.Events {
				if isTCP(&r.Events[i], record.KindOut, "server", record.FlagRST) {
					r.Events[i].Boot = 1
				}
			}
		}, "the RST came from the new namespace"},
		{"another card answers after the reboot", "reboot", func(r *record.Record) {
			for i := range r.Events {
				if isTCP(&r.Events[i], record.KindOut, "server", record.FlagRST) {
					r.Events[i].Packet.SrcMAC = "02:00:00:00:00:99"
				}
			}
		}, "the rebooted host has its old addresses"},
		{"the client sends while the host is down", "reboot", func(r *record.Record) {
			add(r, time.Millisecond, "client", record.KindOut, record.Packet{Proto: "tcp", Src: "10.0.0.1:40000", Dst: "10.0.0.2:9998", Flags: record.FlagACK, Len: 1})
		}, "the client sent nothing while the host was down"},
		{"a FIN though octets were unread", "kill-unread", func(r *record.Record) {
			add(r, time.Millisecond, "server", record.KindOut, fromServer(record.FlagFIN|record.FlagACK))
		}, "a RST left the server, and no FIN"},
		{"nothing was unread", "kill-unread", func(r *record.Record) { r.Fault.Unread = 0 }, "octets lay unread"},
		{"the octets were read at the last moment", "kill-unread", func(r *record.Record) {
			r.Events = append(r.Events, record.Event{
				Time: r.Fault.Time - 1, Host: "server", Source: record.Syscall, Kind: record.KindCall, Boot: 1,
				Syscall: &record.Call{Name: "read", FD: 3, Socket: true, Local: "10.0.0.2:9998", Ret: 11},
			})
		}, "octets lay unread"},
		{"another process ended", "kill", func(r *record.Record) { r.Fault.PID++ }, "ended, then its kernel sent a FIN"},
		{"nobody tells the parent", "kill", func(r *record.Record) {
			drop(r, func(e *record.Event) bool { return e.Kind == record.KindSignal && e.Process.Signal == "SIGCHLD" })
		}, "no SIGCHLD"},
		{"the dead host's address is forgotten", "crash", func(r *record.Record) {
			r.Neighbours[0].State = "FAILED"
		}, "the dead host's address was still resolved"},
		{"a FIN before any process ended", "kill", func(r *record.Record) {
			for i := range r.Events {
				if isTCP(&r.Events[i], record.KindOut, "server", record.FlagFIN) {
					r.Events[i].Time = r.Fault.Time + 1
				}
			}
		}, "ended, then its kernel sent a FIN"},
		{"nobody acknowledges the FIN", "kill", func(r *record.Record) {
			drop(r, func(e *record.Event) bool {
				return e.Time > r.Fault.Time && e.Kind == record.KindOut && e.Host == "client" && e.Packet != nil && e.Packet.Len == 0
			})
		}, "the client's kernel acknowledged the FIN"},
		{"the RST comes unasked", "kill", func(r *record.Record) {
			for i := range r.Events {
				if isTCP(&r.Events[i], record.KindOut, "server", record.FlagRST) {
					r.Events[i].Time = r.Fault.Time + 1
				}
			}
		}, "answered the client's next data with RST"},
		{"a zombie is left", "kill", func(r *record.Record) {
			drop(r, func(e *record.Event) bool { return e.Syscall != nil && e.Syscall.Name == "wait4" })
		}, "the parent was sent SIGCHLD and waited"},
		{"SIGKILL comes first", "shutdown", func(r *record.Record) {
			drop(r, func(e *record.Event) bool {
				return e.Kind == record.KindSignal && e.Process.Signal == "SIGTERM"
			})
		}, "SIGTERM to every process"},
		{"the client is told too soon", "crash", func(r *record.Record) {
			for i := range r.Events {
				if c := r.Events[i].Syscall; c != nil && c.Error == "ETIMEDOUT" {
					r.Events[i].Time = r.Fault.Time + int64(2*time.Second)
				}
			}
		}, "the client was told 1.9"},
		{"the client is told something else", "crash", func(r *record.Record) {
			for i := range r.Events {
				if c := r.Events[i].Syscall; c != nil && c.Error == "ETIMEDOUT" {
					c.Error = "ECONNRESET"
				}
			}
		}, "predicted was ETIMEDOUT"},
		{"the kernel set another error", "crash", func(r *record.Record) {
			for i := range r.Events {
				if e := &r.Events[i]; e.Kind == record.KindError {
					e.TCP.Error = "ECONNRESET"
				}
			}
		}, "the client's kernel set the error"},
		{"the client is never told", "crash", func(r *record.Record) {
			drop(r, func(e *record.Event) bool { return e.Syscall != nil && e.Syscall.Error == "ETIMEDOUT" })
		}, "told nothing"},
		{"an expectation was not met", "kill", func(r *record.Record) {
			r.Expectations[3].OK = false
		}, "within"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := load(t, c.scenario)
			c.spoil(r)
			rejudge(t, r, 0, nil)
			if r.Outcome != record.NotAsExpected {
				t.Errorf("outcome %s, want %s", r.Outcome, record.NotAsExpected)
			}
			if all := strings.Join(r.Reasons, "\n"); !strings.Contains(all, c.want) {
				t.Errorf("reasons %q do not say %q", r.Reasons, c.want)
			}
		})
	}
}

func TestWhatIsNotKnownIsInconclusive(t *testing.T) {
	for _, c := range []struct {
		name    string
		spoil   func(*record.Record)
		dropped uint64
		failure error
		want    string
	}{
		{"lost events", func(*record.Record) {}, 1, nil, "lost 1 events"},
		{"interrupted", func(*record.Record) {}, 0, context.Canceled, "interrupted"},
		{"timeout", func(*record.Record) {}, 0, ErrTimeout, ErrTimeout.Error()},
		{"no eBPF", func(r *record.Record) {
			r.Missing = []record.Missing{{Observer: ObserveEBPF, Why: "no BTF"}}
		}, 0, nil, "no BTF"},
		{"no exits", func(r *record.Record) {
			r.Missing = []record.Missing{{Observer: ObserveEBPF + ":sched_process_exit", Why: "no such tracepoint"}}
		}, 0, nil, "no such tracepoint"},
		{"no packets", func(r *record.Record) {
			r.Missing = []record.Missing{{Observer: ObserveWire, Why: "no ring"}}
		}, 0, nil, "no ring"},
		{"no fault", func(r *record.Record) { r.Fault = record.FaultInfo{} }, 0, nil, "the fault never came"},
		{"an expectation could not be seen", func(r *record.Record) {
			r.Expectations[0].Unknown, r.Expectations[0].OK, r.Expectations[0].Actual = true, false, "no observer"
		}, 0, nil, "no observer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := load(t, "kill")
			c.spoil(r)
			rejudge(t, r, c.dropped, c.failure)
			if r.Outcome != record.Inconclusive {
				t.Errorf("outcome %s, want %s; reasons %q", r.Outcome, record.Inconclusive, r.Reasons)
			}
			if all := strings.Join(r.Reasons, "\n"); !strings.Contains(all, c.want) {
				t.Errorf("reasons %q do not say %q", r.Reasons, c.want)
			}
		})
	}
}

// A missing tracepoint that nothing hangs on does not spoil a verdict.
func TestWhatDoesNotMatterMayBeMissing(t *testing.T) {
	r := load(t, "kill")
	r.Missing = []record.Missing{{Observer: ObserveEBPF + ":kfree_skb", Why: "no such tracepoint"}}
	rejudge(t, r, 0, nil)
	if r.Outcome != record.AsExpected {
		t.Errorf("outcome %s: %q", r.Outcome, r.Reasons)
	}
}
