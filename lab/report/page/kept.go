package page

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report/ladder"
)

// maxCopy bounds the copy of the record in a page, in octets as it is written
// there.
const maxCopy = 1 << 20

// maxRecord bounds what a copy unpacks to, in octets. Copies of real runs are
// some twenty times smaller packed; another's might unpack to anything.
const maxRecord = 64 << 20

// A kept is the copy of the record that a page carries.
type kept struct {
	Link template.HTML // "" if there is none: it would be too large
	Size string
	// Left is how many events an excerpt does not have, "" of a whole record.
	Left string
}

// keep makes the copy: the whole record, or, if that is too large, one without
// the events of stretches that the timeline folds, which says so itself
// (Record.LeftOut), or none.
func keep(r *record.Record, rows []ladder.Row) (kept, error) {
	encoded, fits, err := encode(r)
	if err != nil {
		return kept{}, err
	}
	var k kept
	if !fits {
		short := excerpt(r, rows)
		k.Left = ladder.Thousands(short.LeftOut) + " of the run's " + ladder.Thousands(len(r.Events)+r.LeftOut) +
			" events, of long stretches of the same, are left out of this copy, which says so in left_out. The whole is record.json, if it was kept."
		if encoded, fits, err = encode(short); err != nil || !fits {
			return kept{}, err
		}
	} else if r.LeftOut > 0 {
		k.Left = ladder.Thousands(r.LeftOut) + " events, of long stretches of the same, were not in the record that this page was made from, and are not in its copy."
	}
	k.Size = ladder.Thousands(len(encoded))
	k.Link = template.HTML(copyBegins + string(encoded) + `">the record, gzipped JSON</a>`)
	return k, nil
}

// excerpt is the record without what the timeline folds: of each stretch the
// packets, calls and output that no row tells.
func excerpt(r *record.Record, rows []ladder.Row) *record.Record {
	told := placesOf(r, rows).told
	short := *r
	short.Events = nil
	next := 0 // the first row that is not before the event
	for i := range r.Events {
		e := &r.Events[i]
		for next < len(rows) && (rows[next].Left == nil || rows[next].Time < e.Time) {
			next++
		}
		folded := next < len(rows) && rows[next].Left.From <= e.Time && !told[i]
		switch e.Source {
		case record.Wire, record.Syscall, record.TCP, record.Output:
			if folded {
				short.LeftOut++
				continue
			}
		}
		short.Events = append(short.Events, *e)
	}
	return &short
}

// copyBegins is what stands before the copy. Nothing else on a page can be like
// it: what is not the page's own is escaped.
const copyBegins = `<a id="record" download="record.json.gz" href="data:application/gzip;base64,`

// encode gives a record as gzipped JSON in base64, and tells whether a page can
// carry it.
func encode(r *record.Record) (encoded []byte, fits bool, err error) {
	var b bytes.Buffer
	text := base64.NewEncoder(base64.StdEncoding, &b)
	zip := gzip.NewWriter(text)
	var size tally
	enc := json.NewEncoder(io.MultiWriter(zip, &size))
	enc.SetEscapeHTML(false)
	if err := errors.Join(enc.Encode(r), zip.Close(), text.Close()); err != nil {
		return nil, false, fmt.Errorf("put the record into the page: %w", err)
	}
	return b.Bytes(), b.Len() <= maxCopy && size <= maxRecord, nil
}

// A tally counts the octets that are written to it.
type tally int

func (t *tally) Write(b []byte) (int, error) {
	*t += tally(len(b))
	return len(b), nil
}

// ErrNoRecord is what a page that carries no record is read with.
var ErrNoRecord = errors.New("the page carries no record")

// errCut is what a page without its end is read with.
var errCut = errors.New("the page was cut: the end of it is missing, and the record with that")

// Read gives the record that a page carries.
func Read(page []byte) (*record.Record, error) {
	_, text, found := bytes.Cut(page, []byte(copyBegins))
	text, _, closed := bytes.Cut(text, []byte(`"`))
	switch {
	case found && !closed, !found && Marked(page) && !bytes.HasSuffix(bytes.TrimSpace(page), []byte("</html>")):
		return nil, errCut
	case !found:
		return nil, ErrNoRecord
	case len(text) > maxCopy:
		return nil, fmt.Errorf("read the record of a page: %d octets: lab puts no more than %d into one", len(text), maxCopy)
	}
	zip, err := gzip.NewReader(base64.NewDecoder(base64.StdEncoding, bytes.NewReader(text)))
	if err != nil {
		return nil, fmt.Errorf("read the record of a page: %w", err)
	}
	whole, err := io.ReadAll(io.LimitReader(zip, maxRecord+1))
	if err != nil {
		return nil, fmt.Errorf("read the record of a page: %w", err)
	}
	if len(whole) > maxRecord {
		return nil, fmt.Errorf("read the record of a page: it unpacks to more than %d octets", maxRecord)
	}
	return record.Read(bytes.NewReader(whole))
}

// Marked tells whether a file is a page that this package wrote, of one run or
// of several, by its beginning.
func Marked(file []byte) bool {
	return Is(file) && bytes.Contains(file[:min(len(file), 512)], []byte(`<meta name="generator" content="lab">`))
}

// Is tells whether a file is a page, by its beginning.
func Is(file []byte) bool {
	return bytes.HasPrefix(bytes.TrimSpace(file[:min(len(file), 512)]), []byte("<!DOCTYPE html>"))
}
