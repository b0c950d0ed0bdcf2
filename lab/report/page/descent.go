package page

import (
	"math"
	"sort"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/report/ladder"
)

// A descent says how far down in a drawing each row of the timeline stands, and
// each instant.
type descent struct {
	at     []float64 // of each row
	times  []int64   // of each row, in their order
	end    float64   // of the drawing
	breaks []silence // that were compressed
	scale  bool      // true to scale: rows may stand upon each other
}

// A silence is a stretch of time in which nothing was to be told.
type silence struct {
	top, bottom float64
	long        int64 // in nanoseconds
}

// breakFrom is how long a silence is that is marked where it is compressed.
const breakFrom = int64(100 * time.Millisecond)

const (
	lineHeight = 14.0 // of a line of text
	rowGap     = 7.0
	ascent     = 10.0 // of the first line above the place of its row
)

// compressed gives every row the room that its lines take, and silences little
// more: with each tenfold of their length above a millisecond as much again.
func compressed(rows []ladder.Row, lines []int, top float64) *descent {
	a := &descent{}
	y := top
	for i := range rows {
		if i > 0 {
			y += a.silence(rows[i].Time-rows[i-1].Time, y)
		}
		a.at = append(a.at, y+ascent)
		a.times = append(a.times, rows[i].Time)
		y += lineHeight*float64(max(lines[i], 1)) + rowGap
	}
	a.end = y + 6
	return a
}

func (a *descent) silence(long int64, y float64) float64 {
	if long < int64(time.Millisecond) {
		return 0
	}
	room := 5 * math.Log10(float64(long)/1e6)
	if long < breakFrom {
		return room
	}
	room = max(room, 10) + lineHeight
	a.breaks = append(a.breaks, silence{top: y, bottom: y + room, long: long})
	return room
}

// trueScale puts everything where its time is, from the first row to the last.
func trueScale(rows []ladder.Row, lines []int, top, height float64) *descent {
	a := &descent{scale: true, end: top + height + ascent}
	if len(rows) == 0 {
		return a
	}
	first, last := rows[0].Time, rows[len(rows)-1].Time
	for i := range rows {
		y := top + ascent
		if last > first {
			y += height * float64(rows[i].Time-first) / float64(last-first)
		}
		a.at = append(a.at, y)
		a.times = append(a.times, rows[i].Time)
		a.end = max(a.end, y+lineHeight*float64(lines[i]))
	}
	return a
}

// of is where an instant is: between rows according to its time.
func (a *descent) of(t int64) float64 {
	next := sort.Search(len(a.times), func(i int) bool { return a.times[i] > t })
	switch {
	case len(a.at) == 0:
		return a.end
	case next == 0:
		return a.at[0]
	case next == len(a.at):
		return a.at[next-1]
	}
	before, after := next-1, next
	part := float64(t-a.times[before]) / float64(a.times[after]-a.times[before])
	return a.at[before] + part*(a.at[after]-a.at[before])
}
