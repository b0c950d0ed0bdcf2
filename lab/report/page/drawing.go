package page

import (
	"cmp"
	_ "embed"
	"fmt"
	"html"
	"html/template"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report/ladder"
)

//go:embed ladder.css
var ladderStyle string

// The sizes of a drawing, in units of which a screen shows one a pixel.
const (
	timeColumn = 84.0
	sideColumn = 262.0 // of what a host's side does
	wireColumn = 276.0
	laneWidth  = 15.0 // of a socket's strip
	callWidth  = 7.0  // of a call's bracket
	timerWidth = 12.0
	letter     = 6.4 // of the texts' letters, on average at most
	headHeight = 34.0
	legendLine = 18.0
	trueHeight = 1500.0 // of all the time in a drawing that is true to scale
)

// A drawing is the ladder of a record: time runs downwards between the two
// hosts' lifelines.
type drawing struct {
	canvas
	r        *record.Record
	rows     []ladder.Row
	client   [][]string // the lines of each row's texts
	server   [][]string
	axis     *descent
	strips   []strip
	brackets []bracket
	timers   []timer
	down     []outage
	linked   bool         // rows are linked to the table's
	bars     map[int]bool // the rows of faults that have room for their words
	low      float64      // where the lowest of the rows' texts ends

	// The places of what stands beside each other.
	clientText, clientCalls, clientTimers, clientLine float64
	serverLine, serverTimers, serverCalls, serverText float64
	taken                                             map[string][][2]float64 // of each column, where texts stand
}

// SVG writes the ladder of a record as a picture of its own. With scale it is
// true to scale: silences are as long as they were, and what has no room among
// the texts has none.
func SVG(w io.Writer, r *record.Record, scale bool) error {
	d := newDrawing(r, ladder.Rows(r), scale)
	label := d.draw()
	_, err := fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" class="ladder" viewBox="0 0 %s %s" width="%[1]s" height="%[2]s" role="img"><title>%s</title><style>%s</style>`+
		`<rect class="ground" width="100%%" height="100%%"/>%s</svg>`+"\n",
		num(d.width), num(d.height), html.EscapeString(plain(label)), ladderStyle, d.b.String())
	if err != nil {
		return fmt.Errorf("write ladder: %w", err)
	}
	return nil
}

// ladders are the two drawings of a page.
type ladders struct {
	Short, True template.HTML
}

func laddersOf(r *record.Record, rows []ladder.Row) ladders {
	of := func(scale bool) template.HTML {
		d := newDrawing(r, rows, scale)
		d.linked = true
		return d.drawn("ladder", d.draw())
	}
	return ladders{Short: of(false), True: of(true)}
}

func newDrawing(r *record.Record, rows []ladder.Row, scale bool) *drawing {
	d := &drawing{
		r: r, rows: rows, strips: strips(r), brackets: brackets(r, rows), timers: timers(r), down: outages(r),
		taken: map[string][][2]float64{}, bars: map[int]bool{},
	}
	d.arrange()
	heights := make([]int, len(rows))
	for i := range rows {
		client, server := d.texts(&rows[i])
		d.client, d.server = append(d.client, client), append(d.server, server)
		heights[i] = max(len(client), len(server), 1)
		switch w := &rows[i]; {
		case w.Across != "":
			heights[i] = len(d.across(w))
		case w.Left != nil:
			heights[i] = len(left(w))
		}
	}
	if scale {
		d.axis = trueScale(rows, heights, headHeight, trueHeight)
	} else {
		d.axis = compressed(rows, heights, headHeight)
	}
	return d
}

