package report_test

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report"
)

// junitForm is what Jenkins' junit-10.xsd allows of the elements that are
// used: whose children they may be, and their attributes.
var junitForm = map[string]struct {
	in       []string
	required []string
	optional []string
	text     bool
}{
	"testsuites": {in: []string{""}, optional: []string{"name", "time", "tests", "failures", "errors"}},
	"testsuite": {
		in: []string{"testsuites"}, required: []string{"name", "tests", "failures", "errors"},
		optional: []string{"time", "skipped", "timestamp", "hostname", "id", "package", "file"},
	},
	"testcase":   {in: []string{"testsuite"}, required: []string{"name"}, optional: []string{"time", "classname", "group"}},
	"failure":    {in: []string{"testcase"}, optional: []string{"type", "message"}, text: true},
	"error":      {in: []string{"testcase"}, optional: []string{"type", "message"}, text: true},
	"skipped":    {in: []string{"testcase"}, optional: []string{"type", "message"}, text: true},
	"system-out": {in: []string{"testcase", "testsuite"}, text: true},
}

// attributeForm is how values are written: SUREFIRE_TIME of that schema, and
// what GitLab and Jenkins read as a number or a time.
var attributeForm = map[string]*regexp.Regexp{
	"time": regexp.MustCompile(`^\d+\.\d{3}$`), "tests": regexp.MustCompile(`^\d+$`),
	"failures": regexp.MustCompile(`^\d+$`), "errors": regexp.MustCompile(`^\d+$`), "skipped": regexp.MustCompile(`^0$`),
	"timestamp": regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$`),
}

// A junitCase is what a reader makes of a test case.
type junitCase struct {
	name, outcome, message, text, out string
}

// readJUnit holds a document against the form, and returns its cases.
func readJUnit(t *testing.T, doc []byte) []junitCase {
	t.Helper()
	if !utf8.Valid(doc) {
		t.Fatal("not UTF-8")
	}
	for _, c := range string(doc) {
		// Char of XML 1.0, without the C1 controls that it discourages.
		if c != '\n' && c < ' ' || c >= 0x7f && c < 0xa0 || c == 0xfffe || c == 0xffff {
			t.Fatalf("the document contains %q", c)
		}
	}
	var cases []junitCase
	var open []string
	counted, said := map[string]int{}, map[string]int{}
	in := xml.NewDecoder(bytes.NewReader(doc))
	for {
		token, err := in.Token()
		if err == io.EOF {
			break
		} else if err != nil {
			t.Fatalf("not well formed: %v", err)
		}
		parent := ""
		if len(open) > 0 {
			parent = open[len(open)-1]
		}
		switch token := token.(type) {
		case xml.StartElement:
			name := token.Name.Local
			form, known := junitForm[name]
			if !known || !slices.Contains(form.in, parent) {
				t.Fatalf("element %q in %q", name, parent)
			}
			attrs := map[string]string{}
			for _, a := range token.Attr {
				if !slices.Contains(append(form.required, form.optional...), a.Name.Local) {
					t.Errorf("%s has the attribute %q", name, a.Name.Local)
				}
				if form := attributeForm[a.Name.Local]; form != nil && !form.MatchString(a.Value) {
					t.Errorf("%s %s=%q", name, a.Name.Local, a.Value)
				}
				attrs[a.Name.Local] = a.Value
			}
			for _, a := range form.required {
				if _, is := attrs[a]; !is {
					t.Errorf("%s lacks the attribute %q", name, a)
				}
			}
			switch name {
			case "testsuite":
				for _, n := range []string{"tests", "failures", "errors"} {
					said[n], _ = strconv.Atoi(attrs[n])
				}
			case "testcase":
				counted["tests"]++
				cases = append(cases, junitCase{name: attrs["name"], outcome: "passed"})
			case "failure", "error":
				counted[name+"s"]++
				c := &cases[len(cases)-1]
				if c.outcome != "passed" {
					t.Errorf("%s is %s, and %s", c.name, c.outcome, name)
				}
				c.outcome, c.message = name, attrs["message"]
			}
			open = append(open, name)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			switch {
			case parent == "failure" || parent == "error":
				cases[len(cases)-1].text += string(token)
			case parent == "system-out":
				cases[len(cases)-1].out += string(token)
			case strings.TrimSpace(string(token)) != "":
				t.Errorf("text %.40q in %q", token, parent)
			}
		}
	}
	for _, n := range []string{"tests", "failures", "errors"} {
		if said[n] != counted[n] {
			t.Errorf("%s=%d, but there are %d", n, said[n], counted[n])
		}
	}
	return cases
}

func junit(t *testing.T, records ...*record.Record) []junitCase {
	t.Helper()
	var b bytes.Buffer
	if err := report.JUnit(&b, records); err != nil {
		t.Fatal(err)
	}
	if most := (len(records) + 1) << 20; b.Len() > most {
		t.Errorf("%d octets for %d records", b.Len(), len(records))
	}
	return readJUnit(t, b.Bytes())
}

// wrong is a record of a run that was not as expected.
func wrong(t *testing.T) *record.Record {
	r := load(t, "crash")
	r.Outcome, r.Reasons = record.NotAsExpected, []string{"crash.lab:25: expect -told client read() = EOF: seen instead: read() = ETIMEDOUT", "second"}
	for i := range r.Expectations {
		if x := &r.Expectations[i]; x.Place == "crash.lab:25" {
			x.What, x.OK = "expect -told client read() = EOF", false
		}
	}
	return r
}

func TestJUnit(t *testing.T) {
	unsure := load(t, "reboot")
	unsure.Outcome, unsure.Reasons = record.Inconclusive, []string{"the observers lost 3 events"}
	six := load(t, "kill")
	six.Family, six.Timers, six.Command = 6, "real", "lab run kill --path direct --family 6 --real"
	own := load(t, "kill")
	own.Command = `lab run kill --server './srv --path /data -m '\''it'\''s' --when 'output:at it' --expect EOF`
	got := junit(t, load(t, "kill"), wrong(t), unsure, six, six, own)
	var brief []string
	for _, c := range got {
		brief = append(brief, c.outcome+": "+c.name)
		if !strings.Contains(c.out, "verdict   ") || !strings.Contains(c.out, "\nrepeat    sudo lab run ") {
			t.Errorf("%s says:\n%s", c.name, c.out)
		}
	}
	want := []string{
		"passed: kill", "failure: crash", "error: reboot",
		"passed: kill (IPv6, path direct, real timers)", "passed: kill (IPv6, path direct, real timers) #2",
		"passed: kill (when output:at it)",
	}
	if diff := cmp.Diff(want, brief); diff != "" {
		t.Errorf("cases (-want +got):\n%s", diff)
	}
	failure := got[1]
	if failure.message != "crash.lab:25: expect -told client read() = EOF: seen instead: read() = ETIMEDOUT" {
		t.Errorf("message %q", failure.message)
	}
	for _, want := range []string{
		"- second\n",
		"expected  expect -told client read() = EOF, at crash.lab:25, within 30.0 s\nactual    read() = ETIMEDOUT\n",
		"    time (s)   client ", "         ...\n",
		"13.356380   read() = ETIMEDOUT, blocked 13.4 s\n", // what decided,
		"13.356362   socket error ETIMEDOUT\n",             // and its neighbours
		"13.356624   echo-client[7] exit 1\n",
	} {
		if !strings.Contains(failure.text, want) {
			t.Errorf("the failure does not say %q:\n%s", want, failure.text)
		}
	}
	if strings.Contains(failure.text, "SYN") {
		t.Errorf("the failure tells the beginning:\n%s", failure.text)
	}
	if got[2].message != "the observers lost 3 events" {
		t.Errorf("message %q", got[2].message)
	}
}

