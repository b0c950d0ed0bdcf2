package report

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// JUnit writes runs as a suite of test cases, in the XML that CI systems read.
// There is no standard; this is what Jenkins' junit-10.xsd allows and GitLab
// and GitHub's reporters understand. What is inconclusive is an error and
// never skipped, which some of them show in green.
//
// Whatever the records hold, the result is well formed and its size bounded by
// their number.
func JUnit(w io.Writer, records []*record.Record) error {
	suite := junitSuite{Name: "lab", Tests: len(records), Timestamp: started(records)}
	var total int64
	names := map[string]int{}
	for _, r := range records {
		c := junitCase{Class: "lab", Name: caseName(r), Out: &junitText{outcomePage(r)}}
		// Of cases with the same name GitLab shows the first only.
		if names[c.Name]++; names[c.Name] > 1 {
			c.Name += fmt.Sprintf(" #%d", names[c.Name])
		}
		took := max(r.Duration, 0)
		total += took
		c.Time = junitTime(took)
		switch r.Outcome {
		case record.AsExpected:
		case record.NotAsExpected:
			suite.Failures++
			c.Failure = problem(r)
		default:
			suite.Errors++
			c.Error = problem(r)
		}
		suite.Cases = append(suite.Cases, c)
	}
	suite.Time = junitTime(total)
	all := junitSuites{Name: suite.Name, Tests: suite.Tests, Failures: suite.Failures, Errors: suite.Errors, Time: suite.Time, Suites: []junitSuite{suite}}
	text, err := xml.MarshalIndent(all, "", "  ")
	if err == nil {
		_, err = io.WriteString(w, xml.Header+string(text)+"\n")
	}
	if err != nil {
		return fmt.Errorf("write JUnit XML: %w", err)
	}
	return nil
}

// IsJUnit tells whether a file is one that JUnit wrote, by its beginning.
func IsJUnit(file []byte) bool {
	return bytes.HasPrefix(file, []byte(xml.Header+`<testsuites name="lab" `))
}

type junitSuites struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Name     string       `xml:"name,attr"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Errors   int          `xml:"errors,attr"`
	Time     string       `xml:"time,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name      string      `xml:"name,attr"`
	Tests     int         `xml:"tests,attr"`
	Failures  int         `xml:"failures,attr"`
	Errors    int         `xml:"errors,attr"`
	Skipped   int         `xml:"skipped,attr"`
	Time      string      `xml:"time,attr"`
	Timestamp string      `xml:"timestamp,attr,omitempty"`
	Cases     []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name    string        `xml:"name,attr"`
	Class   string        `xml:"classname,attr"`
	Time    string        `xml:"time,attr"`
	Failure *junitProblem `xml:"failure"`
	Error   *junitProblem `xml:"error"`
	Out     *junitText    `xml:"system-out"`
}

type junitProblem struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr"`
	junitText
}

// A junitText is escaped already, for encoding/xml would write its line ends
// as character references.
type junitText struct {
	Text string `xml:",innerxml"`
}

// The bounds of what a test case says, in octets.
const (
	maxName    = 200
	maxMessage = 1 << 10
	maxText    = 32 << 10
)

// junitTime is a number of seconds.
func junitTime(ns int64) string { return fmt.Sprintf("%.3f", time.Duration(ns).Seconds()) }

// started is when the first run began, in UTC and without a zone, as the form
// wants it; "" if no record says.
func started(records []*record.Record) string {
	var first time.Time
	for _, r := range records {
		t, err := time.Parse(time.RFC3339Nano, r.Started)
		if err == nil && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	if first.IsZero() {
		return ""
	}
	return first.UTC().Format("2006-01-02T15:04:05")
}

// problem is what a run that is not as expected says.
func problem(r *record.Record) *junitProblem {
	return &junitProblem{
		Message: bounded(Clean(firstReason(r)), maxMessage),
		Type:    bounded(Clean(string(r.Outcome)), maxName),
		junitText: junitText{xmlText(func(p *printer) {
			for _, reason := range r.Reasons {
				p.line("- %s", clip(reason))
			}
			differences(p, r)
			excerpt(p, r, decisive(r))
		})},
	}
}

// firstReason is the outcome in a sentence.
func firstReason(r *record.Record) string {
	if len(r.Reasons) > 0 {
		return r.Reasons[0]
	}
	return Outcome(r)
}

// outcomePage is what a run has to say in any case: its verdict, and how to
// have it again.
func outcomePage(r *record.Record) string {
	return xmlText(func(p *printer) {
		verdict(p, r)
		p.line("repeat    sudo %s", clip(r.Command))
	})
}

// xmlText is what write prints, bounded and escaped for XML 1.0, which has no
// way to hold control characters.
func xmlText(write func(*printer)) string {
	var b strings.Builder
	write(&printer{w: &b})
	lines := strings.Split(bounded(b.String(), maxText), "\n")
	for i, line := range lines {
		lines[i] = Clean(line)
	}
	b.Reset()
	_ = xml.EscapeText(&b, []byte(strings.Join(lines, "\n"))) // a Builder does not fail
	return strings.ReplaceAll(b.String(), "&#xA;", "\n")
}

// bounded cuts a text after a number of octets, between two characters.
func bounded(s string, most int) string {
	if len(s) <= most {
		return strings.ToValidUTF8(s, "\uFFFD")
	}
	return strings.ToValidUTF8(strings.ToValidUTF8(s[:most], ""), "\uFFFD") + fmt.Sprintf("... (%d octets more)", len(s)-most)
}
