package report_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/seed-6fefc909/tcplab/internal/testenv"
	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report"
)

func diff(t *testing.T, a, b *record.Record, width int) string {
	t.Helper()
	var out bytes.Buffer
	if err := report.Diff(&out, a, b, report.Screen{Width: width}); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// Two real records, looked at by a person once.
func TestDiff(t *testing.T) {
	for _, pair := range [][2]string{{"crash", "crash-lan"}, {"kill", "keepalive"}} {
		t.Run(pair[0]+" "+pair[1], func(t *testing.T) {
			golden(t, "diff-"+pair[0]+"-"+pair[1]+".txt", diff(t, load(t, pair[0]), load(t, pair[1]), 0))
		})
	}
}

// The example of docs/reports.md is what lab diff prints.
func TestDiffPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/reports.md")
	if errors.Is(err, fs.ErrPermission) {
		testenv.Lack(t, "needs to read the page: %v", err) // the clone is another user's
	}
	if err != nil {
		t.Fatal(err)
	}
	if got := diff(t, load(t, "crash"), load(t, "crash-lan"), 0); !strings.Contains(string(page), "```\n"+got+"```\n") {
		t.Errorf("docs/reports.md does not have\n%s", got)
	}
}

// A comparison fits the terminal, whatever is compared.
func TestDiffFits(t *testing.T) {
	names := []string{"kill", "crash", "unreachable-host", "zero-window", "zombies", "connect-silent", "partition-to-client", "failover"}
	for _, width := range []int{60, 80, 200} {
		for _, a := range names {
			for _, b := range names {
				for line := range strings.Lines(diff(t, load(t, a), load(t, b), width)) {
					line = strings.TrimSuffix(line, "\n")
					if n := utf8.RuneCountInString(line); n > width || strings.HasSuffix(line, " ") {
						t.Errorf("%s and %s in %d columns: %d in %q", a, b, width, n, line)
					}
				}
			}
		}
	}
}

// Of what is the same nothing is shown twice.
func TestDiffOfOne(t *testing.T) {
	got := diff(t, load(t, "crash"), load(t, "crash"), 0)
	if !strings.Contains(got, "agree; 0 differences in all.\n") {
		t.Errorf("text:\n%s", got)
	}
	for line := range strings.Lines(got) {
		if strings.HasPrefix(line, "  ") && !strings.HasPrefix(line, "   ") && !strings.HasPrefix(line, "  the same: ") {
			t.Errorf("a row of a difference: %q", line)
		}
	}
}

func TestDiffSays(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(r *record.Record)
		want   string
	}{
		{"kernel", func(r *record.Record) { r.Kernel.Release = "6.1.0" }, "  kernel                  6.18.44-fc-v509             6.1.0\n"},
		{"sysctl", func(r *record.Record) { r.Sysctls["client"]["net.ipv4.tcp_retries2"] = "3" }, "  client                  5                           3\n  net.ipv4.tcp_retries2\n"},
		{"error", func(r *record.Record) { r.Detection.Error = "EOF" }, "  told                    ETIMEDOUT                   EOF\n"},
		{"sooner", func(r *record.Record) { r.Detection.AfterWrite = 3e9 }, "  after the client's      13.4 s                      3.00 s, 10.4 s sooner\n"},
		{"not told", func(r *record.Record) { r.Detection = record.Detection{} }, "  told                    ETIMEDOUT                   nothing\n"},
		{"not known", func(r *record.Record) {
			r.Detection = record.Detection{}
			r.Missing = []record.Missing{{Observer: "ebpf"}}
		}, "  told                    ETIMEDOUT                   not known\n"},
		{"packets not seen", func(r *record.Record) { r.Missing = []record.Missing{{Observer: "wire"}} }, "  by the client           6                           not known\n"},
		{"no check", func(r *record.Record) { r.Signature.Checks = r.Signature.Checks[1:] }, "not checked\n"},
		{"action", func(r *record.Record) {
			r.Actions = []record.Action{{Kind: record.ActExit, What: "exit 1", AfterFault: 2e9}}
		}, "  ended                   no                          exit 1\n"},
		{"option", func(r *record.Record) {
			r.Connections = []record.Connection{{Options: []string{"TCP_USER_TIMEOUT=3s"}}}
		}, "TCP_USER_TIMEOUT=3s\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := load(t, "crash")
			c.change(b)
			if got := diff(t, load(t, "crash"), b, 0); !strings.Contains(got, c.want) {
				t.Errorf("want %q in\n%s", c.want, got)
			}
		})
	}
}

func TestDiffIsHarmless(t *testing.T) {
	r := load(t, "crash")
	hostile := "\x1b[2J\u009b31m\r\n"
	r.Command, r.Scenario, r.Started, r.Kernel.Release = hostile, hostile, hostile, hostile
	r.Reasons = []string{hostile}
	r.Detection.Error = hostile
	r.Sysctls["client"][hostile] = hostile
	r.Connections = []record.Connection{{Options: []string{hostile}}}
	r.Signature.Checks[0] = record.Check{Name: hostile, Seen: hostile}
	r.Demand = &record.Demand{Client: []string{hostile}, When: hostile, Expect: hostile}
	for _, c := range diff(t, load(t, "crash"), r, 0) + diff(t, r, r, 0) {
		if c != '\n' && c < ' ' || c == 0x7f || c >= 0x80 && c < 0xa0 {
			t.Fatalf("the text contains the control character %q", c)
		}
	}
}

