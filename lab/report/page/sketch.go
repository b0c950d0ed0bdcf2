package page

import (
	"fmt"
	"html/template"
	"strings"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report/ladder"
)

// The drawing's measures.
const (
	boxWidth  = 196
	boxHeight = 124
	boxTop    = 34
	midWidth  = 132
)

// draw draws client, middle and server in a row, a standby below the server.
func draw(r *record.Record) template.HTML {
	if len(r.Hosts) < 2 {
		return ""
	}
	c := &canvas{width: 760, height: boxTop + boxHeight + 14}
	wire := boxTop + boxHeight/2.0
	left, right := 6.0, c.width-6-boxWidth
	middle := (c.width - midWidth) / 2
	between := r.Path != "direct"
	ports := portsOf(r)
	if between {
		link(c, r, left+boxWidth, middle, wire, r.Hosts[0])
		link(c, r, right, middle+midWidth, wire, r.Hosts[1])
		drawMiddle(c, r, middle, ports)
	} else {
		link(c, r, left+boxWidth, right, wire, r.Hosts[0])
		c.text("data small end", right-5, wire-6, r.Hosts[1].Interface)
	}
	names := []string{r.Hosts[0].Name, r.Path, r.Hosts[1].Name}
	for i, h := range r.Hosts {
		switch {
		case i == 0:
			drawHost(c, r, h, left, boxTop)
		case i == 1:
			drawHost(c, r, h, right, boxTop)
		default: // a standby, below
			top := boxTop + float64(i-1)*(boxHeight+30)
			y := top + boxHeight/2.0
			c.height = top + boxHeight + 14
			bend := middle + midWidth - 24
			c.path("wire", "M"+num(bend)+" "+num(boxTop+boxHeight)+"V"+num(y)+"H"+num(right))
			c.text("data small end", right-5, y-6, h.Interface)
			drawHost(c, r, h, right, top)
			names = append(names, h.Name)
		}
	}
	return c.drawn("topology", strings.Join(names, ", ")+"; "+struckWords(r))
}

func struckWords(r *record.Record) string {
	var words []string
	for _, f := range faultsOf(r) {
		words = append(words, f.Kind+" "+where(r, f))
	}
	if len(words) == 0 {
		return "no fault"
	}
	return "fault: " + strings.Join(words, "; ")
}

// drawHost draws a host with its addresses and its programs, and what struck it.
func drawHost(c *canvas, r *record.Record, h record.Host, x, y float64) {
	class, process := "host", "process"
	var struck []string
	for _, f := range faultsOf(r) {
		if f.Host != h.Name {
			continue
		}
		switch placeOf(f) {
		case atMachine:
			class = "host struck"
		case atProcess, atSocket:
			process = "process struck"
		case atWay:
			continue
		}
		struck = append(struck, "✕ "+f.Kind)
	}
	c.box(class, x, y, boxWidth, boxHeight)
	c.text("name", x+12, y+24, h.Name)
	address := h.Address
	if address == "" {
		address = "no address yet"
	}
	c.text("data", x+12, y+44, address)
	c.text("data small", x+12, y+61, h.MAC)
	programs := hostPrograms(r, h.Name)
	if len(programs) > 0 {
		c.box(process, x+10, y+73, boxWidth-20, boxHeight-83)
		c.text("data", x+20, y+90, programs[0])
		rest := ""
		if len(programs) > 1 {
			rest = "and " + ladder.Count(len(programs)-1, "more program")
		}
		if process == "process struck" && struckPID(r, h.Name) != "" {
			rest = struckPID(r, h.Name)
		}
		c.text("data small", x+20, y+106, rest)
	}
	if len(struck) > 0 {
		c.text("fault end", x+boxWidth-2, y-8, strings.Join(struck, ", "))
		if class == "host struck" {
			cross(c, x+boxWidth-20, y+20, 9)
		} else {
			cross(c, x+boxWidth-26, y+93, 8)
		}
	}
}

// struckPID names the process that a fault befell.
func struckPID(r *record.Record, host string) string {
	for _, f := range faultsOf(r) {
		if f.Host == host && placeOf(f) == atProcess && f.PID > 0 && f.Kind != "shutdown" {
			return fmt.Sprintf("process %d holds it", f.PID)
		}
	}
	return ""
}

