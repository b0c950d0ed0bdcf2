package byhand

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// A process that has the id of one that was listed is not taken for it.
func TestHoldAll(t *testing.T) {
	self := os.Getpid()
	for what, test := range map[string]struct {
		second []int
		want   int
	}{
		"listed again":     {[]int{self}, 1},
		"not listed again": {nil, 0},
	} {
		lists := [][]int{{self}, test.second}
		all, err := holdAll(func() (list []int, err error) {
			list, lists = lists[0], lists[1:]
			return list, nil
		})
		if err != nil || len(all) != test.want {
			t.Errorf("%s: held %v, %v; want %d", what, all, err, test.want)
		}
		for _, h := range all {
			if err := unix.PidfdSendSignal(h.fd, 0, nil, 0); h.pid != self || err != nil {
				t.Errorf("%s: process %d is held for %d: %v", what, h.pid, self, err)
			}
			unix.Close(h.fd)
		}
	}
}
