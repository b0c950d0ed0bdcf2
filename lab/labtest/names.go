package labtest

import (
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// address puts an address in the place of a name: what a command finds in the
// host's /etc/hosts, for this process's resolver is the machine's. nobody is
// what "" stands for.
func (h *Host) address(network, address, nobody string) (string, error) {
	if !strings.HasPrefix(network, "tcp") && !strings.HasPrefix(network, "udp") {
		return "", net.UnknownNetworkError(network)
	}
	name, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", err
	}
	if name == "" {
		name = nobody
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return net.JoinHostPort(name, port), nil
	}
	n := h.network
	loopback, every := "127.0.0.1", "0.0.0.0"
	if n.Client.Addr().Is6() {
		loopback, every = "::1", "::"
	}
	known := map[string]string{"localhost": loopback, anyone: every}
	for _, other := range []*Host{n.Client, n.Server, n.Standby} {
		if other != nil {
			known[other.Name()] = other.Addr().String()
		}
	}
	if gateway := h.host.NIC.Gateway; gateway.IsValid() {
		known["router"] = gateway.String()
	}
	found, ok := known[strings.TrimSuffix(name, ".")]
	if !ok {
		delete(known, anyone)
		names := strings.Join(slices.Sorted(maps.Keys(known)), ", ")
		return "", &net.DNSError{Err: "the network has only " + names, Name: name, IsNotFound: true}
	}
	return net.JoinHostPort(found, port), nil
}

// anyone is the name that stands for any address; no resolver takes it.
const anyone = "*"