// Nothing but as-expected is green, whatever a record calls it.
func TestJUnitIsNeverGreenByDefault(t *testing.T) {
	for _, outcome := range []record.Outcome{"", record.Inconclusive, "passed", record.NotAsExpected} {
		r := load(t, "kill")
		r.Outcome = outcome
		if got := junit(t, r)[0].outcome; got == "passed" {
			t.Errorf("outcome %q is %s", outcome, got)
		}
	}
	if got := junit(t, &record.Record{}); len(got) != 1 || got[0].outcome != "error" {
		t.Errorf("an empty record is %+v", got)
	}
}

func TestJUnitOfNothing(t *testing.T) {
	if got := junit(t); len(got) != 0 {
		t.Errorf("cases %v", got)
	}
}

// hostile is what XML cannot hold, what would end an element, and what is no
// UTF-8.
const hostile = "\x00\x01\x1b[31m]]>&amp;<!--</failure></system-out>\"'\r\n\t\ufffe\uffff\xff\xc3\u0085\u202e"

// spoil puts a text wherever a record has one.
func spoil(r *record.Record, text string) {
	r.Scenario, r.Title, r.Command, r.Started, r.Path = text, text, "lab run x --path "+text, text, text
	r.Reasons, r.Why, r.Next = []string{text, text}, []string{text}, []string{text}
	r.Prediction.Why, r.Detection.Syscall, r.Detection.Error = text, text, text
	for i := range r.Expectations {
		x := &r.Expectations[i]
		x.What, x.Place, x.Actual, x.OK = text, text, text, false
	}
	for i := range r.Signature.Checks {
		c := &r.Signature.Checks[i]
		c.Name, c.Seen, c.OK, c.Unknown = text, text, false, i%2 == 0
	}
	r.Missing = []record.Missing{{Observer: text, Why: text, Cost: text}}
	for i := range r.Events {
		e := &r.Events[i]
		e.Text, e.Comm = text, text
		if e.Host != "client" {
			e.Host = text
		}
		if e.Process != nil {
			e.Process.Argv, e.Process.Signal = []string{text}, text
		}
		if e.Syscall != nil {
			e.Syscall.Arg, e.Syscall.Error = text, text
		}
		for i := range e.Sockets {
			e.Sockets[i].Local, e.Sockets[i].State = text, text
		}
	}
}

