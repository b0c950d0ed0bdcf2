package report

import (
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// The rows of a comparison's groups.

func runRows(a, b *record.Record) []ComparisonRow {
	text := func(label string, of func(r *record.Record) string) ComparisonRow {
		return textRow(label, of(a), of(b))
	}
	rows := []ComparisonRow{
		text("scenario", func(r *record.Record) string { return r.Scenario }),
		text("written in", func(r *record.Record) string { return r.File }),
		text("command", func(r *record.Record) string { return r.Command }),
		text("kernel", func(r *record.Record) string { return r.Kernel.Release }),
		text("machine", func(r *record.Record) string { return r.Kernel.Machine }),
		text("HZ", func(r *record.Record) string { return strconv.Itoa(r.Kernel.HZ) }),
		text("clock", func(r *record.Record) string {
			if w := r.Kernel.Warp; w != nil {
				return fmt.Sprintf("virtual: %s, seed %d", w.Engine, w.Seed)
			}
			return "real"
		}),
		text("network", path),
		text("IP", func(r *record.Record) string { return "IPv" + strconv.Itoa(r.Family) }),
		text("a dead host's address", func(r *record.Record) string {
			dies := func(f record.FaultInfo) bool { return slices.Contains([]string{"crash", "reboot", "failover"}, f.Kind) }
			switch {
			case r.AnswerARP:
				return "answered"
			case dies(r.Fault) || slices.ContainsFunc(r.Later, dies):
				return "not answered"
			}
			return "" // no host is dead
		}),
		text("timers", func(r *record.Record) string { return r.Timers }),
		text("fault", faults),
	}
	if a.Demand != nil || b.Demand != nil {
		demand := func(label string, of func(d *record.Demand) string) {
			rows = append(rows, text(label, func(r *record.Record) string {
				if r.Demand == nil {
					return ""
				}
				return of(r.Demand)
			}))
		}
		demand("server", func(d *record.Demand) string { return strings.Join(d.Server, " ") })
		demand("client", func(d *record.Demand) string { return strings.Join(d.Client, " ") })
		demand("the fault comes when", func(d *record.Demand) string { return d.When })
		demand("asked", Asked)
	}
	rows = append(rows, text("not observed", func(r *record.Record) string {
		var names []string
		for _, m := range r.Missing {
			names = append(names, m.Observer)
		}
		return strings.Join(names, ", ")
	}))
	return slices.DeleteFunc(rows, func(r ComparisonRow) bool { return r.A == "-" && r.B == "-" })
}

// faults names them, in their order, and whom they befell.
func faults(r *record.Record) string {
	var names []string
	for _, f := range append([]record.FaultInfo{r.Fault}, r.Later...) {
		switch {
		case f.Kind == "":
			names = append(names, "the run did not come to it")
		case f.Kind == "zero":
			names = append(names, "none")
		case f.Host != "":
			names = append(names, f.Kind+" "+f.Host)
		default:
			names = append(names, f.Kind)
		}
	}
	return strings.Join(names, ", ")
}

// settingRows compares sysctls that both records have, and the options of the
// client's sockets.
func settingRows(a, b *record.Record) []ComparisonRow {
	var rows []ComparisonRow
	same, alone := 0, 0
	for _, node := range keys(a.Sysctls, b.Sysctls) {
		for _, name := range keys(a.Sysctls[node], b.Sysctls[node]) {
			x, inA := a.Sysctls[node][name]
			y, inB := b.Sysctls[node][name]
			switch {
			case !inA || !inB:
				alone++
			case x == y:
				same++
			default:
				rows = append(rows, textRow(node+" "+name, x, y))
			}
		}
	}
	if same > 0 {
		n := strconv.Itoa(same)
		rows = append(rows, ComparisonRow{"sysctls that agree", n, n, true})
	}
	if alone > 0 {
		n := strconv.Itoa(alone)
		rows = append(rows, ComparisonRow{"sysctls of one alone, not compared", n, n, true})
	}
	return append(rows, textRow("the client's socket", options(a), options(b)))
}

// options are those of the client's connections.
func options(r *record.Record) string {
	if len(r.Connections) == 0 {
		return "no connection was noted"
	}
	var all []string
	for _, c := range r.Connections {
		set := strings.Join(c.Options, " ")
		if set == "" {
			set = "no keepalive, no timeout of its own"
		}
		if !slices.Contains(all, set) {
			all = append(all, set)
		}
	}
	return strings.Join(all, "; ")
}

func resultRows(a, b *record.Record) []ComparisonRow {
	x, y := &a.Detection, &b.Detection
	rows := []ComparisonRow{
		textRow("outcome", Outcome(a), Outcome(b)),
		textRow("reasons", strings.Join(a.Reasons, "; "), strings.Join(b.Reasons, "; ")),
		textRow("told by", calling(x), calling(y)),
		textRow("told", toldWhat(a), toldWhat(b)),
	}
	if x.Error != "" || y.Error != "" {
		count := func(d *record.Detection, ns int64) int64 {
			if d.Error == "" {
				return -1
			}
			return ns
		}
		rows = append(rows,
			spanRow("after the fault", count(x, x.AfterFault), count(y, y.AfterFault)),
			spanRow("after the client's write", count(x, x.AfterWrite), count(y, y.AfterWrite)),
			spanRow("after the last segment received before the fault", count(x, x.AfterHeard), count(y, y.AfterHeard)),
			spanRow("the call had lasted", count(x, x.Blocked), count(y, y.Blocked)))
	}
	rows = append(rows, textRow("expectations met", met(a), met(b)))
	return slices.DeleteFunc(rows, func(r ComparisonRow) bool { return r.A == "-" && r.B == "-" })
}

func calling(d *record.Detection) string {
	if d.Syscall == "" {
		return ""
	}
	return d.Syscall + "()"
}

// toldWhat is what told the client: an error, end of file, or nothing.
func toldWhat(r *record.Record) string {
	switch {
	case r.Detection.Error != "":
		return r.Detection.Error
	case toldKnown(r):
		return "nothing"
	}
	return notKnown
}

func met(r *record.Record) string {
	n := 0
	for _, x := range r.Expectations {
		if x.OK {
			n++
		}
	}
	return fmt.Sprintf("%d of %d", n, len(r.Expectations))
}

func actionRows(a, b *record.Record) []ComparisonRow {
	var rows []ComparisonRow
	for _, kind := range []string{record.ActMessage, record.ActClose, record.ActReconnect, record.ActExit} {
		x, y := acted(a, kind), acted(b, kind)
		if x == nil && y == nil {
			continue
		}
		label := map[string]string{
			record.ActMessage: "a message", record.ActClose: "closed", record.ActReconnect: "connected again", record.ActExit: "ended",
		}[kind]
		what := func(act *record.Action) string {
			if act == nil {
				return "no"
			}
			if act.What == "" {
				return "yes"
			}
			return act.What
		}
		rows = append(rows, textRow(label, what(x), what(y)))
		after := func(act *record.Action) int64 {
			if act == nil {
				return -1
			}
			return act.AfterFault
		}
		rows = append(rows, spanRow(label+", after the fault", after(x), after(y)))
	}
	return rows
}

func acted(r *record.Record, kind string) *record.Action {
	for i := range r.Actions {
		if r.Actions[i].Kind == kind {
			return &r.Actions[i]
		}
	}
	return nil
}

func predictionRows(a, b *record.Record) []ComparisonRow {
	held := func(r *record.Record) string {
		switch h := r.Prediction.Held; {
		case h == nil:
			return "nothing to compare"
		case *h:
			return "yes"
		}
		return "NO"
	}
	return []ComparisonRow{
		textRow("predicted", Predicted(&a.Prediction), Predicted(&b.Prediction)),
		textRow("it held", held(a), held(b)),
	}
}

// mostRepeats is how many of a host's are compared one by one.
const mostRepeats = 24

func repeatRows(a, b *record.Record) []ComparisonRow {
	x, y, okA, okB := (&Comparison{A: a, B: b}).repeats()
	of := func(all []Repeats, host string) Repeats {
		for _, r := range all {
			if r.Host == host {
				return r
			}
		}
		return Repeats{}
	}
	number := func(times []int64, known bool) string {
		if !known {
			return notKnown
		}
		return strconv.Itoa(len(times))
	}
	hosts := map[string]bool{}
	for _, r := range slices.Concat(x, y) {
		hosts[r.Host] = true
	}
	if len(hosts) == 0 {
		return []ComparisonRow{textRow("in all", number(nil, okA), number(nil, okB))}
	}
	var rows []ComparisonRow
	for _, host := range keys(hosts, nil) {
		p, q := of(x, host), of(y, host)
		rows = append(rows, textRow("by the "+host, number(p.Times, okA), number(q.Times, okB)))
		if okA && okB && (p.Sent < len(p.Times) || q.Sent < len(q.Times)) {
			rows = append(rows, textRow("of which went out", strconv.Itoa(p.Sent), strconv.Itoa(q.Sent)))
		}
		if p.From != "" && q.From != "" {
			rows = append(rows, textRow("counted from", p.From, q.From))
		}
		n := max(len(p.Times), len(q.Times))
		for i := range min(n, mostRepeats) {
			at := func(times []int64) int64 {
				if i < len(times) {
					return times[i]
				}
				return -1
			}
			rows = append(rows, spanRow(fmt.Sprintf("%s, number %d", host, i+1), at(p.Times), at(q.Times)))
		}
		if n > mostRepeats {
			rows = append(rows, textRow(host+", further ones", strconv.Itoa(max(0, len(p.Times)-mostRepeats)), strconv.Itoa(max(0, len(q.Times)-mostRepeats))))
		}
	}
	return rows
}

// checkRows compares what the signature's checks came to; what each saw is told
// where they differ.
func checkRows(a, b *record.Record) []ComparisonRow {
	find := func(r *record.Record, name string) *record.Check {
		for i := range r.Signature.Checks {
			if r.Signature.Checks[i].Name == name {
				return &r.Signature.Checks[i]
			}
		}
		return nil
	}
	var names []string
	for _, c := range slices.Concat(a.Signature.Checks, b.Signature.Checks) {
		if !slices.Contains(names, c.Name) {
			names = append(names, c.Name)
		}
	}
	var rows []ComparisonRow
	for _, name := range names {
		x, y := find(a, name), find(b, name)
		row := textRow(name, checked(x), checked(y))
		if !row.Same {
			seen := func(cell string, c *record.Check) string {
				if c == nil {
					return cell
				}
				return cell + ": " + Clean(c.Seen)
			}
			row.A, row.B = seen(row.A, x), seen(row.B, y)
		}
		rows = append(rows, row)
	}
	return rows
}

func checked(c *record.Check) string {
	switch {
	case c == nil:
		return "not checked"
	case c.Unknown:
		return notKnown
	case c.OK:
		return "ok"
	}
	return "NOT OK"
}

// keys are those of either map, sorted.
func keys[V any](a, b map[string]V) []string {
	var all []string
	for k := range a {
		all = append(all, k)
	}
	for k := range b {
		if _, both := a[k]; !both {
			all = append(all, k)
		}
	}
	sort.Strings(all)
	return all
}
