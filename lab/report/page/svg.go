package page

import (
	"fmt"
	"html"
	"html/template"
	"strconv"
	"strings"
)

// A canvas is an SVG drawing in the making. Lengths are CSS pixels; colours
// and fonts are the style sheet's, by class.
type canvas struct {
	width, height float64
	b             strings.Builder
}

// num writes a length as short as it can be.
func num(x float64) string {
	s := strconv.FormatFloat(x, 'f', 1, 64)
	return strings.TrimSuffix(s, ".0")
}

func (c *canvas) line(class string, x1, y1, x2, y2 float64) {
	fmt.Fprintf(&c.b, `<path class="%s" d="M%s %sL%s %s"/>`, class, num(x1), num(y1), num(x2), num(y2))
}

func (c *canvas) rect(class string, x, y, w, h float64) {
	fmt.Fprintf(&c.b, `<rect class="%s" x="%s" y="%s" width="%s" height="%s"/>`, class, num(x), num(y), num(w), num(h))
}

// box is a rectangle with round corners.
func (c *canvas) box(class string, x, y, w, h float64) {
	fmt.Fprintf(&c.b, `<rect class="%s" x="%s" y="%s" width="%s" height="%s" rx="6"/>`, class, num(x), num(y), num(w), num(h))
}

func (c *canvas) circle(class string, x, y, r float64) {
	fmt.Fprintf(&c.b, `<circle class="%s" cx="%s" cy="%s" r="%s"/>`, class, num(x), num(y), num(r))
}

func (c *canvas) path(class, d string) { fmt.Fprintf(&c.b, `<path class="%s" d="%s"/>`, class, d) }

// text writes a text that begins at x; with a class that has "mid" or "end" it
// is centred there, or ends.
func (c *canvas) text(class string, x, y float64, s string) {
	fmt.Fprintf(&c.b, `<text class="%s" x="%s" y="%s">%s</text>`, class, num(x), num(y), html.EscapeString(plain(s)))
}

// tick writes a label below an axis, centred, or within the drawing at its right
// end.
func (c *canvas) tick(x, y float64, s string) {
	const room = 30 // of half a label
	if x > c.width-room {
		c.text("label end", c.width-1, y, s)
		return
	}
	c.text("label mid", x, y, s)
}

// drawn is the drawing, with what it says for who does not see it.
func (c *canvas) drawn(class, label string) template.HTML {
	return template.HTML(fmt.Sprintf(`<svg class="%s" viewBox="0 0 %s %s" width="%s" height="%s" role="img" aria-label="%s">%s</svg>`,
		class, num(c.width), num(c.height), num(c.width), num(c.height), html.EscapeString(plain(label)), c.b.String()))
}

// upright writes a text that reads upwards around a point.
func (c *canvas) upright(class string, x, y float64, s string) {
	fmt.Fprintf(&c.b, `<text class="%s" transform="translate(%s %s)rotate(-90)">%s</text>`, class, num(x), num(y), html.EscapeString(plain(s)))
}

// maxTitle bounds a title, in octets.
const maxTitle = 300

// open begins a group, which has a title for who points at it; shut ends it.
func (c *canvas) open(class, title string) {
	fmt.Fprintf(&c.b, `<g class="%s">`, class)
	if title != "" {
		fmt.Fprintf(&c.b, `<title>%s</title>`, html.EscapeString(bounded(title, maxTitle)))
	}
}

func (c *canvas) shut() { c.b.WriteString("</g>\n") }
