package predict

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestFires(t *testing.T) {
	type at struct{ Now, Delta, Fires jiffies }
	want := []at{
		{100, 0, 101},        // never in the jiffy it was armed in
		{100, 51, 152},       // level 0: one jiffy late
		{100, 62, 163},       // the last delta of level 0
		{100, 63, 168},       // level 1: the next multiple of 8
		{104, 64, 176},       // on a multiple already: a whole granule late
		{96, 102, 200},       // 408 ms at HZ=250
		{1000, 504, 1536},    // level 2
		{1024, 4032, 5120},   // level 3
		{0, 30000, 59 * 512}, // 120 s at HZ=250 take 120.832 s
	}
	var got []at
	for _, w := range want {
		got = append(got, at{w.Now, w.Delta, fires(w.Now, w.Delta)})
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("fires (-want +got):\n%s", d)
	}
}

func TestClockRounds(t *testing.T) {
	c := clock{250}
	got := []jiffies{c.ceil(0), c.ceil(1), c.ceil(200 * time.Millisecond), c.ceil(201 * time.Millisecond), c.floor(7 * time.Millisecond)}
	if d := cmp.Diff([]jiffies{0, 1, 50, 51, 1}, got); d != "" {
		t.Errorf("jiffies (-want +got):\n%s", d)
	}
}

// The figures of ip-sysctl.rst.
func TestModelTimeout(t *testing.T) {
	c := clock{250}
	want := map[int]time.Duration{
		0: 200 * time.Millisecond, 3: 3 * time.Second, 5: 12600 * time.Millisecond,
		8: 102200 * time.Millisecond, 15: 924600 * time.Millisecond,
	}
	got := map[int]time.Duration{}
	for r := range want {
		got[r] = modelTimeout(c, r, 50, 30000)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("tcp_model_timeout (-want +got):\n%s", d)
	}
}
