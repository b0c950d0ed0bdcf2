package labtest

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// address puts an address in the place of a name, for the process's resolver
// is the machine's and knows nothing of the network's. "" and localhost are
// those of the network's family, as the host itself has it.
func (n *Network) address(network, address, nobody string) (string, error) {
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
	loopback, every := "127.0.0.1", "0.0.0.0"
	if n.Client.Addr().Is6() {
		loopback, every = "::1", "::"
	}
	known := map[string]string{
		n.Client.Name(): n.Client.Addr().String(), n.Server.Name(): n.Server.Addr().String(),
		"localhost": loopback, anyone: every,
	}
	if n.Standby != nil {
		known[n.Standby.Name()] = n.Standby.Addr().String()
	}
	found, ok := known[strings.TrimSuffix(name, ".")]
	if !ok {
		return "", &net.DNSError{Err: fmt.Sprintf("the network has client, server%s and localhost", n.standbyToo()), Name: name, IsNotFound: true}
	}
	return net.JoinHostPort(found, port), nil
}

// anyone is the name that stands for any address; no resolver takes it.
const anyone = "*"

func (n *Network) standbyToo() string {
	if n.Standby != nil {
		return ", standby"
	}
	return ""
}
