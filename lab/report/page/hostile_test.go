package page_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report/page"
)

// replace puts another text in the place of every text of a record, but for
// fields of some names.
func replace(v reflect.Value, with string, keep []string) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(with)
	case reflect.Pointer:
		if !v.IsNil() {
			replace(v.Elem(), with, keep)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if !slices.Contains(keep, v.Type().Field(i).Name) {
				replace(v.Field(i), with, keep)
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			replace(v.Index(i), with, keep)
		}
	case reflect.Map:
		whole := reflect.MakeMap(v.Type())
		for _, key := range v.MapKeys() {
			value := reflect.New(v.Type().Elem()).Elem()
			value.Set(v.MapIndex(key))
			replace(value, with, keep)
			whole.SetMapIndex(reflect.ValueOf(with+key.String()), value)
		}
		v.Set(whole)
	}
}

// form is a page without its texts: elements with the names of their
// attributes. In a drawing a text has as many lines as it needs.
func form(t *testing.T, text []byte) []string {
	t.Helper()
	var all []string
	for _, n := range elements(t, text) {
		s := n.Data
		for _, a := range n.Attr {
			s += " " + a.Key
		}
		if n.Namespace == "svg" && (s == "text class x y" || s == "text class transform") {
			continue
		}
		all = append(all, s)
	}
	return all
}

// What programs and packets say never becomes an element or an attribute, and
// nothing that is not seen gets onto the page.
func TestHostileTextIsText(t *testing.T) {
	always := []string{"Schema", "Outcome", "Source"}
	for name, keep := range map[string][]string{
		"what programs say": append(always, "Kind", "Host", "Proto", "Src", "Dst", "Local", "Remote", "Fate", "From", "To", "Model", "Error", "MAC", "SrcMAC", "Address", "Path"),
		"all of it":         append(always, "Fate"),
	} {
		for _, hostile := range []string{
			`</script><script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `'><svg onload=alert(1)>`, `</title></style><b>`, `{{.}}`, `javascript:alert(1)`, "--><!--",
			"\x1b[2J\x1b]0;owned\x07", "\xff\xfe\xc0\x80", "\u202egnp.exe\u2066", "a\x00b\r\n", "\u009b31m", "'}body{display:none}*{a:'",
		} {
			t.Run(name+"/"+fmt.Sprintf("%q", hostile), func(t *testing.T) {
				pages := [2][]byte{}
				for i, with := range []string{"x x x", hostile} {
					r := fixtures(t)["failover"]
					r.Missing = []record.Missing{{}}
					r.Reasons = []string{""}
					r.Connections = []record.Connection{{Options: []string{""}}}
					r.Demand = &record.Demand{}
					r.Actions = []record.Action{{}}
					replace(reflect.ValueOf(r), with, keep)
					var b bytes.Buffer
					if err := page.Write(&b, r, page.Options{Claims: []page.Claim{
						{ID: with, Says: with, Status: with, Seen: with, Why: with}, {ID: with, Says: with, Needs: []string{with}},
					}}); err != nil {
						t.Fatal(err)
					}
					pages[i] = b.Bytes()
				}
				if diff := cmp.Diff(form(t, pages[0]), form(t, pages[1])); diff != "" {
					t.Errorf("the text changed the form of the page (-harmless +hostile):\n%s", diff)
				}
				if !utf8.Valid(pages[1]) {
					t.Error("the page is no UTF-8")
				}
				for _, c := range string(pages[1]) {
					if c != '\n' && c < ' ' || c >= 0x7f && c < 0xa0 || c == '\u202e' || c == '\u2066' {
						t.Fatalf("the page contains %q", c)
					}
				}
				if bytes.Contains(pages[1], []byte("}body{display:none}")) && strings.Contains(styles(t, pages[1]), "body{display:none}") {
					t.Error("the text got into a style")
				}
			})
		}
	}
}

// styles are the style sheets of a page.
func styles(t *testing.T, text []byte) string {
	t.Helper()
	var all string
	for _, n := range elements(t, text) {
		if n.Data == "style" {
			all += n.FirstChild.Data
		}
	}
	return all
}

