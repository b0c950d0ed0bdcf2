package main

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"testing"

	"github.com/seed-6fefc909/tcplab/internal/testenv"
	"github.com/seed-6fefc909/tcplab/lab/claims"
)

// What --output json prints is a claims.Report and nothing else.
func TestClaimsAsJSON(t *testing.T) {
	testenv.NeedRoot(t)
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), newLab(t), "claims", "A8", "A10", "--output", "json")
	cmd.Dir = t.TempDir()
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	in := json.NewDecoder(bytes.NewReader(out))
	in.DisallowUnknownFields()
	var report claims.Report
	if err := in.Decode(&report); err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	if in.More() {
		t.Error("there is more than one value")
	}
	if !report.OK || report.Schema != claims.Schema || report.Family != 4 || report.Kernel.HZ == 0 || len(report.Claims) != 2 {
		t.Errorf("the report is %+v", report)
	}
	for i, want := range []struct {
		id     string
		status claims.Status
	}{{"A8", claims.Differs}, {"A10", claims.Confirmed}} {
		if got := report.Claims[i]; got.ID != want.id || got.Status != want.status || !got.Known || got.Event == nil {
			t.Errorf("claim %d is %+v, want %s %s", i, got, want.id, want.status)
		}
	}
}
