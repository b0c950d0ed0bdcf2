package page

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report/ladder"
)

// plain makes text of programs and packets such that all of it is seen: what
// is not printable, or would turn the direction of writing, is shown as its
// number. To escape it is the template's affair.
func plain(s string) string {
	var b strings.Builder
	for i, c := range s {
		switch {
		case c == utf8.RuneError:
			if _, size := utf8.DecodeRuneInString(s[i:]); size == 1 {
				fmt.Fprintf(&b, `\x%02x`, s[i])
			} else {
				b.WriteRune(c)
			}
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\t':
			b.WriteString("  ")
		case c == ' ' || unicode.IsGraphic(c) && c != '\u00ad':
			b.WriteRune(c)
		case c < 0x100:
			fmt.Fprintf(&b, `\x%02x`, c)
		default:
			fmt.Fprintf(&b, `\u%04x`, c)
		}
	}
	return b.String()
}

// maxText bounds what is shown of one text, in octets.
const maxText = 2000

// bounded cuts a text to what is shown of it, and says how much the record has.
func bounded(s string, most int) string {
	if len(s) <= most {
		return plain(s)
	}
	cut := most
	for cut > most-utf8.UTFMax && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return plain(s[:cut]) + " … (cut here; the record has " + ladder.Thousands(len(s)) + " octets)"
}

// all is bounded of each.
func all(texts []string) []string {
	var out []string
	for _, s := range texts {
		out = append(out, bounded(s, maxText))
	}
	return out
}

// words is an outcome as a person says it.
func words(o record.Outcome) string { return plain(strings.ReplaceAll(string(o), "-", " ")) }

// zero is what a record's times count from.
func zero(r *record.Record) string {
	switch r.Fault.Kind {
	case "":
		return "the beginning of the run"
	case "zero":
		return "the moment that the scenario counts from"
	}
	return "the fault"
}

// since gives a time of the record in seconds, from the fault.
func since(r *record.Record, t int64) string {
	return fine(t - r.Fault.Time)
}

// fine gives a span in seconds, to the microsecond.
func fine(ns int64) string { return fmt.Sprintf("%.6f", time.Duration(ns).Seconds()) }

// seconds gives a span in seconds.
func seconds(ns int64) string { return fmt.Sprintf("%.3f", time.Duration(ns).Seconds()) }

// commandLine is an argument list as it is typed, with single quotes where
// they are needed.
func commandLine(argv []string) string {
	var out []string
	for _, a := range argv {
		if a == "" || strings.ContainsFunc(a, func(c rune) bool {
			return !unicode.IsLetter(c) && !unicode.IsDigit(c) && !strings.ContainsRune("-_./:=,@%+", c)
		}) {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		out = append(out, a)
	}
	return bounded(strings.Join(out, " "), maxText)
}

// A mark is a judgement: in words, with a sign, and a class for its colour.
type mark struct{ Sign, Word, Class string }

// marked makes one of a check.
func marked(ok, unknown bool) mark {
	switch {
	case unknown:
		return mark{"?", "not known", "unknown"}
	case ok:
		return mark{"✓", "ok", "good"}
	}
	return mark{"✕", "not ok", "bad"}
}
