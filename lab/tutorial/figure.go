package tutorial

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/seed-6fefc909/tcplab/lab"
	"github.com/seed-6fefc909/tcplab/lab/predict"
	"github.com/seed-6fefc909/tcplab/lab/record"
)

// figureForm is a figure in a paragraph: what is to be put there, and after a
// bar an example, for a page. {silence} and the like are computed; {NAME} is
// an event, {NAME.took} how long its system call took, and {NAME..NAME} the time
// from one, of a call from its beginning, to another.
var figureForm = regexp.MustCompile(`\{([a-z.-]+)(?:\|([^}]*))?\}`)

// computed are the figures that the kernel's rules give. The sysctls are the
// client's.
func computed(name string, p predict.Params, sysctls map[string]string) (string, bool) {
	switch name {
	case "silence":
		if n, err := strconv.Atoi(sysctls[retries2]); err == nil {
			p.Retries2 = n
		}
		return between(predict.Silence(p)), true
	case "silence-default":
		return between(predict.Silence(p)), true
	case "keepalive-default":
		p.Keepalive.On = true
		return between(predict.Keepalives(p)), true
	}
	return "", false
}

// retries2 is the sysctl that decides when TCP gives up.
const retries2 = "net.ipv4.tcp_retries2"

// between gives the bounds of a time.
func between(w predict.Window) string {
	if w.Max < time.Minute {
		return fmt.Sprintf("%.1f to %.1f s", w.Min.Seconds(), w.Max.Seconds())
	}
	least, most := long(w.Min), long(w.Max)
	if least == most {
		return most
	}
	return least + " to " + most
}

// long gives a time of minutes or hours.
func long(d time.Duration) string {
	d = d.Round(time.Second)
	if d >= time.Hour {
		d = d.Round(time.Minute)
		return fmt.Sprintf("%d h %d min", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%d min %d s", d/time.Minute, d%time.Minute/time.Second)
}

// notSeen stands for the figures of a step that was skipped.
const notSeen = "(not seen)"

// measured puts the figures of what was seen into a paragraph.
func measured(text string, seen map[string]*lab.Seen, p predict.Params, sysctls map[string]string) string {
	return figureForm.ReplaceAllStringFunc(text, func(f string) string {
		name := figureForm.FindStringSubmatch(f)[1]
		if figure, ok := computed(name, p, sysctls); ok {
			return figure
		}
		if from, to, ok := strings.Cut(name, ".."); ok {
			a, b := seen[from], seen[to]
			if a == nil || b == nil {
				return notSeen
			}
			return record.Span(b.Event.Time - a.Start())
		}
		name, what, _ := strings.Cut(name, ".")
		one := seen[name]
		switch {
		case one == nil:
			return notSeen
		case what == "took" && one.Event.Syscall != nil:
			return record.Span(one.Event.Syscall.Duration)
		}
		return one.Event.String()
	})
}

// exemplary puts examples in the place of figures that are measured.
func exemplary(text string, sysctls map[string]string) string {
	return figureForm.ReplaceAllStringFunc(text, func(f string) string {
		m := figureForm.FindStringSubmatch(f)
		if figure, ok := computed(m[1], predict.Defaults(), sysctls); ok {
			return figure
		}
		return m[2]
	})
}
