package page_test

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report/page"
)

func index(t *testing.T, entries []page.Entry, chapters []page.Chapter) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := page.Index(&b, entries, chapters); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// texts are those of the elements of a name.
func texts(t *testing.T, doc []byte, name string) []string {
	t.Helper()
	var all []string
	for _, n := range elements(t, doc) {
		if n.Data != name {
			continue
		}
		var b strings.Builder
		for d := range n.Descendants() {
			if d.Type == html.TextNode {
				b.WriteString(d.Data)
			}
		}
		all = append(all, strings.TrimSpace(b.String()))
	}
	return all
}

// Every run has its place: in its chapter, in the chapters' order, or in the
// last group; and a link to its page, if it has one.
func TestIndex(t *testing.T) {
	records := fixtures(t)
	mine := *records["crash"]
	mine.Scenario, mine.File = "kill", "kill.lab" // no built-in one, whatever its name
	entries := []page.Entry{
		{Record: &mine, Page: "odd name#1/report.html"},
		{Record: records["crash"], Gone: "the whole host", Page: "crash/report.html"},
		{Record: records["zombies"]},
		{Record: records["kill"], Page: "kill/report.html"},
	}
	doc := index(t, entries, []page.Chapter{
		{Title: "First", Text: "Look at this.", Names: []string{"kill", "crash"}},
		{Title: "Empty", Text: "Nothing.", Names: []string{"reboot"}},
	})
	if got, want := texts(t, doc, "h2"), []string{"First", "Other runs", "All in one table"}; !slices.Equal(got, want) {
		t.Errorf("headings %q, want %q", got, want)
	}
	if got, want := texts(t, doc, "h3"), []string{"kill", "crash", "kill", "zombies"}; !slices.Equal(got, want) {
		t.Errorf("runs %q, want %q", got, want)
	}
	var pages []string
	drawings := 0
	for _, n := range elements(t, doc) {
		if href := attribute(n, "href"); n.Data == "a" && !strings.HasPrefix(href, "#") && !slices.Contains(pages, href) {
			pages = append(pages, href)
		}
		if n.Data == "svg" {
			drawings++
		}
	}
	if want := []string{"kill/report.html", "crash/report.html", "odd%20name%231/report.html"}; !slices.Equal(pages, want) {
		t.Errorf("links %q, want %q", pages, want)
	}
	if drawings != 1+len(entries) {
		t.Errorf("%d drawings, want one of each of %d runs and the legend's", drawings, len(entries))
	}
	for _, want := range []string{"Look at this.", "the whole host", "read() = ETIMEDOUT", "13.4 s after the client&#39;s write", "ETIMEDOUT after 13.3 to 13.5 s"} {
		if !bytes.Contains(doc, []byte(want)) {
			t.Errorf("the index does not say %q", want)
		}
	}
}

// Runs of one scenario are told apart.
func TestIndexOfOneScenario(t *testing.T) {
	first, second := fixtures(t)["crash"], fixtures(t)["crash"]
	second.Kernel.Release = "6.1.0"
	second.Family = 6
	got := texts(t, index(t, []page.Entry{{Record: first}, {Record: second}, {Record: fixtures(t)["kill"]}}, nil), "li")
	for i, want := range []string{"switch, IPv4, Linux " + first.Kernel.Release, "switch, IPv6, Linux 6.1.0", ""} {
		cards := got[len(got)-3:] // after those of the contents
		if want != "" && !strings.Contains(cards[i], want) {
			t.Errorf("card %d does not say %q: %q", i, want, cards[i])
		}
		if want == "" && strings.Contains(cards[i], "IPv4") {
			t.Errorf("card %d tells what is the same of all: %q", i, cards[i])
		}
	}
}

// A small drawing shows what was lost, where the fault was, and where the
// client was told, in the order of time.
func TestThumb(t *testing.T) {
	doc := index(t, []page.Entry{{Record: fixtures(t)["crash"]}}, nil)
	var seen []string
	for _, n := range elements(t, doc) {
		if n.Data == "svg" {
			seen = nil // the last one is the run's
		}
		seen = append(seen, attribute(n, "class"))
	}
	where := func(class string) int { return slices.Index(seen, class) }
	crosses := 0
	for _, c := range seen {
		if c == "thumb-cross" {
			crosses++
		}
	}
	if crosses != 7 { // the line, its tail loss probe, and five retransmissions
		t.Errorf("%d crosses in %q", crosses, seen)
	}
	if !(0 < where("thumb-arrow") && where("thumb-arrow") < where("thumb-fault") && where("thumb-fault") < where("thumb-cross") && where("thumb-cross") < where("thumb-told")) {
		t.Errorf("the order of what is drawn: %q", seen)
	}
	if where("thumb-life gone") < 0 {
		t.Error("the dead host's line goes on")
	}
}

