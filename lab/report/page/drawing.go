package page

import (
	"cmp"
	_ "embed"
	"fmt"
	"html"
	"html/template"
	"io"
	"slices"

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

// A scene is what a ladder shows, and its places from left to right: the same
// however the time is drawn.
type scene struct {
	r        *record.Record
	rows     []ladder.Row
	client   [][]string // the lines of each row's texts
	server   [][]string
	heights  []int // of each row, in lines
	strips   []strip
	brackets []bracket
	timers   []timer
	down     []outage
	// How many strips and timers there are besides.
	moreStrips, moreTimers int

	clientText, clientCalls, clientTimers, clientLine float64
	serverLine, serverTimers, serverCalls, serverText float64
	right                                             float64 // where all ends
}

// A drawing is the ladder of a record: time runs downwards between the two
// hosts' lifelines.
type drawing struct {
	canvas
	*scene
	axis   *descent
	linked bool                    // rows are linked to the table's
	bars   map[int]bool            // the rows of faults that have room for their words
	low    float64                 // where the lowest of the rows' texts ends
	taken  map[string][][2]float64 // of each column, where texts stand
}

// SVG writes the ladder of a record as a picture of its own. With scale it is
// true to scale: silences are as long as they were, and what has no room among
// the texts has none.
func SVG(w io.Writer, r *record.Record, scale bool) error {
	d := sceneOf(r, ladder.Rows(r)).drawing(scale)
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
	scene := sceneOf(r, rows)
	of := func(scale bool) template.HTML {
		d := scene.drawing(scale)
		d.linked = true
		return d.drawn("ladder", d.draw())
	}
	return ladders{Short: of(false), True: of(true)}
}

func sceneOf(r *record.Record, rows []ladder.Row) *scene {
	s := &scene{r: r, rows: rows, brackets: brackets(r, rows), down: outages(r)}
	s.strips, s.moreStrips = strips(r)
	s.timers, s.moreTimers = timers(r)
	s.arrange()
	for i := range rows {
		w := &rows[i]
		client, server := s.texts(w)
		s.client, s.server = append(s.client, client), append(s.server, server)
		height := max(len(client), len(server), 1)
		switch {
		case w.Across != "":
			height = len(s.across(w))
		case w.Left != nil:
			height = len(left(w))
		}
		s.heights = append(s.heights, height)
	}
	return s
}

// drawing begins one of the scene, true to scale or with its silences shortened.
func (s *scene) drawing(scale bool) *drawing {
	d := &drawing{canvas: canvas{width: s.right}, scene: s, taken: map[string][][2]float64{}, bars: map[int]bool{}}
	if scale {
		d.axis = trueScale(s.rows, s.heights, headHeight, trueHeight)
	} else {
		d.axis = compressed(s.rows, s.heights, headHeight)
	}
	return d
}

// arrange gives everything its place, from left to right.
func (s *scene) arrange() {
	lanes, calls := map[string]int{}, map[string]int{}
	for _, one := range s.strips {
		lanes[sideOf(one.host)] = max(lanes[sideOf(one.host)], one.lane+1)
	}
	for _, b := range s.brackets {
		calls[b.side] = max(calls[b.side], b.lane+1)
	}
	clocks := map[string]int{"client": 1, "server": 1}
	for _, t := range s.timers {
		clocks[sideOf(t.host)] = max(clocks[sideOf(t.host)], t.lane+1)
	}
	x := timeColumn + sideColumn
	s.clientText = x
	x += 6 + callWidth*float64(calls["client"])
	s.clientCalls = x
	x += timerWidth * float64(clocks["client"])
	s.clientTimers = x - timerWidth/2
	x += laneWidth * float64(lanes["client"])
	s.clientLine = x
	x += wireColumn
	s.serverLine = x
	x += laneWidth * float64(lanes["server"])
	s.serverTimers = x + timerWidth/2
	x += timerWidth * float64(clocks["server"])
	s.serverCalls = x
	x += 6 + callWidth*float64(calls["server"])
	s.serverText = x
	s.right = x + sideColumn
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
	d.unseen()
	for i := range d.rows { // below all words
		d.arrow(i)
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
