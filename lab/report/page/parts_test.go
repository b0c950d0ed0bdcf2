package page_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report"
)

// section is the element with an id.
func section(t *testing.T, text []byte, id string) *html.Node {
	t.Helper()
	for _, n := range elements(t, text) {
		if attribute(n, "id") == id {
			return n
		}
	}
	return nil
}

// inner is the text of an element, with single spaces.
func inner(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data + " ")
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// rows are those of the tables in an element, cell by cell, without the heads.
func rows(n *html.Node) [][]string {
	var all [][]string
	for tr := range n.Descendants() {
		if tr.Data != "tr" || tr.Parent.Data != "tbody" {
			continue
		}
		var cells []string
		for td := range tr.ChildNodes() {
			cells = append(cells, inner(td))
		}
		all = append(all, cells)
	}
	return all
}

// What was sent again is put beside its prediction, whatever timer it was of.
func TestMeasured(t *testing.T) {
	all := fixtures(t)
	for scenario, want := range map[string][]string{
		"crash": {
			"tail loss probe | 0.204 to 0.208 | 0.207 | 0.207 | in the window",
			"retransmission | 0.412 to 0.416 | 0.415 | 0.208 | in the window",
			"retransmission | 0.824 to 0.856 | 0.839 | 0.424 | in the window",
			"retransmission | 1.656 to 1.688 | 1.671 | 0.832 | in the window",
			"retransmission | 3.320 to 3.352 | 3.335 | 1.664 | in the window",
			"retransmission | 6.616 to 6.872 | 6.695 | 3.360 | in the window",
			"ETIMEDOUT returned | 13.272 to 13.528 | 13.351 | 6.656 | in the window",
		},
		"keepalive": {
			"keepalive probe | 2.000 to 2.032 | 2.006 | 2.006 | in the window",
			"keepalive probe | 3.004 to 3.056 | 3.030 | 1.024 | in the window",
			"keepalive probe | 4.028 to 4.080 | 4.054 | 1.024 | in the window",
			"ETIMEDOUT returned | 5.052 to 5.104 | 5.078 | 1.024 | in the window",
		},
	} {
		var got []string
		for _, row := range rows(section(t, write(t, all[scenario]), "measured")) {
			got = append(got, strings.Join(row, " | "))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", scenario, diff)
		}
	}
	for scenario, kind := range map[string]string{
		"connect-silent": "SYN again", "syn-recv": "SYN+ACK again", "zero-window-lost": "zero window probe", "crash-lan": "retransmission",
	} {
		seen := 0
		for _, row := range rows(section(t, write(t, all[scenario]), "measured")) {
			if row[0] == kind && row[4] == "in the window" {
				seen++
			}
			if row[4] == "not predicted" {
				t.Errorf("%s: %s at %s was not predicted", scenario, row[0], row[2])
			}
		}
		if seen < 2 {
			t.Errorf("%s: %d of %s are in their windows", scenario, seen, kind)
		}
	}
	for scenario, r := range all {
		if n := section(t, write(t, r), "measured"); (n == nil) != (len(r.Prediction.Sends) == 0) {
			t.Errorf("%s: %d sendings are predicted, the section is there: %v", scenario, len(r.Prediction.Sends), n != nil)
		}
	}
}

// The drawing says where the fault struck.
func TestPlaceOfFault(t *testing.T) {
	all := fixtures(t)
	for scenario, want := range map[string]string{
		"crash":               "crash at the machine of the server, its link included",
		"failover":            "failover at the machine of the server, its link included",
		"kill":                "kill at process 13 of the server, which held the connection",
		"hang":                "hang at process 12 of the server, which held the connection",
		"shutdown":            "shutdown at every process of the server",
		"partition-to-client": "partition in the switch: nothing that comes from the server gets through",
		"unreachable-host":    "unreachable-host in the router, at what is for the server",
		"nat-expiry-reset":    "forget-flow in the router's firewall",
		"socket-destroyed":    "destroy at the connection's socket on the server",
		"syn-recv":            "partition in the switch: nothing that comes from the server gets through; crash at the machine of the client, its link included",
	} {
		n := section(t, write(t, all[scenario]), "network")
		var drawing string
		for d := range n.Descendants() {
			if d.Data == "svg" {
				drawing = attribute(d, "aria-label")
			}
		}
		if !strings.HasSuffix(drawing, "; fault: "+want) {
			t.Errorf("%s: the drawing says %q, not %q", scenario, drawing, want)
		}
		for part := range strings.SplitSeq(want, "; ") {
			if !strings.Contains(inner(n), part) {
				t.Errorf("%s: %q is not said in %q", scenario, part, inner(n))
			}
		}
	}
	// Every kind of fault that a record can hold has a place.
	kinds := map[string]bool{}
	for _, r := range all {
		kinds[r.Fault.Kind] = true
	}
	for kind := range kinds {
		r := all["crash"]
		r.Fault = record.FaultInfo{Kind: kind, Host: "server", Time: r.Fault.Time}
		said := inner(section(t, write(t, r), "network"))
		if strings.Contains(said, kind+" at the server") {
			t.Errorf("where %s strikes is not known", kind)
		}
	}
}

