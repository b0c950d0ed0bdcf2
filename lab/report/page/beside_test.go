package page_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/seed-6fefc909/tcplab/lab/report/page"
)

// What differs is a row, what is the same is folded, and both ladders are there.
func TestBeside(t *testing.T) {
	records := fixtures(t)
	var b bytes.Buffer
	if err := page.Diff(&b, records["crash"], records["crash-lan"]); err != nil {
		t.Fatal(err)
	}
	doc := b.Bytes()
	rows := texts(t, doc, "tr")
	for _, want := range []string{"toldETIMEDOUTEHOSTUNREACH", "a dead host's addressanswerednot answered"} {
		if !slices.Contains(rows, want) {
			t.Errorf("no row %q in %q", want, rows)
		}
	}
	drawings, folded := 0, 0
	for _, n := range elements(t, doc) {
		switch {
		case n.Data == "svg":
			drawings++
		case n.Data == "details":
			folded++
		}
	}
	if drawings != 2 || folded == 0 {
		t.Errorf("%d drawings, want 2; %d groups with something that is the same", drawings, folded)
	}
	if !bytes.Contains(doc, []byte("These are two scenarios")) {
		t.Error("it is not said that these are two scenarios")
	}
}

func TestBesideIsHarmless(t *testing.T) {
	r := fixtures(t)["kill"]
	var good, bad bytes.Buffer
	if err := page.Diff(&good, fixtures(t)["crash"], r); err != nil {
		t.Fatal(err)
	}
	evil := "</td></table><img src=x onerror=alert(1)>"
	r.Scenario, r.Command, r.Path, r.Kernel.Release, r.Detection.Error = evil, evil, evil, evil, evil
	r.Signature.Checks[0].Name, r.Signature.Checks[0].Seen = evil, evil
	if err := page.Diff(&bad, fixtures(t)["crash"], r); err != nil {
		t.Fatal(err)
	}
	allowed := map[string]bool{}
	for _, n := range elements(t, good.Bytes()) {
		allowed[n.Data] = true
	}
	for _, n := range elements(t, bad.Bytes()) {
		if !allowed[n.Data] || attribute(n, "onerror") != "" {
			t.Errorf("an element %s %v", n.Data, n.Attr)
		}
	}
}