func TestAgree(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(r *record.Record)
		want   bool
	}{
		{"the same", func(*record.Record) {}, true},
		{"another time", func(r *record.Record) { r.Detection.AfterFault *= 2 }, true},
		{"another kernel", func(r *record.Record) { r.Kernel.Release = "6.1" }, true},
		{"another outcome", func(r *record.Record) { r.Outcome = record.Inconclusive }, false},
		{"another error", func(r *record.Record) { r.Detection.Error = "EOF" }, false},
		{"a retransmission that did not go out", removeRepeat, true},
		{"a retransmission less", func(r *record.Record) {
			removeRepeat(r)
			i := slices.IndexFunc(r.Events, func(e record.Event) bool { return e.Kind == record.KindTLP })
			r.Events = slices.Delete(r.Events, i, i+1)
		}, false},
		{"a retransmission less, of those that went out", func(r *record.Record) {
			i := slices.IndexFunc(r.Events, func(e record.Event) bool { return e.Kind == record.KindRetransmit })
			r.Events = slices.Delete(r.Events, i, i+1)
			removeRepeat(r)
		}, false},
		{"the kernel not heard", func(r *record.Record) {
			r.Missing = []record.Missing{{Observer: "ebpf:tcp_retransmit_skb"}}
			r.Events = slices.DeleteFunc(r.Events, func(e record.Event) bool { return e.Kind == record.KindTLP || e.Kind == record.KindRetransmit })
		}, true},
		{"no packets seen", func(r *record.Record) { r.Missing = []record.Missing{{Observer: "wire"}} }, false},
		{"an excerpt", func(r *record.Record) { r.LeftOut = 1 }, false},
		{"no calls seen, and nothing told", func(r *record.Record) {
			r.Detection, r.Missing = record.Detection{}, []record.Missing{{Observer: "ebpf"}}
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := load(t, "crash")
			c.change(b)
			if got := report.Compare(load(t, "crash"), b).Agree(); got != c.want {
				t.Errorf("agree: %v, want %v", got, c.want)
			}
		})
	}
}

// removeRepeat takes the first packet out that was sent again, the tail loss
// probe.
func removeRepeat(r *record.Record) {
	var streams record.Streams
	for i := range r.Events {
		if streams.Classify(&r.Events[i]) == record.SentAgain {
			r.Events = slices.Delete(r.Events, i, i+1)
			return
		}
	}
}

// The comparison says what differs, and what is not known.
func TestDiffSum(t *testing.T) {
	for _, c := range []struct {
		change func(r *record.Record)
		want   string
	}{
		{func(r *record.Record) { r.Detection.Error = "EOF" }, "\nError differs; 1 difference in all.\n"},
		{func(r *record.Record) { r.Outcome, r.Detection.Error = record.Inconclusive, "EOF" }, "\nOutcome and error differ; "},
		{func(r *record.Record) {
			r.Outcome, r.Missing = record.Inconclusive, []record.Missing{{Observer: "wire"}}
		}, "\nOutcome differs, number of retransmissions is not known; "},
	} {
		b := load(t, "crash")
		c.change(b)
		if got := diff(t, load(t, "crash"), b, 0); !strings.Contains(got, c.want) {
			t.Errorf("want %q in\n%s", c.want, got)
		}
	}
}

// Where no address was resolved, some attempts did not go out: they count, too.
func TestRepeatsThatDidNotGoOut(t *testing.T) {
	all, ok := report.RepeatsOf(load(t, "crash-lan"))
	if !ok || len(all) != 1 || len(all[0].Times) != 7 || all[0].Sent != 5 {
		t.Errorf("repeats: %+v, %v", all, ok)
	}
}

// How many attempts there are where some cannot go out is chance.
func TestAttemptsByChance(t *testing.T) {
	b := load(t, "crash-lan")
	last := slices.IndexFunc(b.Events, func(e record.Event) bool { return e.Kind == record.KindRetransmit && e.TCP.Retransmits == 6 })
	b.Events = slices.Delete(b.Events, last, last+1)
	if !report.Compare(load(t, "crash-lan"), b).Agree() {
		t.Error("they do not agree")
	}
	if got := diff(t, load(t, "crash-lan"), b, 0); !strings.Contains(got, "  by the client           7                           6\n") || !strings.Contains(got, "\nOutcome and error agree, and the number of retransmissions hung on when an\naddress was asked for; ") {
		t.Errorf("text:\n%s", got)
	}
}

// What is sent again counts from the first new segment after the fault.
func TestRepeatsOf(t *testing.T) {
	all, ok := report.RepeatsOf(load(t, "crash"))
	if !ok || len(all) != 1 || all[0].Host != "client" || len(all[0].Times) != 6 || all[0].From != "the first segment after the fault" {
		t.Fatalf("repeats: %+v, %v", all, ok)
	}
	if first := all[0].Times[0]; first < 200e6 || first > 210e6 { // the tail loss probe
		t.Errorf("the first is sent after %s", record.Span(first))
	}
	all, ok = report.RepeatsOf(load(t, "keepalive"))
	if !ok || len(all) != 1 || len(all[0].Times) != 3 || all[0].From != "the fault" {
		t.Errorf("probes: %+v, %v", all, ok)
	}
	r := load(t, "crash")
	r.Fault.Kind = ""
	if all, ok = report.RepeatsOf(r); ok {
		t.Errorf("without a fault: %+v", all)
	}
}
