package record_test

import (
	"bytes"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// readBack reads a record as it is written.
func readBack(t *testing.T, r *record.Record) error {
	t.Helper()
	var b bytes.Buffer
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	_, err := record.Read(&b)
	return err
}

// times are all fields in nanoseconds, by their paths.
func times(v reflect.Value, path string, all map[string]reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			times(v.Elem(), path, all)
		}
	case reflect.Slice:
		for i := range v.Len() {
			times(v.Index(i), path, all)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if name == "ns" || strings.HasSuffix(name, "_ns") {
				all[path+"."+name] = v.Field(i)
			}
			times(v.Field(i), path+"."+name, all)
		}
	}
}

// No time that cannot be reckoned with is read, wherever it stands.
func TestReadBoundsTimes(t *testing.T) {
	r := example()
	all := map[string]reflect.Value{}
	times(reflect.ValueOf(r), "", all)
	if len(all) < 30 {
		t.Fatalf("%d times", len(all))
	}
	if err := readBack(t, r); err != nil {
		t.Fatal(err)
	}
	for path, field := range all {
		was := field.Int()
		for _, extreme := range []int64{math.MinInt64, math.MaxInt64, 1 << 61} {
			field.SetInt(extreme)
			if err := readBack(t, r); err == nil || !strings.Contains(err.Error(), "50 years") {
				t.Errorf("%s of %d is read: %v", path, extreme, err)
			}
		}
		field.SetInt(was)
	}
}

func TestReadRefuses(t *testing.T) {
	for _, c := range []struct {
		name, want string
		change     func(r *record.Record)
	}{
		{"another schema", `schema is "x"`, func(r *record.Record) { r.Schema = "x" }},
		{"nothing", "neither hosts nor events", func(r *record.Record) { *r = record.Record{Schema: record.Schema} }},
		{"no payload", "event 1: of source", func(r *record.Record) { r.Events[1] = record.Event{Time: 5, Source: record.Syscall} }},
		{"no order", "event 2: earlier than the one before it", func(r *record.Record) { r.Events[2].Time = 4 }},
	} {
		r := example()
		c.change(r)
		if err := readBack(t, r); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
	var b bytes.Buffer
	if err := example().Write(&b); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	if _, err := record.Read(strings.NewReader(text + "\n \n")); err != nil {
		t.Error("with space after it:", err)
	}
	for _, rest := range []string{"x", "{}", "1", text} {
		if _, err := record.Read(strings.NewReader(text + rest)); err == nil || !strings.Contains(err.Error(), "after the record") {
			t.Errorf("with %.5q after it: %v", rest, err)
		}
	}
}
