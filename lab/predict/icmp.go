package predict

// ICMP is the kind of destination unreachable that a router answers with: of
// ICMP for IPv4, and of ICMPv6 where the name ends in 6.
type ICMP int

const (
	// HostUnreachable is code 1, what `ip route add unreachable` sends.
	HostUnreachable ICMP = iota
	// NetUnreachable is code 0, what a router without a route sends.
	NetUnreachable
	// AdminProhibited is code 13, what `ip route add prohibit` sends. It
	// undoes no backoff.
	AdminProhibited
	// PortUnreachable is code 3, what netfilter's reject sends unless told
	// otherwise.
	PortUnreachable
	// NoRoute6 is code 0 of ICMPv6: a router without a route, and also `ip
	// -6 route add unreachable` (ip6_pkt_discard).
	NoRoute6
	// AdminProhibited6 is code 1, what `ip -6 route add prohibit` sends.
	AdminProhibited6
	// BeyondScope6 is code 2: the source address is not valid there.
	BeyondScope6
	// AddrUnreachable6 is code 3: neighbour discovery failed.
	AddrUnreachable6
	// PortUnreachable6 is code 4, what netfilter's reject sends unless told
	// otherwise.
	PortUnreachable6
	// PolicyFailed6 is code 5: the source address failed a policy.
	PolicyFailed6
	// RejectRoute6 is code 6: the route to the destination is a reject.
	RejectRoute6
)

// Errno is the translation of icmp_err_convert and icmpv6_err_convert.
func (k ICMP) Errno() string {
	switch k {
	case NetUnreachable, NoRoute6:
		return ENETUNREACH
	case PortUnreachable, PortUnreachable6:
		return ECONNREFUSED
	case AdminProhibited6, PolicyFailed6, RejectRoute6:
		return EACCES
	}
	return EHOSTUNREACH
}

// IPv6 says that it is of ICMPv6.
func (k ICMP) IPv6() bool { return k >= NoRoute6 }

// reverts tells the codes that tcp_v4_err and tcp_v6_err take for RFC 6069:
// two of IPv4, but only one of IPv6.
func (k ICMP) reverts() bool {
	return k == HostUnreachable || k == NetUnreachable || k == NoRoute6
}
