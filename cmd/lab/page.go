package main

import (
	"bufio"
	"fmt"
	"io"
	"os"

	"github.com/seed-6fefc909/tcplab/lab/claims"
	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report"
	"github.com/seed-6fefc909/tcplab/lab/report/page"
)

// pageName is what a run's page in the directory of --out is called.
const pageName = "report.html"

// writePage writes a run's page, with what the book says of it.
func writePage(w io.Writer, r *record.Record) error {
	var o page.Options
	for _, c := range claims.Of(r) {
		o.Claims = append(o.Claims, page.Claim{ID: c.ID, Says: c.Says, Status: string(c.Status), Known: c.Known, Seen: c.Seen, Why: c.Why, Needs: c.Needs})
	}
	return page.Write(w, r, o)
}

// maxPage bounds what is read of a page, in octets: those of the longest runs
// have a tenth of it.
const maxPage = 128 << 20

// byteOrderMark is what some editors put before a text that they save as UTF-8.
const byteOrderMark = "\ufeff"

// readRecord reads a record, or the one that a page carries.
func readRecord(name string) (*record.Record, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err // it says which file
	}
	defer f.Close()
	in := bufio.NewReader(f)
	if mark, _ := in.Peek(len(byteOrderMark)); string(mark) == byteOrderMark {
		_, _ = in.Discard(len(byteOrderMark)) // it is buffered
	}
	begin, _ := in.Peek(512) // a shorter file is no page, and an error is met again
	if report.IsPCAPNG(begin) {
		return nil, fmt.Errorf("read %s: it is a capture, not the record that belongs to it", name)
	}
	if !page.Is(begin) {
		r, err := record.Read(in)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		return r, nil
	}
	whole, err := io.ReadAll(io.LimitReader(in, maxPage+1))
	if err == nil && len(whole) > maxPage {
		err = fmt.Errorf("more than %d octets: no page is so large", maxPage)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	r, err := page.Read(whole)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return r, nil
}