// arrange gives everything its place, from left to right.
func (d *drawing) arrange() {
	lanes, calls := map[string]int{}, map[string]int{}
	for _, s := range d.strips {
		lanes[sideOf(s.host)] = max(lanes[sideOf(s.host)], s.lane+1)
	}
	for _, b := range d.brackets {
		calls[b.side] = max(calls[b.side], b.lane+1)
	}
	x := timeColumn + sideColumn
	d.clientText = x
	x += 6 + callWidth*float64(calls["client"])
	d.clientCalls = x
	x += timerWidth
	d.clientTimers = x - timerWidth/2
	x += laneWidth * float64(lanes["client"])
	d.clientLine = x
	x += wireColumn
	d.serverLine = x
	x += laneWidth * float64(lanes["server"])
	d.serverTimers = x + timerWidth/2
	x += timerWidth
	d.serverCalls = x
	x += 6 + callWidth*float64(calls["server"])
	d.serverText = x
	d.width = x + sideColumn
}

// texts are the lines of a row on both sides.
func (d *drawing) texts(w *ladder.Row) (client, server []string) {
	if w.Table {
		lines := tableLines(w)
		if sideOf(w.Host) == "client" {
			return lines, nil
		}
		return nil, lines
	}
	return fold(w.Client, sideColumn), fold(w.Server, sideColumn)
}

// across are the lines of a fault.
func (d *drawing) across(w *ladder.Row) []string {
	return fold(w.Across, d.width-timeColumn-24)
}

// left are the lines of what was left out.
func left(w *ladder.Row) []string { return fold(w.Left.String(), wireColumn-20) }

// mostSockets is how many rows of a socket table are drawn.
const mostSockets = 4

func tableLines(w *ladder.Row) []string {
	lines := []string{"socket table:"}
	if len(w.Sockets) == 0 {
		return []string{"socket table: empty"}
	}
	for i, s := range w.Sockets {
		if i == mostSockets {
			lines = append(lines, fmt.Sprintf("and %d more", len(w.Sockets)-i))
			break
		}
		text := s.State + " " + s.Local
		if s.RecvQueue > 0 {
			text += fmt.Sprintf(", Recv-Q %d", s.RecvQueue)
		}
		if s.SendQueue > 0 {
			text += fmt.Sprintf(", Send-Q %d", s.SendQueue)
		}
		if s.Timer != "" && s.Expires > 0 {
			text += ", " + s.Timer + " in " + record.Span(s.Expires)
		}
		lines = append(lines, fold(text, sideColumn)...)
	}
	return lines
}

// mostLines bounds a text's.
const mostLines = 4

// fold breaks a text into lines that fit into a width.
func fold(text string, width float64) []string {
	if text == "" {
		return nil
	}
	room := int(width / letter)
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		letters := []rune(word)
		for len(letters) > room {
			if line != "" {
				lines, line = append(lines, line), ""
			}
			lines, letters = append(lines, string(letters[:room])), letters[room:]
		}
		if line != "" && len([]rune(line))+1+len(letters) > room {
			lines, line = append(lines, line), ""
		}
		line = strings.TrimLeft(line+" "+string(letters), " ")
	}
	if line != "" {
		lines = append(lines, line)
	}
	if len(lines) > mostLines {
		lines = append(lines[:mostLines-1], lines[mostLines-1]+" …")
	}
	return lines
}

// draw draws everything, and says what it is.
func (d *drawing) draw() (label string) {
	d.lifelines()
	for _, s := range d.strips {
		d.strip(&s)
	}
	for _, t := range d.timers {
		d.timer(&t)
	}
	for _, b := range d.axis.breaks {
		d.silence(b)
	}
	for _, b := range d.brackets {
		d.bracket(&b)
	}
	order := orderBy(len(d.rows), d.rank)
	for _, i := range order { // a fault lies above the rest, and takes its room first
		if d.rows[i].Across != "" {
			d.reserve(i)
		}
	}
	for _, above := range []bool{false, true} {
		for _, i := range order {
			if (d.rows[i].Across != "") == above {
				d.row(i)
			}
		}
	}
	for _, o := range d.down {
		x := d.serverLine
		if sideOf(o.host) == "client" {
			x = d.clientLine
		}
		d.cross(x, d.axis.of(o.from)-4)
	}
	bottom := d.legend(max(d.axis.end, d.low) + 12)
	d.height = bottom
	return "Ladder of " + bounded(cmp.Or(d.r.Scenario, "a run")+": "+d.r.Title, maxTitle)
}