// Of much output the beginning is shown, with how much there was.
func TestHugeOutputIsBounded(t *testing.T) {
	r := fixtures(t)["crash"]
	line := func(at int64, text string) {
		r.Events = append(r.Events, record.Event{Time: at, Host: "client", Source: record.Output, Kind: record.KindStdout, PID: 7, Comm: "client", Text: text})
	}
	line(r.Duration, strings.Repeat("ä", 1<<20))
	for i := range 5000 {
		line(r.Duration+int64(i), fmt.Sprint("line ", i))
	}
	text := write(t, r)
	if len(text) > 300_000 {
		t.Errorf("%d octets", len(text))
	}
	for _, want := range []string{"the record has 2,097,152 octets)", "more lines are not shown"} {
		if !bytes.Contains(text, []byte(want)) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if bytes.Contains(text, []byte("line 4000<")) {
		t.Error("all lines are shown with the program")
	}
}

// busy is a run of so many segments, each of other data, some of them lost.
func busy(r *record.Record, segments int) {
	rng := rand.New(rand.NewPCG(1, 2))
	begin := r.Duration
	for i := range segments {
		at := begin + int64(i)*50_000 + rng.Int64N(20_000)
		p := record.Packet{
			Proto: "tcp", Src: "10.0.0.1:42158", Dst: "10.0.0.2:9998", Flags: record.FlagACK | record.FlagPSH,
			Seq: rng.Uint32(), Ack: rng.Uint32(), Len: 1 + rng.IntN(1448), Window: rng.IntN(65536), Fate: record.FateArrived, Transit: 10_000, SrcMAC: "02:00:00:00:00:01",
		}
		if i%997 == 0 {
			p.Fate, p.Transit = record.FateLost, 0
		}
		in := p
		in.Fate, in.Transit = "", 0
		r.Events = append(r.Events, record.Event{Time: at, Host: "client", Source: record.Wire, Kind: record.KindOut, Boot: 1, Packet: &p})
		if p.Fate == record.FateArrived {
			r.Events = append(r.Events, record.Event{Time: at + 10_000, Host: "server", Source: record.Wire, Kind: record.KindIn, Boot: 1, Packet: &in})
		}
		r.Events = append(r.Events, record.Event{Time: at + 11_000, Host: "client", Source: record.Syscall, Kind: record.KindCall, PID: 7, Comm: "c", Boot: 1, Syscall: &record.Call{
			Name: "write", FD: 5, Ret: int64(p.Len), Duration: rng.Int64N(30_000), Socket: true, Data: fmt.Sprint(rng.Uint64()),
		}})
	}
	r.Duration = begin + int64(segments+1)*50_000
	record.Sort(r.Events)
}

// A run of 100,000 packets fits into 2 MB, with an excerpt of its record that
// says of itself that it is one.
func TestManyPackets(t *testing.T) {
	r := fixtures(t)["crash"]
	busy(r, 100_000)
	text := write(t, r)
	if len(text) > 2_000_000 {
		t.Errorf("%d octets, more than 2 MB", len(text))
	}
	short, err := page.Read(text)
	if err != nil {
		t.Fatal(err)
	}
	if short.LeftOut == 0 || short.LeftOut+len(short.Events) != len(r.Events) {
		t.Errorf("%d events, of which %d are left out and %d are not", len(r.Events), short.LeftOut, len(short.Events))
	}
	if !bytes.Contains(text, []byte("<b>An excerpt:</b>")) {
		t.Error("the page does not say that its copy is an excerpt")
	}
	again := write(t, short)
	back, err := page.Read(again)
	if err != nil {
		t.Fatal(err)
	}
	if back.LeftOut != short.LeftOut {
		t.Errorf("the page of an excerpt carries one that lacks %d events, not %d", back.LeftOut, short.LeftOut)
	}
	if !bytes.Contains(again, []byte("<b>An excerpt:</b>")) {
		t.Error("the page of an excerpt does not say that it is one")
	}
}

// noise is a text of so many octets that does not get much smaller packed.
func noise(n int) string {
	text := make([]byte, n)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range text {
		text[i] = byte('!' + rng.IntN(90))
	}
	return string(text)
}

// What is too large even without its long stretches is not carried at all.
func TestTooLarge(t *testing.T) {
	r := fixtures(t)["crash"]
	r.Title = noise(3 << 20)
	text := write(t, r)
	if len(text) > 300_000 {
		t.Errorf("%d octets", len(text))
	}
	if _, err := page.Read(text); err == nil {
		t.Error("it carries a record")
	}
}