// Of many segments the middle is left out, and the drawing stays in its frame.
func TestThumbOfMany(t *testing.T) {
	r := *fixtures(t)["crash"]
	r.Events = slices.Clone(r.Events)
	for i := range 5000 {
		r.Events = append(r.Events, record.Event{Time: r.Duration + int64(i), Host: "client", Source: record.Wire, Kind: record.KindOut, Packet: &record.Packet{
			Proto: "tcp", Src: "10.0.0.1:1", Dst: fmt.Sprintf("10.0.0.2:%d", i), Flags: record.FlagSYN, Fate: record.FateLost,
		}})
	}
	doc := index(t, []page.Entry{{Record: &r}}, nil)
	arrows, left := 0, 0
	for _, n := range elements(t, doc) {
		switch class := attribute(n, "class"); {
		case class == "thumb-cross":
			arrows++
		case class == "thumb-left":
			left++
		}
	}
	if arrows > 50 || left == 0 || len(doc) > 100_000 {
		t.Errorf("%d lost segments drawn, %d signs of what is left out, %d octets", arrows, left, len(doc))
	}
}

// Whatever a record says is text.
func TestIndexIsHarmless(t *testing.T) {
	r := *fixtures(t)["crash"]
	evil := "</script><img src=x onerror=alert(1)>\x1b[2J\xff\u202e\"'"
	r.Scenario, r.Title, r.Path, r.Command = evil, evil, evil, evil
	r.Outcome, r.Kernel.Release, r.Fault.Kind = record.Outcome(evil), evil, evil
	r.Detection.Error, r.Detection.Syscall, r.Prediction.Error = evil, evil, evil
	doc := index(t, []page.Entry{{Record: &r, Gone: evil, Page: "javascript:alert(1)"}}, nil)
	allowed := maps.Collect(func(yield func(string, bool) bool) {
		for _, n := range elements(t, index(t, []page.Entry{{Record: fixtures(t)["crash"], Page: "x"}}, nil)) {
			if !yield(n.Data, true) {
				return
			}
		}
	})
	for _, n := range elements(t, doc) {
		if !allowed[n.Data] {
			t.Errorf("an element %s", n.Data)
		}
		for _, a := range n.Attr {
			if strings.HasPrefix(a.Key, "on") || a.Key == "src" || strings.HasPrefix(a.Val, "javascript:") {
				t.Errorf("an attribute %s=%q of %s", a.Key, a.Val, n.Data)
			}
		}
	}
}

// A card tells what the client was told after the end, and the legend has every
// sign.
func TestIndexTellsTheRest(t *testing.T) {
	r := *fixtures(t)["kill"]
	r.Events = append(slices.Clone(r.Events), record.Event{
		Time: r.Detection.Time + 1000, Host: r.Detection.Host, PID: r.Detection.PID, Source: record.Syscall, Kind: record.KindCall,
		Syscall: &record.Call{Name: "write", Error: "ENOTCONN", Socket: true},
	})
	doc := index(t, []page.Entry{{Record: &r}}, nil)
	if !bytes.Contains(doc, []byte("write() = ENOTCONN")) {
		t.Error("the card does not tell of the write that failed")
	}
	var legend string
	for _, n := range elements(t, doc) {
		if n.Data == "div" && attribute(n, "class") == "legend" {
			for d := range n.Descendants() {
				legend += " " + attribute(d, "class") + ";"
			}
		}
	}
	for _, sign := range []string{"thumb-arrow rst;", "thumb-arrow other;", "thumb-arrow lost;", "thumb-cross;", "thumb-fault;", "thumb-fault part;", "thumb-told;", "thumb-life gone;"} {
		if !strings.Contains(legend, " "+sign) {
			t.Errorf("the legend does not show %s", sign)
		}
	}
}