// hostPrograms names what ran on a host.
func hostPrograms(r *record.Record, host string) []string {
	var names []string
	for _, p := range r.Programs {
		if p.Host == host && len(p.Argv) > 0 {
			name := p.Argv[0][strings.LastIndex(p.Argv[0], "/")+1:]
			if name = plain(name); len([]rune(name)) > 18 {
				name = string([]rune(name)[:17]) + "…"
			}
			names = append(names, fmt.Sprintf("%s [%d]", name, p.PID))
		}
	}
	return names
}

// drawMiddle draws the switch or the router, with its addresses if it has any.
func drawMiddle(c *canvas, r *record.Record, x float64, ports map[string]port) {
	class := "middle"
	var struck []string
	for _, f := range faultsOf(r) {
		if p := placeOf(f); p == atMiddle || p == atWay {
			class = "middle struck"
			struck = append(struck, "✕ "+f.Kind)
		}
	}
	const y = boxTop
	c.box(class, x, y, midWidth, boxHeight)
	c.text("name mid", x+midWidth/2, y+24, r.Path)
	below := y + 44.0
	if r.Firewall != "" {
		c.text("data mid", x+midWidth/2, below, "firewall: "+r.Firewall)
		below += 18
	}
	for _, h := range r.Hosts[:2] {
		if p, ok := ports[h.Name]; ok {
			c.text("data mid", x+midWidth/2, below, p.address)
			c.text("data small mid", x+midWidth/2, below+13, p.mac)
			below += 30
		}
	}
	if len(struck) > 0 {
		c.text("fault mid", x+midWidth/2, y-8, strings.Join(struck, ", "))
		cross(c, x+midWidth-16, y+18, 8)
	}
}

// link draws one from a host's box to another place, with the interface's name
// at the host's end, the delay on the client's, and where the fault cut it.
func link(c *canvas, r *record.Record, from, to, y float64, host record.Host) {
	class, cut, oneWay := "wire", false, false
	for _, f := range faultsOf(r) {
		if f.Host != host.Name {
			continue
		}
		switch placeOf(f) {
		case atMachine:
			cut = true
			class = "wire cut"
		case atWay:
			oneWay = true
		}
	}
	c.line(class, from, y, to, y)
	if from < to {
		c.text("data small", from+5, y-6, host.Interface)
	} else {
		c.text("data small end", from-5, y-6, host.Interface)
	}
	if r.Path == "direct" { // the other end's fault cuts it, too
		for _, f := range faultsOf(r) {
			cut = cut || placeOf(f) == atMachine
		}
	}
	if cut {
		cross(c, (from+to)/2, y, 8)
	}
	if oneWay {
		ways(c, from, to, y)
	}
	if d := r.Delay; d.By != "" && host.Name == r.Hosts[0].Name {
		c.text("data small mid", (from+to)/2, y-22, record.Span(d.Time)+" each way")
		if d.Loss > 0 {
			c.text("data small mid", (from+to)/2, y-37, fmt.Sprintf("%g%% lost", 100*d.Loss))
		}
	}
}

// ways draws below a link that what comes from its host ends in the middle, and
// what is for it gets through.
func ways(c *canvas, host, middle, y float64) {
	toward := 1.0 // from the host to the middle
	if middle < host {
		toward = -1
	}
	stop := middle - toward*14
	c.line("way lost", host+toward*6, y+20, stop-toward*10, y+20)
	cross(c, stop, y+20, 7)
	c.line("way", middle-toward*4, y+42, host+toward*8, y+42)
	c.path("way head", fmt.Sprintf("M%s %sl%s -4v8z", num(host+toward*4), num(y+42), num(toward*8)))
}

// cross draws the sign of a fault.
func cross(c *canvas, x, y, size float64) {
	c.circle("strike", x, y, size+3)
	d := size * 0.55
	c.line("strike", x-d, y-d, x+d, y+d)
	c.line("strike", x-d, y+d, x+d, y-d)
}
