package lab

import (
	"context"
	"math"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/scenarios"
	"github.com/seed-6fefc909/tcplab/topology"
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
			server = net.JoinHostPort(h.Address, "9998")
		}
	}
	record.Sort(r.Events)
	v := newView(r, netip.MustParseAddrPort(server))
	r.Detection = v.detection()
	r.Signature = record.Signature{Checks: []record.Check{}}
	if r.Fault.Kind != "" {
		r.Signature = v.signature(scenarioOf(t, r))
	}
	judge(r, v, dropped, failure)
}

// scenarioOf is the record's scenario.
func scenarioOf(t *testing.T, r *record.Record) *scenarios.Scenario {
	t.Helper()
	s := compiled(t, r.Scenario, Options{Family: topology.Family(r.Family), Path: topology.Path(r.Path)})
	if r.Demand == nil {
		return s
	}
	s, err := s.WithPrograms(scenarios.Own{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// checksOf are the names of the checks of the record's signature, in its order.
func checksOf(t *testing.T, r *record.Record) []string {
	t.Helper()
	names := slices.Concat(scenarios.ChecksOf(r.Fault.Kind, r.Demand != nil), scenarioOf(t, r).Verify)
	for _, f := range r.Later {
		names = append(names, scenarios.ChecksOf(f.Kind, r.Demand != nil)...)
	}
	return names
}

// records are the names of those in testdata: go test -run TestScenarios
// -update writes them anew, of real runs.
func records(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal("no records:", err)
	}
	var names []string
	for _, f := range files {
		names = append(names, strings.TrimSuffix(filepath.Base(f), ".json"))
	}
	return names
}

func TestRealRecordsAreJudgedTheSameAgain(t *testing.T) {
	for _, name := range records(t) {
		t.Run(name, func(t *testing.T) {
			r := load(t, name)
			detection, signature := r.Detection, r.Signature
			rejudge(t, r, 0, nil)
			if r.Outcome != record.AsExpected {
				t.Errorf("outcome %s: %q", r.Outcome, r.Reasons)
			}
			if diff := cmp.Diff(detection, r.Detection); diff != "" {
				t.Errorf("detection: -was +is\n%s", diff)
			}
			if len(signature.Checks) != len(r.Signature.Checks) || signature.OK != r.Signature.OK {
				t.Errorf("signature: -was +is\n%s", cmp.Diff(signature, r.Signature))
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

// spoilt lists the ways in which a naive lab goes wrong, by the check that is
// there to find that out: what to do to a good record of which scenario.
func spoilt() []spoiling {
	return []spoiling{
		{"silent", "a FIN escapes a crash", "crash", func(r *record.Record) {
			add(r, time.Millisecond, "client", record.KindIn, fromServer(record.FlagFIN|record.FlagACK))
		}},
		{"silent", "a RST escapes a crash", "crash-lan", func(r *record.Record) {
			add(r, time.Second, "client", record.KindIn, fromServer(record.FlagRST))
		}},
		{"carrier", "the client loses its carrier", "crash", func(r *record.Record) {
			r.Events = append(r.Events, record.Event{
				Time: r.Fault.Time + 1, Host: "client", Source: record.Wire, Kind: record.KindCarrier, Link: record.LinkDown,
			})
		}},
		{"lost", "a lost segment arrives after all", "crash", func(r *record.Record) {
			for i := range r.Events {
				e := &r.Events[i]
				if e.Time > r.Fault.Time && isTCP(e, record.KindOut, "client", record.FlagACK) {
					e.Packet.Fate = record.FateArrived
					break
				}
			}
		}},
		{"backoff", "the kernel does not back off", "crash", func(r *record.Record) {
			n := 0
			for i := range r.Events {
				e := &r.Events[i]
				if e.Time > r.Fault.Time && isTCP(e, record.KindOut, "client", record.FlagACK) {
					e.Time = r.Fault.Time + int64(10*time.Millisecond) + int64(n)*int64(204*time.Millisecond)
					n++
				}
			}
		}},
		{"neighbour", "ARP is answered though it must not", "crash-lan", func(r *record.Record) {
			add(r, 2*time.Second, "client", record.KindIn, record.Packet{Proto: "arp", ARP: record.ARPReply, Src: "10.0.0.2", Dst: "10.0.0.1"})
		}},
		{"neighbour", "ARP goes unanswered though it must not", "crash", func(r *record.Record) {
			add(r, 2*time.Second, "client", record.KindOut, record.Packet{Proto: "arp", ARP: record.ARPRequest, Src: "10.0.0.1", Dst: "10.0.0.2"})
		}},
		{"icmp-host", "the router says nothing", "unreachable-host", func(r *record.Record) {
			drop(r, func(e *record.Event) bool { return e.Packet != nil && e.Packet.Proto == "icmp" })
		}},
		{"icmp-net", "the router says something else", "unreachable-net", func(r *record.Record) {
			for i := range r.Events {
				if p := r.Events[i].Packet; p != nil && p.Proto == "icmp" {
					p.ICMPCode = 1
				}
			}
		}},
		{"more-than-silence", "no more retransmissions than in silence", "unreachable-host", func(r *record.Record) {
			n := 0
			drop(r, func(e *record.Event) bool {
				if e.Time > r.Fault.Time && isTCP(e, record.KindOut, "client", record.FlagACK) {
					n++
				}
				return n > 6 && e.Time > r.Fault.Time && isTCP(e, record.KindOut, "client", record.FlagACK)
			})
		}},
		{"silent-until-boot", "a FIN leaves before the reboot", "reboot", func(r *record.Record) {
			add(r, time.Millisecond, "client", record.KindIn, fromServer(record.FlagFIN|record.FlagACK))
		}},
		{"reset-from-boot", "the RST is the old kernel's", "reboot", func(r *record.Record) {
			for i := range r.Events {
				if isTCP(&r.Events[i], record.KindOut, "server", record.FlagRST) {
					r.Events[i].Boot = 1
				}
			}
		}},
		{"same-card", "another card answers after the reboot", "reboot", func(r *record.Record) {
			for i := range r.Events {
				if e := &r.Events[i]; e.Boot == 2 && e.Kind == record.KindOut && e.Packet != nil {
					e.Packet.SrcMAC = "02:00:00:00:00:99"
				}
			}
		}},
		{"client-silent", "the client sends while the host is down", "reboot", func(r *record.Record) {
			add(r, time.Millisecond, "client", record.KindOut, record.Packet{Proto: "tcp", Src: "10.0.0.1:40000", Dst: "10.0.0.2:9998", Flags: record.FlagACK, Len: 1})
		}},
		{"reset-not-fin", "a FIN though octets were unread", "kill-unread", func(r *record.Record) {
			add(r, time.Millisecond, "server", record.KindOut, fromServer(record.FlagFIN|record.FlagACK))
		}},
		{"unread", "nothing was unread", "kill-unread", func(r *record.Record) { r.Fault.Unread = 0 }},
		{"unread", "the octets were read at the last moment", "kill-unread", func(r *record.Record) {
			r.Events = append(r.Events, record.Event{
				Time: r.Fault.Time - 1, Host: "server", Source: record.Syscall, Kind: record.KindCall, Boot: 1,
				Syscall: &record.Call{Name: "read", FD: 3, Socket: true, Local: "10.0.0.2:9998", Ret: 11},
			})
		}},
		{"end-before-fin", "another process ended", "kill", func(r *record.Record) { r.Fault.PID++ }},
		{"reaped", "nobody tells the parent", "kill", func(r *record.Record) {
			drop(r, func(e *record.Event) bool { return e.Kind == record.KindSignal && e.Process.Signal == "SIGCHLD" })
		}},
		{"neighbour", "the dead host's address is forgotten", "crash", func(r *record.Record) {
			r.Neighbours[0].State = "FAILED"
		}},
		{"end-before-fin", "a FIN before any process ended", "kill", func(r *record.Record) {
			for i := range r.Events {
				if isTCP(&r.Events[i], record.KindOut, "server", record.FlagFIN) {
					r.Events[i].Time = r.Fault.Time + 1
				}
			}
		}},
		{"fin-acknowledged", "nobody acknowledges the FIN", "kill", func(r *record.Record) {
			drop(r, func(e *record.Event) bool {
				return e.Time > r.Fault.Time && e.Kind == record.KindOut && e.Host == "client" && e.Packet != nil && e.Packet.Len == 0
			})
		}},
		{"reset-answers-data", "the RST comes unasked", "kill", func(r *record.Record) {
			for i := range r.Events {
				if isTCP(&r.Events[i], record.KindOut, "server", record.FlagRST) {
					r.Events[i].Time = r.Fault.Time + 1
				}
			}
		}},
		{"reaped", "a zombie is left", "kill", func(r *record.Record) {
			drop(r, func(e *record.Event) bool { return e.Syscall != nil && e.Syscall.Name == "wait4" })
		}},
		{"signal-order", "SIGKILL comes first", "shutdown", func(r *record.Record) {
			drop(r, func(e *record.Event) bool {
				return e.Kind == record.KindSignal && e.Process.Signal == "SIGTERM"
			})
		}},
		{"error-set", "the kernel set another error", "crash", func(r *record.Record) {
			for i := range r.Events {
				if e := &r.Events[i]; e.Kind == record.KindError {
					e.TCP.Error = "ECONNRESET"
				}
			}
		}},
		{"no-segments", "the server is heard all the same", "unreachable-host", func(r *record.Record) {
			add(r, time.Second, "client", record.KindIn, fromServer(record.FlagACK))
		}},
		{"icmp-prohibited", "the firewall says something else", "firewall-reject", func(r *record.Record) {
			for i := range r.Events {
				if p := r.Events[i].Packet; p != nil && p.Proto == "icmpv6" && p.ICMPType == 1 {
					p.ICMPCode = 0
				}
			}
		}},
		{"soft", "the message ends the connection", "firewall-reject", func(r *record.Record) {
			answer := first(r, func(e *record.Event) bool { return e.Packet != nil && e.Packet.ICMPError() })
			drop(r, func(e *record.Event) bool {
				return e.Time > answer && isTCP(e, record.KindOut, "client", record.FlagACK)
			})
		}},
		{"alive", "nothing comes after the error", "recverr", func(r *record.Record) {
			drop(r, func(e *record.Event) bool {
				return e.Time > r.Detection.Time && isTCP(e, record.KindIn, "client", record.FlagACK) && e.Packet.Len > 0
			})
		}},
		{"one-way", "what must be lost arrives", "partition-to-client", func(r *record.Record) {
			for i := range r.Events {
				if e := &r.Events[i]; e.Time > r.Fault.Time && isTCP(e, record.KindOut, "server", record.FlagACK) {
					e.Packet.Fate = record.FateArrived
				}
			}
		}},
		{"one-way", "the other way is closed, too", "partition-to-client", func(r *record.Record) {
			for i := range r.Events {
				if e := &r.Events[i]; e.Time > r.Fault.Time && isTCP(e, record.KindOut, "client", record.FlagACK) {
					e.Packet.Fate = record.FateLost
				}
			}
		}},
		{"heard-nothing-wrong", "a RST comes", "crash-idle", func(r *record.Record) {
			add(r, time.Second, "client", record.KindIn, fromServer(record.FlagRST))
		}},
		{"heard-nothing-wrong", "an ICMP error comes", "crash-idle", func(r *record.Record) {
			add(r, time.Second, "client", record.KindIn, record.Packet{Proto: "icmp", ICMPType: 3, ICMPCode: 1})
		}},
		{"flow-forgotten", "the firewall lets the flow through", "nat-expiry-reset", func(r *record.Record) {
			for i := range r.Events {
				if e := &r.Events[i]; e.Time > r.Fault.Time && isTCP(e, record.KindOut, "client", record.FlagACK) {
					e.Packet.Fate = record.FateArrived
				}
			}
		}},
		{"reset-answers-syn", "nobody answers", "connect-refused", func(r *record.Record) {
			drop(r, func(e *record.Event) bool { return isTCP(e, record.KindOut, "server", record.FlagRST) })
		}},
		{"ended-together", "all but one end after the wait", "zombies", func(r *record.Record) {
			ended := 0
			drop(r, func(e *record.Event) bool {
				if e.Host == "server" && e.Kind == record.KindExit && e.Time >= r.Fault.Time {
					ended++
				}
				return ended > 1 && e.Kind == record.KindExit
			})
		}},
		{"reset-from-middle", "the server sends the RST", "nat-expiry-reset", func(r *record.Record) {
			add(r, 1, "server", record.KindOut, fromServer(record.FlagRST))
		}},
		{"reset-from-middle", "no RST comes", "nat-expiry-reset", func(r *record.Record) {
			drop(r, func(e *record.Event) bool { return isTCP(e, record.KindIn, "client", record.FlagRST) })
		}},
		{"taken-over", "the client goes on believing in the dead host's card", "failover", func(r *record.Record) {
			for i := range r.Neighbours {
				r.Neighbours[i].MAC = "02:00:00:00:00:02"
			}
		}},
		{"taken-over", "nothing is announced", "failover", func(r *record.Record) {
			drop(r, func(e *record.Event) bool {
				return e.Packet != nil && e.Kind == record.KindIn && e.Packet.Proto != "tcp"
			})
		}},
		{"reset-from-standby", "the standby is silent", "failover", func(r *record.Record) {
			drop(r, func(e *record.Event) bool { return isTCP(e, record.KindOut, "standby", record.FlagRST) })
		}},
		{"reset-from-standby", "its RST is lost", "failover", func(r *record.Record) {
			for i := range r.Events {
				if e := &r.Events[i]; isTCP(e, record.KindOut, "standby", record.FlagRST) {
					e.Packet.Fate = record.FateLost
				}
			}
		}},
		{"told-by-poll", "the poll returns before the FIN is there", "kill-poll", func(r *record.Record) {
			for i := range r.Events {
				if e := &r.Events[i]; e.Time > r.Fault.Time && e.Syscall != nil && isWait(e.Syscall.Name) {
					e.Time = r.Fault.Time + 1
				}
			}
		}},
		{"handshake", "it begins without a SYN", "close", func(r *record.Record) {
			syn := first(r, func(e *record.Event) bool { return isTCP(e, record.KindOut, "client", record.FlagSYN) })
			drop(r, func(e *record.Event) bool { return e.Time == syn })
		}},
		{"closed-both-ways", "the second FIN is not acknowledged", "close", func(r *record.Record) {
			fin := first(r, func(e *record.Event) bool { return isTCP(e, record.KindOut, "server", record.FlagFIN) })
			drop(r, func(e *record.Event) bool { return e.Time >= fin && isTCP(e, record.KindOut, "client", record.FlagACK) })
		}},
		{"closed-both-ways", "only one end closes", "close", func(r *record.Record) {
			drop(r, func(e *record.Event) bool { return isTCP(e, record.KindOut, "server", record.FlagFIN) })
		}},
		{"fins-crossed", "one end knew of the other's FIN", "simultaneous-close", func(r *record.Record) {
			out := first(r, func(e *record.Event) bool { return isTCP(e, record.KindOut, "client", record.FlagFIN) })
			for i := range r.Events {
				if e := &r.Events[i]; isTCP(e, record.KindIn, "client", record.FlagFIN) {
					e.Time = out - 1
				}
			}
		}},
		{"time-wait", "neither end waits", "close", func(r *record.Record) {
			drop(r, func(e *record.Event) bool { return e.State != nil && e.State.To == "TIME_WAIT" })
			for i := range r.Events {
				r.Events[i].Sockets = nil
			}
		}},
		{"time-wait", "the other end waits, too", "close", func(r *record.Record) {
			r.Events = append(r.Events, record.Event{
				Time: r.Duration, Host: "server", Source: record.Socket, Kind: record.KindState, Boot: 1,
				State: &record.State{Local: "10.0.0.2:9998", Remote: "10.0.0.1:40000", From: "CLOSING", To: "TIME_WAIT"},
			})
		}},
		{"data-after-fin", "nothing comes after the FIN", "half-close", func(r *record.Record) {
			fin := first(r, func(e *record.Event) bool { return isTCP(e, record.KindOut, "client", record.FlagFIN) })
			drop(r, func(e *record.Event) bool {
				return e.Time > fin && isTCP(e, record.KindIn, "client", record.FlagACK) && e.Packet.Len > 0
			})
		}},
		{"signal-order", "SIGKILL comes before SIGTERM", "shutdown", func(r *record.Record) {
			for i := range r.Events {
				if e := &r.Events[i]; e.Kind == record.KindSignal && e.Process.Signal == "SIGKILL" {
					e.Time = r.Fault.Time + 1
				}
			}
		}},
		{"hung", "the process goes on", "hang", func(r *record.Record) {
			r.Events = append(r.Events, record.Event{
				Time: r.Fault.Time + int64(time.Second), Host: "server", Source: record.Syscall, Kind: record.KindCall, Boot: 1, PID: r.Fault.PID,
				Syscall: &record.Call{Name: "read", FD: 3, Socket: true, Local: "10.0.0.2:9998", Ret: 11},
			})
		}},
		{"hung", "its kernel is dead, too", "hang", func(r *record.Record) {
			drop(r, func(e *record.Event) bool {
				return e.Time > r.Fault.Time && isTCP(e, record.KindOut, "server", record.FlagACK)
			})
		}},
		{"destroyed", "the server is told something else", "socket-destroyed", func(r *record.Record) {
			for i := range r.Events {
				if c := r.Events[i].Syscall; c != nil && c.Error == "ECONNABORTED" {
					c.Error = "ECONNRESET"
				}
			}
		}},
		{"destroyed", "no RST leaves it", "socket-destroyed", func(r *record.Record) {
			drop(r, func(e *record.Event) bool { return isTCP(e, record.KindOut, "server", record.FlagRST) })
		}},
		{"ended", "the process goes on", "own kill", func(r *record.Record) {
			drop(r, func(e *record.Event) bool { return e.Kind == record.KindExit && e.PID == r.Fault.PID })
		}},
		{"stopped", "a segment gets through", "own unreachable-host", func(r *record.Record) {
			for i := range r.Events {
				if e := &r.Events[i]; e.Time > r.Fault.Time && isTCP(e, record.KindOut, "client", record.FlagACK) {
					e.Packet.Fate = record.FateArrived
					break
				}
			}
		}},
		{"stopped", "so does what the partitioned host sends", "own partition-to-client", func(r *record.Record) {
			for i := range r.Events {
				if e := &r.Events[i]; e.Time > r.Fault.Time && isTCP(e, record.KindOut, "server", record.FlagACK) {
					e.Packet.Fate = record.FateArrived
					break
				}
			}
		}},
		{"drained", "one had to be killed", "shutdown-graceful", func(r *record.Record) {
			for i := range r.Events {
				if e := &r.Events[i]; e.Time > r.Fault.Time && e.Kind == record.KindExit && e.Host == "server" {
					e.Process.Signal = "SIGKILL"
					break
				}
			}
		}},
		{"keepalive-probes", "nothing is sent", "keepalive", func(r *record.Record) {
			drop(r, func(e *record.Event) bool {
				return e.Time > r.Fault.Time && isTCP(e, record.KindOut, "client", record.FlagACK)
			})
		}},
		{"no-probes", "one is sent", "keepalive-busy", func(r *record.Record) {
			for i := range r.Events {
				if e := &r.Events[i]; e.Time > r.Fault.Time && isTCP(e, record.KindOut, "client", record.FlagACK) {
					p := *e.Packet
					p.Seq, p.Len = p.Seq-1, 0
					add(r, 5*time.Second, "client", record.KindOut, p)
					break
				}
			}
		}},
		{"probes-answered", "nothing answers", "zero-window", func(r *record.Record) {
			drop(r, func(e *record.Event) bool {
				return e.Time > r.Fault.Time && isTCP(e, record.KindIn, "client", record.FlagACK)
			})
		}},
		{"probes-lost", "one is answered", "zero-window-lost", func(r *record.Record) {
			add(r, 3*time.Second, "client", record.KindIn, fromServer(record.FlagACK))
		}},
		{"syn-backoff", "one SYN is late", "connect-silent", func(r *record.Record) {
			shift(r, 4, 2*time.Second, "client", record.FlagSYN)
		}},
		{"syn-backoff", "one SYN is missing", "connect-silent", func(r *record.Record) {
			drop(r, func(e *record.Event) bool {
				return e.Time > r.Fault.Time+int64(3*time.Second) && isTCP(e, record.KindOut, "client", record.FlagSYN)
			})
		}},
		{"synack-backoff", "the SYN+ACK is not repeated", "syn-recv", func(r *record.Record) {
			drop(r, func(e *record.Event) bool {
				return e.Time > r.Fault.Time+int64(2*time.Second) && isTCP(e, record.KindOut, "server", record.FlagSYN)
			})
		}},
	}
}

type spoiling struct {
	check, name, scenario string
	spoil                 func(*record.Record)
}

// first is the time of the record's first event that f holds for.
func first(r *record.Record, f func(e *record.Event) bool) int64 {
	for i := range r.Events {
		if f(&r.Events[i]) {
			return r.Events[i].Time
		}
	}
	return math.MaxInt64
}

// shift moves a host's n-th segment with the flags, counted from 0.
func shift(r *record.Record, n int, by time.Duration, host string, flags int) {
	for i := range r.Events {
		if e := &r.Events[i]; isTCP(e, record.KindOut, host, flags) {
			if n--; n < 0 {
				e.Time += int64(by)
				return
			}
		}
	}
}

// TestUnfaithfulFaultsFail breaks good records: each must be found out, by the
// check that is there for it, and be no result.
func TestUnfaithfulFaultsFail(t *testing.T) {
	tried := map[string]bool{}
	for _, c := range spoilt() {
		tried[c.check] = true
		t.Run(c.check+": "+c.name, func(t *testing.T) {
			name, own := strings.CutPrefix(c.scenario, "own ")
			r := load(t, name)
			if own { // as if the programs were the user's
				r.Demand, r.Expectations = &record.Demand{}, nil
				if rejudge(t, r, 0, nil); r.Outcome != record.AsExpected {
					t.Fatalf("before: %s: %q", r.Outcome, r.Reasons)
				}
			}
			names := checksOf(t, r)
			i := slices.Index(names, c.check)
			if i < 0 {
				t.Fatalf("%s does not check %s", c.scenario, c.check)
			}
			c.spoil(r)
			rejudge(t, r, 0, nil)
			if r.Outcome != record.NotAsExpected || r.Signature.OK {
				t.Errorf("outcome %s, signature ok: %t; want %s, and not", r.Outcome, r.Signature.OK, record.NotAsExpected)
			}
			check := r.Signature.Checks[i]
			if check.OK || check.Unknown {
				t.Errorf("not found out: %+v", check)
			}
			if all := strings.Join(r.Reasons, "\n"); !strings.Contains(all, "signature: "+check.Name+": "+check.Seen) {
				t.Errorf("reasons %q do not say %q", r.Reasons, check.Name)
			}
		})
	}
	for name := range checkers() {
		if !tried[name] {
			t.Errorf("nothing shows that the check %s can fail", name)
		}
	}
}

// What the client is told must be what was predicted, and what was expected.
func TestWrongVerdictsFail(t *testing.T) {
	for _, c := range []struct {
		name, scenario string
		spoil          func(*record.Record)
		want           string // a part of the reasons
	}{
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
		{"the client is never told", "crash", func(r *record.Record) {
			drop(r, func(e *record.Event) bool { return e.Syscall != nil && e.Syscall.Error == "ETIMEDOUT" })
		}, "told nothing"},
		{"an expectation was not met", "kill", func(r *record.Record) {
			r.Expectations[3].OK = false
		}, "within"},
		{"the client is told though nothing tells it", "crash-idle", func(r *record.Record) {
			r.Events = append(r.Events, record.Event{
				Time: r.Fault.Time + int64(time.Second), Host: "client", Source: record.Syscall, Kind: record.KindCall, Boot: 1, PID: 9,
				Syscall: &record.Call{Name: "read", FD: 3, Socket: true, Remote: "10.0.0.2:9998", Ret: -104, Error: "ECONNRESET"},
			})
		}, "predicted was that nothing tells it"},
		{"the keepalive probes take too long", "keepalive", func(r *record.Record) {
			for i := range r.Events {
				if c := r.Events[i].Syscall; c != nil && c.Error == "ETIMEDOUT" {
					r.Events[i].Time += int64(2 * time.Second)
				}
			}
		}, "after the last segment received before the fault, predicted were"},
		{"connect() takes too long", "connect-silent", func(r *record.Record) {
			for i := range r.Events {
				if c := r.Events[i].Syscall; c != nil && c.Error == "ETIMEDOUT" {
					c.Duration += int64(4 * time.Second)
				}
			}
		}, "after the call began, predicted were"},
		{"the message is not told at once", "recverr", func(r *record.Record) {
			for i := range r.Events {
				if e := &r.Events[i]; e.Time >= r.Detection.Time {
					e.Time += int64(time.Second)
				}
			}
		}, "after the write, predicted were"},
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
		{"an optional one was not met, and the fault never came", func(r *record.Record) {
			r.Expectations[0].OK, r.Expectations[0].Optional = false, true
			r.Fault = record.FaultInfo{}
		}, 0, nil, "the fault never came"},
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

// What is optional is not judged.
func TestOptionalExpectations(t *testing.T) {
	r := load(t, "kill")
	r.Expectations[3].OK, r.Expectations[3].Optional = false, true
	r.Expectations[4].OK, r.Expectations[4].Unknown, r.Expectations[4].Optional = false, true, true
	rejudge(t, r, 0, nil)
	if r.Outcome != record.AsExpected {
		t.Errorf("outcome %s: %q", r.Outcome, r.Reasons)
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
