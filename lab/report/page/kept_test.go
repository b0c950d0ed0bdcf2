package page_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/seed-6fefc909/tcplab/lab/report/page"
)

// carrying is a page that carries some text in the place of a record.
func carrying(t *testing.T, text []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	zip, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := zip.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	return []byte(`<!DOCTYPE html><a id="record" download="record.json.gz" href="data:application/gzip;base64,` +
		base64.StdEncoding.EncodeToString(b.Bytes()) + `">the record</a></html>`)
}

// What a page carries is not unpacked without end.
func TestReadIsBounded(t *testing.T) {
	whole := write(t, fixtures(t)["crash"])
	var plain bytes.Buffer
	if err := fixtures(t)["crash"].Write(&plain); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, want string
		page       []byte
	}{
		{"a bomb", "unpacks to more than", carrying(t, bytes.Repeat([]byte(" "), 64<<20+1))},
		{"too long", "no more than", carrying(t, []byte(noise(1<<20)))},
		{"more than a record", "after the record", carrying(t, []byte(plain.String()+"{}"))},
		{"cut before the record", "was cut", whole[:len(whole)/4]},
		{"cut in the record", "was cut", whole[:bytes.Index(whole, []byte("base64,"))+1000]},
		{"of another", "carries no record", []byte("<!DOCTYPE html><title>x</title></html>")},
	} {
		if _, err := page.Read(c.page); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
	if _, err := page.Read(carrying(t, plain.Bytes())); err != nil {
		t.Error("a record:", err)
	}
}
