package ladder_test

import (
	"math"
	"testing"

	"github.com/seed-6fefc909/tcplab/lab/report/ladder"
)

func TestCount(t *testing.T) {
	for n, want := range map[int]string{
		0: "0 rows", 1: "1 row", 999: "999 rows", 1203442: "1,203,442 rows", -1: "-1 rows", -1000: "-1,000 rows",
		math.MinInt64: "-9,223,372,036,854,775,808 rows",
	} {
		if got := ladder.Count(n, "row"); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
	if got := ladder.Thousands(uint64(math.MaxUint64)); got != "18,446,744,073,709,551,615" {
		t.Errorf("got %q", got)
	}
}