// rank is the order in which rows get the room for their texts, where it may not
// do for all.
func (d *drawing) rank(i int) int64 {
	w := &d.rows[i]
	switch {
	case !d.axis.scale:
		return 0
	case d.tells(w):
		return 1
	case w.Again != nil:
		return 2
	case w.Wire != nil && w.Wire.Packet != nil && (w.Wire.Packet.Fate == record.FateLost || w.Wire.Packet.Flags&(record.FlagRST|record.FlagFIN|record.FlagSYN) != 0):
		return 3
	}
	return 4
}

// tells tells the call that told the program.
func (d *drawing) tells(w *ladder.Row) bool {
	return len(w.Events) > 0 && d.r.Detection.Error != "" && d.r.Detection.Time == w.Time && d.r.Events[w.Events[0]].Syscall != nil
}

// room takes a place in a column, if it is free. Only in a drawing true to
// scale it may not be.
func (d *drawing) room(column string, top, bottom float64) bool {
	if !d.axis.scale {
		return true
	}
	for _, t := range d.taken[column] {
		if top < t[1] && t[0] < bottom {
			return false
		}
	}
	d.taken[column] = append(d.taken[column], [2]float64{top, bottom})
	return true
}

// lifelines are the hosts', dashed while they are down.
func (d *drawing) lifelines() {
	for i, h := range d.r.Hosts {
		if i == 2 {
			break // a standby stands beside the server
		}
		x, anchor := d.clientLine, "end"
		if sideOf(h.Name) == "server" {
			x, anchor = d.serverLine, "start"
		}
		d.text("head "+anchor, x, 18, h.Name+" "+h.Address)
		y := headHeight - 8
		for _, o := range d.down {
			if o.host != h.Name {
				continue
			}
			from, to := d.axis.of(o.from), d.axis.end
			if o.to < d.r.Duration {
				to = d.axis.of(o.to)
			}
			d.line("life", x, y, x, from)
			d.open("down", h.Name+" is down from here on")
			d.line("dead", x, from, x, to)
			d.shut()
			y = to
		}
		d.line("life", x, y, x, d.axis.end)
	}
	d.text("head mid", (d.clientLine+d.serverLine)/2, 18, "wire")
	d.text("head end", timeColumn-12, 18, "time (s)")
}

// cross marks where something ends for good.
func (d *drawing) cross(x, y float64) {
	const n = 5
	d.path("cross", fmt.Sprintf("M%s %sL%s %sM%s %sL%s %s", num(x-n), num(y-n), num(x+n), num(y+n), num(x-n), num(y+n), num(x+n), num(y-n)))
}

// strip draws the time in a state, with its name where there is room for it.
func (d *drawing) strip(s *strip) {
	x := d.clientLine - laneWidth*float64(s.lane+1)
	if sideOf(s.host) == "server" {
		x = d.serverLine + laneWidth*float64(s.lane)
	}
	top, bottom := d.axis.of(s.from), d.axis.of(s.to)
	if s.to >= d.r.Duration {
		bottom = d.axis.end
	}
	bottom = max(bottom, top+2)
	who := s.local
	if s.remote != "" && s.remote != "0.0.0.0:0" {
		who += " to " + s.remote
	}
	d.open(stateClass(s.state), strings.TrimSpace(s.host+": "+s.state+" for "+record.Span(s.to-s.from)+", "+who))
	d.rect("", x+1, top, laneWidth-2, bottom-top)
	long := float64(len(s.state))*6.6 + 8
	const again = 420.0 // so that it is on every screen
	for y := d.below(top+long, long); y <= bottom; y = d.below(y+again, long) {
		d.upright("word", x+laneWidth/2+3.2, y-4, s.state)
	}
	d.shut()
}

