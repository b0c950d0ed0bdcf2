package topology

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"
)

// solicitedNode is the group that an address is solicited at (RFC 4291, 2.7.1).
func solicitedNode(addr netip.Addr) netip.Addr {
	a := addr.As16()
	group := [16]byte{0: 0xff, 1: 0x02, 11: 1, 12: 0xff}
	copy(group[13:], a[13:])
	return netip.AddrFrom16(group)
}

// waitJoined waits until the interface joined the solicited-node group of its
// address and reported that. The kernel comes round to it some milliseconds
// after the address was added (addrconf_dad_work), duplicate address detection
// or not, and till then it answers no solicitation: who asks waits a second to
// ask again.
func (n *Namespace) waitJoined(iface string, addr netip.Addr) error {
	deadline := time.Now().Add(operstateTimeout)
	for pause := 100 * time.Microsecond; ; pause = min(2*pause, 10*time.Millisecond) {
		var table []byte
		err := n.Do(func() (err error) {
			table, err = os.ReadFile("/proc/thread-self/net/igmp6")
			return err
		})
		if err != nil {
			return fmt.Errorf("read multicast groups: %w", err)
		}
		joined, err := hasJoined(string(table), iface, solicitedNode(addr))
		switch {
		case err != nil:
			return fmt.Errorf("read multicast groups: %w", err)
		case joined:
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("%s did not join the group of %s in %v", iface, addr, operstateTimeout)
		}
		time.Sleep(pause)
	}
}

// hasJoined reads /proc/net/igmp6: index, interface, group, users, flags and
// timer. Both addresses of the interface (linkLocal) must use the group, and no
// group's report be still to come (MAF_TIMER_RUNNING).
func hasJoined(table, iface string, group netip.Addr) (bool, error) {
	const timerRunning = 1
	joined := false
	for line := range strings.Lines(table) {
		f := strings.Fields(line)
		if len(f) != 6 {
			return false, errors.New("malformed line " + strconv.Quote(line))
		}
		flags, err := strconv.ParseUint(f[4], 16, 32)
		if err != nil {
			return false, err
		}
		if f[1] != iface {
			continue
		}
		if flags&timerRunning != 0 {
			return false, nil
		}
		if users, err := strconv.Atoi(f[3]); err == nil && users >= 2 && f[2] == fmt.Sprintf("%x", group.As16()) {
			joined = true
		}
	}
	return joined, nil
}
