package topology

import (
	"encoding/binary"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// networkOrder is v as the kernel takes a number of the wire (__be16).
func networkOrder(v uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, v))
}

// carrier tells whether an interface has one now (ETHTOOL_GLINK). Its
// operational state would tell a little later only. fd is any socket of the
// interface's namespace.
func carrier(fd int, iface string) (bool, error) {
	value := struct{ command, data uint32 }{command: unix.ETHTOOL_GLINK}
	request := struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte // the rest of struct ifreq
	}{data: unsafe.Pointer(&value)}
	copy(request.name[:], iface)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request))); errno != 0 {
		return false, fmt.Errorf("ask %s for its carrier: %w", iface, errno)
	}
	return value.data != 0, nil
}
