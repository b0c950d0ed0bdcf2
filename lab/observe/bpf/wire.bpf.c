// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// The filter of a wire tap: how much of a frame is kept, 0 for none. While the
// tap has a budget, plain segments are kept within it and else only counted;
// economy.h tells why. Whatever opens, closes or breaks a connection, sends
// octets again, probes, or is no TCP is always kept.
#include <linux/bpf.h>
#include <stdbool.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual MIT/GPL";

#define BURST 2048ULL
#define RATE 256ULL /* segments a second */
#define PRICE (1000000000ULL / RATE)

#define SNAP 256    /* the longest headers, and some payload */

// How much of TCP over IPv4 without options, which is most: the headers.
const volatile __u32 snap_tcp = 94;

// struct wire_state, which wire_filter.go reads and writes. The tap has one.
struct state {
	__u32 all; // everything is to be kept
	__u32 unused;
	__u64 until; // jiffies: before, there is nothing to spend
	__u64 at;    // CLOCK_MONOTONIC when level was that
	__u64 level; // what may be spent, a segment being PRICE
	__u64 first; // CLOCK_MONOTONIC: when one was not kept,
	__u64 last;  // and the latest such time, to a jiffy
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct state);
} state SEC(".maps");

// Segments that were not kept.
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} spared SEC(".maps");

// How far some streams were seen to go; one that had to make room begins anew.
struct stream {
	__u64 key;
	__u32 end; // sequence number
	__u32 unused;
};
#define STREAMS 1024
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, STREAMS);
	__type(key, __u32);
	__type(value, struct stream);
} streams SEC(".maps");

#define ETHER 14
#define FLAGS (1 | 2 | 4) /* FIN, SYN, RST */

struct tcp {
	__be16 source, dest;
	__be32 seq, ack;
	__u8 offset, flags;
	__be16 window;
};

struct ipv4 {
	__u8 version, tos;
	__be16 length, id, fragment;
	__u8 ttl, proto;
	__u16 sum;
	__be32 source, dest;
	struct tcp tcp;
};

struct ipv6 {
	__be32 version;
	__be16 length;
	__u8 next, hops;
	__be32 source[4], dest[4];
	struct tcp tcp;
};

// goes_on tells whether a segment is the next of its stream or a plain
// acknowledgement.
static __always_inline bool goes_on(__u64 key, __u32 end, __u32 len)
{
	__u32 i = key * 0x9e3779b97f4a7c15ULL >> 54;
	struct stream *s;

	i %= STREAMS;
	s = bpf_map_lookup_elem(&streams, &i);
	if (!s)
		return true;
	if (s->key == key) {
		__s32 ahead = end - s->end;
		if (ahead < 0 || (ahead == 0 && len))
			return false;
	}
	s->key = key;
	s->end = end;
	return true;
}

// spare tells whether a plain segment is not kept, and counts it.
static __always_inline bool spare(void)
{
	__u32 zero = 0;
	struct state *s = bpf_map_lookup_elem(&state, &zero);

	if (!s || s->all)
		return false;
	__u64 tick = bpf_jiffies64();
	if (tick >= s->until) {
		__u64 now = bpf_ktime_get_ns(), level = s->level;
		if (now > s->at)
			level += now - s->at;
		if (level > BURST * PRICE)
			level = BURST * PRICE;
		s->at = now;
		if (level >= PRICE) {
			s->level = level - PRICE;
			return false;
		}
		s->level = level;
		s->until = tick + 1;
		if (!s->first)
			s->first = now;
		s->last = now;
	}
	__u64 *n = bpf_map_lookup_elem(&spared, &zero);
	if (n)
		*n += 1;
	return true;
}

// is_plain takes the header, the length after the network header, and what
// tells the addresses.
static __always_inline bool is_plain(struct tcp *t, __u32 size, __u64 addresses)
{
	__u32 header = (t->offset >> 4) * 4, len = size > header ? size - header : 0;
	__u64 key = addresses * 31 + ((__u64)t->source << 16 | t->dest);
	__u32 end = bpf_ntohl(t->seq) + len;
	bool next = goes_on(key, end, len);

	return next && !(t->flags & FLAGS) && t->window;
}

SEC("socket")
int wire(struct __sk_buff *skb)
{
	struct ipv4 v4;
	struct ipv6 v6;

	if (skb->protocol == bpf_htons(0x0800)) {
		if (bpf_skb_load_bytes(skb, ETHER, &v4, sizeof(v4)) || v4.version != 0x45 || v4.proto != 6)
			return SNAP;
		__u32 size = bpf_ntohs(v4.length);
		if (!size)
			size = skb->len - ETHER;
		if (!(v4.fragment & bpf_htons(0x3fff)) &&
		    is_plain(&v4.tcp, size - 20, (__u64)v4.source << 32 | v4.dest) && spare())
			return 0;
		return snap_tcp;
	}
	if (skb->protocol == bpf_htons(0x86dd)) {
		if (bpf_skb_load_bytes(skb, ETHER, &v6, sizeof(v6)) || v6.next != 6)
			return SNAP;
		__u32 size = bpf_ntohs(v6.length);
		if (!size)
			size = skb->len - ETHER - 40;
		if (is_plain(&v6.tcp, size, (__u64)v6.source[3] << 32 | (v6.source[2] ^ v6.dest[3])) && spare())
			return 0;
	}
	return SNAP;
}
