package lab

import (
	"testing"
	"time"

	"github.com/seed-6fefc909/tcplab/internal/testenv"
	"github.com/seed-6fefc909/tcplab/topology"
)

// A session that stays up is observed in full from a fault on, and for a while
// only; a record of it to its end.
func TestEconomyAfterFault(t *testing.T) {
	t.Parallel()
	testenv.NeedRoot(t)
	s, err := Open(Hand{Name: t.Name(), Typed: true, Keep: 5000}, Options{Path: topology.Direct})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, keep := range []int{5000, 0, 5000} {
		if err := s.Renew(Hand{Name: t.Name(), Keep: keep}, false); err != nil {
			t.Fatal(err)
		}
		for i := range 2 {
			if s.e.watch.all != (i > 0 && keep == 0) {
				t.Errorf("keep %d, before fault %d: everything is observed: %v", keep, i, s.e.watch.all)
			}
			if _, err := s.Do(t.Context(), "typed", 1, "fault reboot"); err != nil {
				t.Fatal(err)
			}
			s.economize() // too early
			if !s.e.watch.all {
				t.Errorf("keep %d: not everything is observed just after fault %d", keep, i)
			}
			s.mu.Lock()
			s.economy.due = time.Now()
			s.mu.Unlock()
			s.economize()
		}
	}
}