// below is where an upright text may end that is not to end before y, so that
// no fault's bar covers it.
func (d *drawing) below(y, long float64) float64 {
	for i := range d.rows {
		if d.rows[i].Across == "" {
			continue
		}
		top := d.axis.at[i] - ascent - 2
		bottom := top + lineHeight*float64(len(d.across(&d.rows[i]))) + 5
		if y > top && y-long < bottom {
			y = bottom + long
		}
	}
	return y
}

func (d *drawing) timer(t *timer) {
	x := d.clientTimers
	if sideOf(t.host) == "server" {
		x = d.serverTimers
	}
	top, bottom := d.axis.of(t.from), d.axis.of(t.to)
	if t.beyond {
		bottom = d.axis.end
	}
	if bottom-top < 3 {
		return
	}
	d.open("timer", t.what)
	d.line("", x, top, x, bottom)
	if t.beyond {
		d.path("tip", fmt.Sprintf("M%s %sL%s %sL%s %s", num(x-3), num(bottom-5), num(x), num(bottom), num(x+3), num(bottom-5)))
	} else {
		d.line("tip", x-3, bottom, x+3, bottom)
	}
	d.shut()
}

// silence marks where the axis is shorter than the time.
func (d *drawing) silence(s silence) {
	middle := (s.top + s.bottom) / 2
	x := timeColumn - 12
	d.open("silence", "nothing happened for "+record.Span(s.long)+": drawn shorter")
	d.text("end", x, middle+2, "⋮ "+record.Span(s.long))
	d.path("", fmt.Sprintf("M%s %sl4 -3l4 6l4 -6l4 6l4 -3", num(timeColumn-8), num(middle-2)))
	d.shut()
}

func (d *drawing) bracket(b *bracket) {
	x, inner := d.clientCalls-callWidth*float64(b.lane+1), callWidth-2
	if b.side == "server" {
		x, inner = d.serverCalls+callWidth*float64(b.lane+1), -(callWidth - 2)
	}
	at := d.axis.at[b.row]
	top, bottom := min(d.axis.of(b.from), at-4), at+3
	if b.open {
		top, bottom = at-4, max(d.axis.of(b.to), at+3)
		if b.to >= d.r.Duration {
			bottom = d.axis.end
		}
	}
	class := "call"
	if b.to-b.from >= breakFrom {
		class = "call blocked"
	}
	d.open(class, b.title)
	shape := fmt.Sprintf("M%s %sH%sV%s", num(x+inner), num(top), num(x), num(bottom))
	if !b.open {
		shape += "H" + num(x+inner)
	}
	d.path("", shape)
	d.shut()
}

// row draws what a row of the timeline says.
func (d *drawing) row(i int) {
	w, y := &d.rows[i], d.axis.at[i]
	link := d.linked && len(w.Events) > 0
	if link {
		fmt.Fprintf(&d.b, `<a href="#e%d">`, w.Events[0])
	}
	switch {
	case w.Across != "":
		d.fault(i)
	case w.Left != nil:
		d.open("left", "")
		d.line("", d.clientLine+6, y-4, d.serverLine-6, y-4)
		d.lines("wire", "mid", (d.clientLine+d.serverLine)/2, y, left(w))
		d.shut()
	default:
		class := "row"
		if d.tells(w) {
			class = "row tells"
		}
		if len(w.Events) > 0 {
			if e := &d.r.Events[w.Events[0]]; e.Source == record.Step || e.Source == record.Output {
				class += " said"
			}
		}
		d.open(class, "")
		d.arrow(i)
		d.lines("client", "end", d.clientText, y, d.client[i])
		d.lines("server", "start", d.serverText, y, d.server[i])
		d.shut()
	}
	if w.Left == nil && d.room("time", y-ascent, y+4) {
		class := "time end"
		d.text(class, timeColumn-12, y, fmt.Sprintf("%.6f", time.Duration(w.Time-d.r.Fault.Time).Seconds()))
	}
	if link {
		d.b.WriteString(`</a>`)
	}
}

