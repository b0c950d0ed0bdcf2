// Package testruns reads the records that runs of lab claims left, which many
// tests judge by.
package testruns

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io/fs"
	"os"

	"github.com/seed-6fefc909/tcplab/internal/testenv"
	"github.com/seed-6fefc909/tcplab/lab/record"
)

// Read gives the records of a file, lab/claims/testdata/ipv4.json.gz or its
// twin, by their names. They are the caller's own.
func Read(t testenv.TB, file string) map[string]*record.Record {
	t.Helper()
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrPermission) {
		testenv.Lack(t, "needs to read the records: %v", err) // the clone is another user's
	}
	if err != nil {
		t.Fatalf("open records: %v", err)
	}
	defer f.Close()
	var raw map[string]json.RawMessage
	z, err := gzip.NewReader(f)
	if err == nil {
		err = json.NewDecoder(z).Decode(&raw)
	}
	if err != nil {
		t.Fatalf("read records of %s: %v", file, err)
	}
	records := map[string]*record.Record{}
	for name, text := range raw {
		if records[name], err = record.Read(bytes.NewReader(text)); err != nil {
			t.Fatalf("%s: %s: %v", file, name, err)
		}
	}
	return records
}
