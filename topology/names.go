package topology

import (
	"fmt"
	"strings"
)

// etcHosts is the host's own /etc/hosts: what the names of the network's hosts
// mean there. The router's address is the one that the host has as its gateway.
// The standby's is the server's, the only one that it will ever have. ::1 is
// there where IPv6 is (beQuiet).
func (h *Host) etcHosts(all []*Host) string {
	var b strings.Builder
	b.WriteString("127.0.0.1\tlocalhost\n")
	if h.family == IPv6 {
		b.WriteString("::1\tlocalhost ip6-localhost ip6-loopback\n")
	}
	var standby string
	for _, other := range all {
		if !other.NIC.Address.IsValid() {
			standby = " " + other.Name
		}
	}
	for _, other := range all {
		if !other.NIC.Address.IsValid() {
			continue
		}
		fmt.Fprintf(&b, "%s\t%s", other.NIC.Address.Addr(), other.Name)
		if other.Name == serverName {
			b.WriteString(standby)
		}
		b.WriteByte('\n')
	}
	if h.NIC.Gateway.IsValid() {
		fmt.Fprintf(&b, "%s\t%s\n", h.NIC.Gateway, routerName)
	}
	return b.String()
}

// etcResolv is every host's own /etc/resolv.conf. Without a name server a
// resolver asks its own machine's, here the host's: it is refused at once,
// unless the experiment has one there.
const etcResolv = "# No name server: the network's names are in /etc/hosts.\n"

// etcNsswitch is the host's own nsswitch.conf(5) after the machine's: names of
// hosts are looked up in files and by DNS only, and not by a service of the
// machine (resolve, mdns), which is asked over a socket in the file system and
// would answer from the machine's network.
func etcNsswitch(machines string) string {
	const own = "hosts:\tfiles dns\n"
	var b strings.Builder
	found := false
	for line := range strings.Lines(machines) {
		if database, _, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(database) == "hosts" {
			line, found = own, true
		}
		b.WriteString(line)
	}
	if !found {
		if machines != "" && !strings.HasSuffix(machines, "\n") {
			b.WriteByte('\n')
		}
		b.WriteString(own)
	}
	return b.String()
}