func TestJUnitOfHostileRecords(t *testing.T) {
	for _, text := range []string{hostile, strings.Repeat(hostile, 1000), strings.Repeat("long words ", 1000), strings.Repeat("\n", 10000)} {
		for _, outcome := range []record.Outcome{record.AsExpected, record.NotAsExpected, record.Inconclusive, record.Outcome(text)} {
			t.Run(fmt.Sprintf("%.9q", outcome), func(t *testing.T) {
				r := load(t, "unreachable-host")
				spoil(r, text)
				r.Outcome, r.Duration = outcome, -1
				got := junit(t, r, r)
				if len(got) != 2 || got[0].name == got[1].name {
					t.Errorf("%d cases", len(got))
				}
			})
		}
	}
}

// A program that says megabytes does not fill a CI system's disk.
func TestJUnitIsBounded(t *testing.T) {
	r := wrong(t)
	for i := range r.Events {
		if e := &r.Events[i]; e.Source == record.Output {
			e.Text = strings.Repeat("\x1b", 4<<20)
		}
	}
	r.Reasons = slices.Repeat([]string{strings.Repeat("why ", 1<<18)}, 20)
	if c := junit(t, r)[0]; !strings.Contains(c.text, "octets more)") || len(c.text) > 256<<10 || len(c.message) > 2<<10 {
		t.Errorf("text of %d octets, message of %d", len(c.text), len(c.message))
	}
}

func FuzzJUnit(f *testing.F) {
	f.Add("words")
	f.Add(hostile)
	f.Fuzz(func(t *testing.T, text string) {
		r := load(t, "kill")
		spoil(r, text)
		r.Outcome = record.NotAsExpected
		junit(t, r)
	})
}
