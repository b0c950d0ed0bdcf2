package page

import (
	"cmp"
	"fmt"
	"html/template"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report/ladder"
)

// The merged timeline as a table, with filters by host and by source.
type timeline struct {
	Hosts, Sources []filter
	// Hide is the style that the filters work by: it needs no script.
	Hide template.CSS
	Rows []timelineRow
}

type timelineRow struct {
	// Anchor is of the event that the row is about, Also of others that it
	// tells and that the page leads to.
	Anchor string
	Also   []string
	Class  string
	Time   string
	Source string

	Client, Server string
	Wire           *packet
	Across         string // instead of the three
	Sockets        []socketRow
	Table          bool
}

type socketRow struct {
	Queues                     string
	Local, Remote, State, PIDs string
	Timer                      string
}

// timelineOf makes the table; targets are the events that the page leads to.
func timelineOf(r *record.Record, rows []ladder.Row, targets map[int]bool) timeline {
	t := timeline{}
	hosts, sources := newFilters("host"), newFilters("source")
	for i := range rows {
		w := &rows[i]
		row := timelineRow{Time: since(r, w.Time)}
		var of, by []string
		for n, at := range w.Events {
			e := &r.Events[at]
			of, by = add(of, cmp.Or(e.Host, "network")), add(by, string(e.Source))
			switch {
			case n == 0:
				row.Anchor = anchor(at)
			case targets[at]:
				row.Also = append(row.Also, anchor(at))
			}
		}
		switch {
		case w.Left != nil:
			row.Across, row.Class = w.Left.String(), "folded"
		case w.Across != "":
			row.Across, row.Class = bounded(w.Across, maxText), "across"
		case w.Table:
			row.Across, row.Class, row.Table = "sockets of the "+plain(w.Host), "sockets", true
			row.Sockets = socketRows(w.Sockets)
		default:
			row.Client, row.Server = bounded(w.Client, maxText), bounded(w.Server, maxText)
			if w.Wire != nil {
				row.Wire = packetOf(r, w.Wire)
				if w.Host == "client" {
					of = add(of, "server")
				} else {
					of = add(of, "client")
				}
			}
		}
		row.Source = plain(strings.Join(by, ", "))
		for _, class := range []string{hosts.class(of), sources.class(by)} {
			row.Class = strings.TrimSpace(row.Class + " " + class)
		}
		t.Rows = append(t.Rows, row)
	}
	t.Hosts, t.Sources = hosts.list(), sources.list()
	t.Hide = hosts.style() + sources.style()
	return t
}

func add(list []string, s string) []string {
	if s == "" || slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

// A packet on its way: what it is, which way it went, and how it ended.
type packet struct {
	Text  string
	Class string // right, left; and lost
	End   string // "" if it arrived
}

func packetOf(r *record.Record, a *ladder.Arrow) *packet {
	p := &packet{Text: bounded(a.Text, maxText), Class: "left"}
	if a.Right {
		p.Class = "right"
	}
	if a.Packet == nil {
		p.Class = "unsent"
		return p
	}
	if a.Packet.Proto == "tcp" && !a.Packet.Probe && a.Packet.Len > 0 {
		p.Text += fmt.Sprintf(", seq %d", a.Seq)
	}
	switch a.Packet.Fate {
	case record.FateLost:
		p.Class += " lost"
		p.End = "✕ lost"
	case record.FateAnswered:
		p.End = "┤ " + plain(r.Path)
		if !a.Right {
			p.End = plain(r.Path) + " ├"
		}
	}
	return p
}

func socketRows(rows []record.SocketRow) []socketRow {
	var out []socketRow
	for _, s := range rows {
		out = append(out, socketRow{
			Queues: strconv.Itoa(s.RecvQueue) + " / " + strconv.Itoa(s.SendQueue),
			Local:  plain(s.Local), Remote: plain(s.Remote), State: plain(s.State),
			PIDs: s.Holders(", "), Timer: plain(s.Due()),
		})
	}
	return out
}
