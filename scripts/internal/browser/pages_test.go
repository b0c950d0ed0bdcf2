package browser

import (
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/seed-6fefc909/tcplab/internal/testruns"
	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report/page"
	"github.com/seed-6fefc909/tcplab/lab/scenarios"
)

// looked are the real records whose pages are looked at: each has something
// that no other has. The index has them all.
var looked = []string{"crash", "reboot", "unreachable-host", "zero-window", "simultaneous-close", "failover"}

// Pages of real records, a hostile one, a long one, and an index, as a reader
// finds them.
func TestPages(t *testing.T) {
	dir := t.TempDir()
	records := recorded(t)
	var pages []shown
	add := func(name string, controls bool, write func(w io.Writer) error) {
		t.Helper()
		file := filepath.Join(dir, name+".html")
		f, err := os.Create(file)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := write(f); err != nil {
			t.Fatal(err)
		}
		pages = append(pages, shown{name, file, controls})
	}
	run := func(name string, r *record.Record) {
		t.Helper()
		claims := []page.Claim{{ID: "B4", Says: "it is told ETIMEDOUT", Status: "confirmed", Seen: "so"}, {ID: "B5", Says: "more", Needs: []string{"reboot"}}}
		add(name, true, func(w io.Writer) error { return page.Write(w, r, page.Options{Claims: claims}) })
	}
	for _, name := range looked {
		run(name, records[name])
	}
	hostile := records["kill"]
	makeHostile(hostile)
	run("hostile", hostile)
	long := records["crash-lan"]
	makeLong(long, 100_000)
	run("long", long)

	var entries []page.Entry
	for _, name := range slices.Sorted(maps.Keys(records)) {
		entries = append(entries, page.Entry{Record: records[name], Page: "crash.html"})
	}
	var chapters []page.Chapter
	for _, c := range scenarios.Chapters() {
		chapters = append(chapters, page.Chapter{Title: c.Title, Text: c.Text, Names: c.Names})
	}
	add("index", false, func(w io.Writer) error { return page.Index(w, entries, chapters) })

	add("beside", false, func(w io.Writer) error { return page.Diff(w, records["unreachable-host"], records["keepalive"]) })

	for _, f := range look(t, pages) {
		t.Run(f.Page+"/"+f.Check, func(t *testing.T) {
			if !f.OK {
				t.Error(f.Detail)
			}
		})
	}
}

// recorded are real records, by their scenarios.
func recorded(t *testing.T) map[string]*record.Record {
	t.Helper()
	all := testruns.Read(t, "../../../lab/claims/testdata/ipv4.json.gz")
	files, err := filepath.Glob("../../../lab/testdata/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		r, err := record.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all[r.Scenario] = r
	}
	return all
}

// makeHostile lets programs say what would harm a page that believed it.
func makeHostile(r *record.Record) {
	const evil = "</script><script>console.error('run')</script><img src=http://127.0.0.1:9/x onerror=alert(1)>\"><style>body{display:none}</style>\x1b[31m\xff\u202e{{.}}"
	r.Title, r.Command, r.Reasons = evil, "lab run "+evil, []string{evil, strings.Repeat("W", 3000)}
	r.Outcome = record.NotAsExpected
	r.Changed = append(r.Changed, evil)
	r.Missing = []record.Missing{{Observer: evil, Why: evil, Cost: strings.Repeat("no space ", 500)}}
	r.Connections = []record.Connection{{Local: evil, Remote: evil, Options: []string{evil}}}
	for i := range r.Programs {
		r.Programs[i].Argv = []string{evil, strings.Repeat("long", 500)}
	}
	for i := range r.Expectations {
		r.Expectations[i].Actual = evil
	}
	for i := range r.Events {
		switch e := &r.Events[i]; {
		case e.Source == record.Output:
			e.Text = evil + strings.Repeat("x", 1<<20)
		case e.Syscall != nil:
			e.Syscall.Data = evil
			e.Syscall.Arg = evil
		case e.Process != nil:
			e.Comm, e.Process.Argv = evil, []string{evil}
		case e.Source == record.Fault:
			e.Text = evil
		}
	}
}

// makeLong has a client send so many segments more, of which some are lost.
func makeLong(r *record.Record, segments int) {
	for i := range segments {
		at := r.Duration + int64(i)*50_000
		p := record.Packet{
			Proto: "tcp", Src: "10.0.0.1:42158", Dst: "10.0.0.2:9998", Flags: record.FlagACK | record.FlagPSH,
			Seq: uint32(i) * 100, Len: 100, Window: 500, Fate: record.FateArrived, Transit: 10_000, SrcMAC: "02:00:00:00:00:01",
		}
		if i%997 == 0 {
			p.Fate, p.Transit = record.FateLost, 0
		}
		r.Events = append(r.Events, record.Event{Time: at, Host: "client", Source: record.Wire, Kind: record.KindOut, Boot: 1, Packet: &p})
		r.Events = append(r.Events, record.Event{Time: at + 5_000, Host: "client", Source: record.Syscall, Kind: record.KindCall, PID: 7, Comm: "c", Boot: 1, Syscall: &record.Call{
			Name: "write", FD: 5, Ret: 100, Duration: 3000, Socket: true, Data: fmt.Sprint(i),
		}})
	}
	r.Duration += int64(segments+1) * 50_000
}
