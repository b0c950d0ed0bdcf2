package page_test

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report"
	"github.com/seed-6fefc909/tcplab/lab/report/page"
)

// leaves are the numbers, truths, texts and lists of a record.
func leaves(v reflect.Value, all []reflect.Value) []reflect.Value {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			all = leaves(v.Elem(), all)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			all = leaves(v.Field(i), all)
		}
	case reflect.Slice:
		all = append(all, v)
		for i := range v.Len() {
			all = leaves(v.Index(i), all)
		}
	case reflect.Map: // its values cannot be set
	default:
		all = append(all, v)
	}
	return all
}

// pick is one of several.
func pick[T any](rng *rand.Rand, of ...T) T { return of[rng.IntN(len(of))] }

// mutate changes what a record says, one thing.
func mutate(rng *rand.Rand, r *record.Record) {
	all := leaves(reflect.ValueOf(r), nil)
	v := all[rng.IntN(len(all))]
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int, reflect.Int64:
		n := v.Int()
		v.SetInt(pick(rng, 0, -1, 1, math.MinInt64, math.MaxInt64, math.MaxInt32, 1e18, -1e18, 3600e9, n+1, -n, 1000*n, n/1000))
	case reflect.Uint32, reflect.Uint64:
		n := v.Uint()
		v.SetUint(pick(rng, 0, 1, math.MaxUint32, n+1, n/2))
	case reflect.Float64:
		v.SetFloat(pick(rng, 0, -1, 1, 1e300))
	case reflect.String:
		v.SetString(pick(rng, "", "\x1b[2J", "client", "server", "standby", "out", "in", "lost", "arrived", "enter", "call", "wire", "tcp", "EOF", "zero", "ä\u202e", "10.0.0.1:1", "%s"))
	case reflect.Slice:
		switch n := v.Len(); {
		case n > 0 && rng.IntN(3) > 0:
			from := rng.IntN(n)
			v.Set(reflect.AppendSlice(v.Slice(0, from), v.Slice(min(n, from+1+rng.IntN(3)), n)))
		case n > 0:
			v.Set(reflect.Append(v, v.Index(rng.IntN(n))))
		}
	}
}

// reports makes everything of a record that is made of one.
func reports(r, other *record.Record) error {
	report.Compare(r, other)
	for _, err := range []error{
		report.Header(io.Discard, r, report.Screen{}), report.Text(io.Discard, r, report.Screen{Width: 80}),
		report.Diff(io.Discard, r, other, report.Screen{Width: 80}), report.Summary(io.Discard, []*record.Record{r, other}, report.Screen{}),
		report.JUnit(io.Discard, []*record.Record{r}), page.Write(io.Discard, r, page.Options{}), page.SVG(io.Discard, r, false),
		page.SVG(io.Discard, r, true), page.Diff(io.Discard, r, other), page.Index(io.Discard, []page.Entry{{Record: r}, {Record: other}}, nil),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

// extreme makes reports of a real record that was changed at random. What
// record.Read takes they can be made of, soon.
func extreme(t *testing.T, whole []byte, other *record.Record, seed uint64) (taken bool) {
	rng := rand.New(rand.NewPCG(seed, 1))
	r, err := record.Read(bytes.NewReader(whole))
	if err != nil {
		t.Fatal(err)
	}
	for range pick(rng, 1, 2, 5, 30) {
		mutate(rng, r)
	}
	r.Schema = record.Schema
	if rng.IntN(2) == 0 {
		record.Sort(r.Events)
	}
	var b bytes.Buffer
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	if r, err = record.Read(&b); err != nil {
		return false
	}
	done := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				done <- fmt.Errorf("panic: %v", p)
			}
		}()
		done <- reports(r, other)
	}()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
	case <-time.After(20 * time.Second):
		t.Fatalf("seed %d: reports of %s are not made after 20 s", seed, r.Scenario)
	}
	return true
}

// A record that somebody changed may say nonsense, but does no harm.
func TestExtremeRecords(t *testing.T) {
	all := fixtures(t)
	taken := 0
	for i, name := range []string{"crash", "failover", "zero-window-lost", "reboot", "unreachable-net", "close"} {
		var whole bytes.Buffer
		if err := all[name].Write(&whole); err != nil {
			t.Fatal(err)
		}
		for seed := range uint64(15) {
			if extreme(t, whole.Bytes(), all["kill"], 100*uint64(i)+seed) {
				taken++
			}
		}
	}
	if taken < 30 {
		t.Errorf("%d records were taken", taken)
	}
}

// FuzzExtremeRecords looks for more of them.
func FuzzExtremeRecords(f *testing.F) {
	f.Add(uint64(1))
	f.Fuzz(func(t *testing.T, seed uint64) {
		all := fixtures(t)
		var whole bytes.Buffer
		if err := all["failover"].Write(&whole); err != nil {
			t.Fatal(err)
		}
		extreme(t, whole.Bytes(), all["kill"], seed)
	})
}