func (d *drawing) lines(column, anchor string, x, y float64, lines []string) {
	bottom := y + lineHeight*float64(len(lines)-1) + 4
	if len(lines) == 0 || !d.room(column, y-ascent, bottom) {
		return
	}
	d.low = max(d.low, bottom)
	for n, line := range lines {
		d.text(anchor, x, y+float64(n)*lineHeight, line)
	}
}

// reserve takes the room of a fault's bar, if it is free.
func (d *drawing) reserve(i int) {
	top := d.axis.at[i] - ascent - 2
	bottom := top + lineHeight*float64(len(d.across(&d.rows[i]))) + 5
	if d.bars[i] = d.room("bars", top, bottom); !d.bars[i] {
		return
	}
	for _, column := range []string{"client", "wire", "server"} {
		d.room(column, top, bottom)
	}
}

// fault draws a bar across.
func (d *drawing) fault(i int) {
	w, y := &d.rows[i], d.axis.at[i]
	lines := d.across(w)
	class := "fault"
	if len(w.Events) > 0 {
		switch d.r.Events[w.Events[0]].Kind {
		case "zero", "heal":
			class = "fault quiet"
		}
	}
	d.open(class, "")
	left, height := timeColumn-4, lineHeight*float64(len(lines))+5
	if d.bars[i] { // else it lies within another one's
		d.rect("", left, y-ascent-2, d.width-left, height)
		for n, line := range lines {
			d.text("mid", (left+d.width)/2, y+1+float64(n)*lineHeight, line)
		}
	}
	d.shut()
}

// arrow draws a packet from where and when it left to where and when it
// arrived, or to a cross where it was lost.
func (d *drawing) arrow(i int) {
	w, y := d.rows[i].Wire, d.axis.at[i]
	if w == nil {
		return
	}
	middle := (d.clientLine + d.serverLine) / 2
	if w.Packet == nil {
		d.label("mid lost", middle, y, w)
		return
	}
	from, to := d.clientLine+2, d.serverLine-2
	if !w.Right {
		from, to = to, from
	}
	p := w.Packet
	class := "packet"
	end := y + 5
	if p.Transit > 0 {
		end = max(end, d.axis.of(d.rows[i].Time+p.Transit))
	}
	if d.axis.scale && p.Transit > 0 {
		end = d.axis.of(d.rows[i].Time + p.Transit)
	}
	in := len(d.rows[i].Events) > 0 && d.r.Events[d.rows[i].Events[0]].Kind == record.KindIn
	switch {
	case in: // from what lies between
		from = middle + (from-middle)*0.55
	case p.Fate == record.FateLost:
		to, class = middle+(to-middle)*0.5, "packet lost"
	case p.Fate == record.FateAnswered:
		to = middle
	}
	if p.Flags&record.FlagRST != 0 {
		class += " rst"
	}
	if p.Proto != "tcp" {
		class += " other"
	}
	d.open(class, arrowTitle(w))
	d.line("", from, y, to, end)
	switch {
	case p.Fate == record.FateLost:
		d.cross(to, end)
	case p.Fate == record.FateAnswered:
		d.line("", to, end-6, to, end+6)
	default:
		back := 7.0
		if to > from {
			back = -back
		}
		slope := (end - y) / (to - from) * back
		d.path("tip", fmt.Sprintf("M%s %sL%s %sL%s %sZ", num(to), num(end), num(to+back), num(end+slope-3.5), num(to+back), num(end+slope+3.5)))
	}
	if in {
		d.circle("origin", from, y, 3)
	}
	d.shut()
	switch {
	case end-y <= 2*lineHeight:
		d.label("mid", middle, y, w)
	case w.Right: // a long way: beside its sender
		d.label("start", d.clientLine+12, y, w)
	default:
		d.label("end", d.serverLine-12, y, w)
	}
}

