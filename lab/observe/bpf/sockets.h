/* SPDX-License-Identifier: GPL-2.0 OR MIT */
#ifndef SOCKETS_H
#define SOCKETS_H

#define EAGAIN 11
#define AF_INET 2
#define AF_INET6 10
#define SOCK_STREAM 1
#define S_IFMT 0170000
#define S_IFSOCK 0140000
#define TCP_SYN_SENT 2
#define TCP_TIME_WAIT 6
#define TCP_CLOSE 7
#define TCP_LISTEN 10
#define TCP_NEW_SYN_RECV 12
#define IPPROTO_TCP 6

// The beginning of struct sock_common, as every kernel so far has it.
struct sock_front {
	__u32 daddr, rcv_saddr, hash;
	__be16 dport;
	__u16 num, family;
	__u8 state, bits;
};

#define SOCK_AT(field) __builtin_preserve_field_info(((struct sock_common *)0)->skc_##field, BPF_FIELD_BYTE_OFFSET)

// sock_begin reads it at once where it is so, and otherwise field by field.
static __always_inline void sock_begin(struct sock_front *b, struct sock *sk)
{
	if (SOCK_AT(daddr) == 0 && SOCK_AT(rcv_saddr) == 4 && SOCK_AT(dport) == 12 &&
	    SOCK_AT(num) == 14 && SOCK_AT(family) == 16 && SOCK_AT(state) == 18) {
		if (bpf_probe_read_kernel(b, sizeof(*b), sk))
			b->family = 0;
		return;
	}
	b->daddr = BPF_CORE_READ(sk, __sk_common.skc_daddr);
	b->rcv_saddr = BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr);
	b->dport = BPF_CORE_READ(sk, __sk_common.skc_dport);
	b->num = BPF_CORE_READ(sk, __sk_common.skc_num);
	b->family = BPF_CORE_READ(sk, __sk_common.skc_family);
	b->state = BPF_CORE_READ(sk, __sk_common.skc_state);
}

// ends_from makes addresses of it. After close the bound port is gone from
// skc_num and left in inet_sport, which only a full socket has.
static __always_inline void ends_from(struct ends *ends, struct sock *sk, struct sock_front *b)
{
	ends->family = b->family;
	ends->state = b->state;
	ends->lport = b->num;
	ends->rport = bpf_ntohs(b->dport);
	if (!ends->lport && ends->state != TCP_TIME_WAIT && ends->state != TCP_NEW_SYN_RECV)
		ends->lport = bpf_ntohs(BPF_CORE_READ((struct inet_sock *)sk, inet_sport));
	if (ends->family == AF_INET) {
		*(__u32 *)ends->local = b->rcv_saddr;
		*(__u32 *)ends->remote = b->daddr;
	} else if (bpf_core_field_exists(struct sock_common, skc_v6_daddr)) {
		BPF_CORE_READ_INTO((struct in6_addr *)ends->local, sk, __sk_common.skc_v6_rcv_saddr);
		BPF_CORE_READ_INTO((struct in6_addr *)ends->remote, sk, __sk_common.skc_v6_daddr);
	}
}

static __always_inline void ends_of(struct ends *ends, struct sock *sk)
{
	struct sock_front begin = {};

	sock_begin(&begin, sk);
	ends_from(ends, sk, &begin);
}

#endif