// A row is hidden by the boxes of all that it is of: a packet when neither of
// its hosts is wanted.
func TestFilters(t *testing.T) {
	text := write(t, fixtures(t)["failover"])
	style := styles(t, text)
	used := map[string]bool{}
	for tr := range section(t, text, "timeline").Descendants() {
		if tr.Data != "tr" || tr.Parent.Data != "tbody" {
			continue
		}
		for class := range strings.FieldsSeq(attribute(tr, "class")) {
			if strings.HasPrefix(class, "host-") || strings.HasPrefix(class, "source-") {
				used[class] = true
			}
		}
	}
	for class, want := range map[string]string{
		"host-client":                 "body:has(#f-host-client:not(:checked)) tr.host-client:not(",
		"host-client-and-host-server": "body:has(#f-host-client:not(:checked)):has(#f-host-server:not(:checked)) tr.host-client-and-host-server:not(",
		"source-syscall":              "body:has(#f-source-syscall:not(:checked)) tr.source-syscall:not(",
	} {
		if !used[class] {
			t.Errorf("no row is of %s", class)
		}
		if !strings.Contains(style, want) {
			t.Errorf("the style does not have %s", want)
		}
	}
	for class := range used {
		if !strings.Contains(style, " tr."+class+":not(:target,:has(:target)){display:none}") {
			t.Errorf("nothing hides %s", class)
		}
		for part := range strings.SplitSeq(class, "-and-") {
			if section(t, text, "f-"+part) == nil {
				t.Errorf("there is no box for %s", part)
			}
		}
	}
}

// What an expectation waited for is a link to the row that tells it.
func TestExpectationsLeadToTheirEvents(t *testing.T) {
	text := write(t, fixtures(t)["crash"])
	var leads []string
	for a := range section(t, text, "judged").Descendants() {
		if a.Data == "a" {
			target := section(t, text, attribute(a, "href")[1:])
			for target.Data != "tr" {
				target = target.Parent
			}
			leads = append(leads, inner(target))
		}
	}
	for _, want := range []string{"CLOSE -> LISTEN", "SYN_SENT -> ESTABLISHED", "client: hello", "write() = 14", "tail loss probe", "read() = ETIMEDOUT, blocked 13.4 s"} {
		if !slices.ContainsFunc(leads, func(s string) bool { return strings.Contains(s, want) }) {
			t.Errorf("nothing leads to %q, only to %q", want, leads)
		}
	}
}

// Where there was no fault none is spoken of.
func TestNoFault(t *testing.T) {
	r := *fixtures(t)["zombies"]
	r.Detection = record.Detection{Error: "EOF", Syscall: "read", Time: r.Fault.Time + 5e6, AfterFault: 5e6, AfterWrite: -1, AfterHeard: -1}
	text := write(t, &r)
	for _, id := range []string{"network", "judged", "settings"} {
		got := inner(section(t, text, id))
		for _, word := range []string{"fault struck", "fault's signature", "after the fault", "before the fault"} {
			if strings.Contains(got, word) {
				t.Errorf("%s: %q in %q", id, word, got)
			}
		}
	}
	if got := report.Measured(&r); got != "" {
		t.Errorf("a card says %q of a run that nothing was predicted of", got)
	}
}

// Of a lab by hand it is not said that its command repeats what was done in it, nor
// is there a part about expectations where nothing was judged.
func TestByHandPage(t *testing.T) {
	r := *fixtures(t)["zombies"]
	r.ByHand, r.Scenario, r.Command = true, "two", "lab up --name two"
	r.Fault, r.Detection, r.Prediction, r.Expectations, r.Signature = record.FaultInfo{}, record.Detection{}, record.Prediction{}, nil, record.Signature{}
	text := string(write(t, &r))
	for _, not := range []string{"to repeat it", `href="#judged"`, `id="judged"`, "a run of<"} {
		if strings.Contains(text, not) {
			t.Errorf("the page has %q", not)
		}
	}
	for _, want := range []string{"<title>two, by hand: recorded</title>", "to have such a lab</span>", "a recording of<"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page has no %q", want)
		}
	}
}

// A program is named once, and a host that came back is called so.
func TestWordsOfThePage(t *testing.T) {
	text := write(t, fixtures(t)["failover"])
	if got := inner(section(t, text, "programs")); strings.Contains(got, "server on the server") {
		t.Errorf("programs: %s", got)
	}
	if got := inner(section(t, text, "network")); !strings.Contains(got, "the address was answered again, by the standby") {
		t.Errorf("network: %s", got)
	}
}