func (d *drawing) label(class string, x, y float64, w *ladder.Arrow) {
	if d.room("wire", y-ascent-3, y+2) {
		d.text(class, x, y-2, arrowText(w))
	}
}

// arrowText is a packet's flags, its place in the streams, and its length.
func arrowText(w *ladder.Arrow) string {
	p := w.Packet
	if p == nil || p.Proto != "tcp" {
		return w.Text
	}
	text := p.FlagNames()
	if p.Probe {
		text = "probe"
	}
	text += fmt.Sprintf(" seq %d", w.Seq)
	if p.Flags&record.FlagACK != 0 {
		text += fmt.Sprintf(" ack %d", w.Ack)
	}
	if p.Len > 0 {
		text += fmt.Sprintf(" len %d", p.Len)
	}
	if p.Window == 0 && p.Flags&(record.FlagRST|record.FlagSYN) == 0 {
		text += " win 0"
	}
	return text
}

func arrowTitle(w *ladder.Arrow) string {
	p := w.Packet
	title := p.Src + " to " + p.Dst + ": " + w.Text
	switch {
	case p.Fate == record.FateLost:
		title += ", lost"
	case p.Transit > 0:
		title += ", arrived after " + record.Span(p.Transit)
	}
	return title
}

// legend explains what is drawn, and returns where it ends.
func (d *drawing) legend(y float64) float64 {
	d.open("legend", "")
	x := timeColumn
	item := func(width float64, text string, draw func(x, y float64)) {
		long := width + 6 + float64(len([]rune(text)))*letter + 18
		if x+long > d.width {
			x, y = timeColumn, y+legendLine
		}
		draw(x, y+8)
		d.text("", x+width+6, y+12, text)
		x += long
	}
	var states []string
	for _, s := range d.strips {
		if !slices.Contains(states, s.state) {
			states = append(states, s.state)
		}
	}
	for _, state := range states {
		item(12, state, func(x, y float64) {
			d.open(stateClass(state), "")
			d.rect("", x, y-6, 12, 12)
			d.shut()
		})
	}
	if len(d.brackets) > 0 {
		item(6, "a system call, from its beginning to its end", func(x, y float64) {
			d.open("call", "")
			d.path("", fmt.Sprintf("M%s %sH%sV%sH%s", num(x+5), num(y-6), num(x), num(y+6), num(x+5)))
			d.shut()
		})
	}
	if len(d.timers) > 0 {
		item(6, "a timer, until it was due", func(x, y float64) {
			d.open("timer", "")
			d.line("", x+3, y-8, x+3, y+6)
			d.line("tip", x, y+6, x+6, y+6)
			d.shut()
		})
	}
	if slices.ContainsFunc(d.rows, func(w ladder.Row) bool {
		return w.Wire != nil && w.Wire.Packet != nil && w.Wire.Packet.Fate == record.FateLost
	}) {
		item(24, "lost on its way", func(x, y float64) {
			d.open("packet lost", "")
			d.line("", x, y, x+18, y)
			d.cross(x+18, y)
			d.shut()
		})
	}
	if len(d.axis.breaks) > 0 {
		item(22, "a silence, drawn shorter than it was", func(x, y float64) {
			d.open("silence", "")
			d.path("", fmt.Sprintf("M%s %sl4 -3l4 6l4 -6l4 6l4 -3", num(x), num(y)))
			d.shut()
		})
	}
	d.shut()
	return y + legendLine + 6
}

// orderBy gives the indices of a list in the order of a key, those of equal
// keys as they were.
func orderBy(n int, key func(i int) int64) []int {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(key(a), key(b)) })
	return order
}
