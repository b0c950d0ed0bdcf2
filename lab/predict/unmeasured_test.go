package predict

import (
	"testing"
	"time"
)

// Where no round trip was measured the tail loss probe comes after a second,
// however long the timeout is (tcp_schedule_loss_probe).
func TestProbeWithoutARoundTrip(t *testing.T) {
	p := Defaults()
	p.RTO = 3 * time.Second
	if probe := Silence(p).Sends[0]; probe.Kind != KindTLP || probe.Min < 990*time.Millisecond || probe.Max > 1300*time.Millisecond {
		t.Errorf("first sent again: %+v, want a probe after 1 s", probe)
	}
}
