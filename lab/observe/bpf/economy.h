/* SPDX-License-Identifier: GPL-2.0 OR MIT */
#ifndef ECONOMY_H
#define ECONOMY_H

// What a steady exchange costs. A program that makes a hundred thousand calls
// a second would be slowed down by the reports, and nobody could read them.
// While a host has a budget, plain calls (CALL_IS_PLAIN) that have nothing
// special to tell (dull) are reported within it and else only counted.
//
// A thread that finds the budget empty takes the light way for a tick: of a
// call's beginning its slot keeps what cannot be found out when it returns. If
// it then has something to tell it is reported all the same.

#define BUDGET_BURST 2048ULL
#define BUDGET_RATE 256ULL /* calls a second */
#define BUDGET_PRICE (1000000000ULL / BUDGET_RATE)

struct budget {
	__u64 at;    // when level was that
	__u64 level; // what may be spent, a call being BUDGET_PRICE
};

// A host without an entry is told of in full.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct budget);
} budgets SEC(".maps");

// The calls that were only counted, by host: those of slots that were given up.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, __u64);
} spared SEC(".maps");

// User space counts it up when it changed nets, pids or budgets: what slots
// remember of these is then void.
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} generation SEC(".maps");

enum slot_state {
	SLOT_IDLE,
	SLOT_LIGHT, /* a call is under way of which only this is known */
	SLOT_DONE,  /* one is of which nothing need be known */
};

#define SLOT_FDS 1024

// A slot, which ebpf_economy.go reads, is a thread's: that of the machine's thread id, or of another with
// the same last bits. Only its owner writes to it while it is under way.
struct slot {
	__u32 tid;
	__u32 host; // 0: the thread is not watched
	__u32 generation;
	__u32 state; // enum slot_state
	__u64 until; // jiffies: before, there is nothing to spend
	__u64 spared;
	__u64 start;
	__u64 arg0;
	__u32 call;
	__u32 unused;
	__u64 fds[SLOT_FDS / 64]; // descriptors whose calls are reported
};

#define SLOTS 4096
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SLOTS);
	__type(key, __u32);
	__type(value, struct slot);
} slots SEC(".maps");

static __always_inline struct slot *slot_at(__u32 tid)
{
	__u32 i = tid % SLOTS;
	return bpf_map_lookup_elem(&slots, &i);
}

static __always_inline __u32 now_generation(void)
{
	__u32 zero = 0;
	__u32 *g = bpf_map_lookup_elem(&generation, &zero);
	return g ? *g : 0;
}

static __always_inline void slot_free(struct slot *s)
{
	if (s->host && s->spared) {
		__u64 *n = bpf_map_lookup_elem(&spared, &s->host);
		if (n)
			__sync_fetch_and_add(n, s->spared);
	}
	s->spared = 0;
	s->tid = 0;
}

// slot_claim makes a slot the thread's own. It is false while another's call
// needs it.
static __always_inline bool slot_claim(struct slot *s, __u32 tid, __u32 host)
{
	__u32 g = now_generation();

	if (s->tid == tid && s->host == host) {
		if (s->generation != g)
			s->until = 0;
		s->generation = g;
		return true;
	}
	if (s->tid && s->tid != tid && s->state == SLOT_LIGHT && s->generation == g)
		return false;
	slot_free(s);
	__builtin_memset(s->fds, 0, sizeof(s->fds));
	s->state = SLOT_IDLE;
	s->until = 0;
	s->host = host;
	s->generation = g;
	s->tid = tid;
	return true;
}

// afford spends on a call. Threads that do so at once may both get the last.
static __always_inline bool afford(__u32 host)
{
	struct budget *b = bpf_map_lookup_elem(&budgets, &host);

	if (!b)
		return true;
	__u64 now = bpf_ktime_get_ns(), level = b->level;
	if (now > b->at)
		level += now - b->at;
	if (level > BUDGET_BURST * BUDGET_PRICE)
		level = BUDGET_BURST * BUDGET_PRICE;
	b->at = now;
	bool can = level >= BUDGET_PRICE;
	b->level = can ? level - BUDGET_PRICE : level;
	return can;
}

// fd_word is where a descriptor's bit is. The mask is for the verifier, out of
// the compiler's sight.
static __always_inline __u64 *fd_word(struct slot *s, __u32 fd)
{
	__u32 i = fd / 64;

	asm volatile("%0 &= 15" : "+r"(i));
	return &s->fds[i];
}

static __always_inline bool fd_known(struct slot *s, __u32 fd)
{
	return fd < SLOT_FDS && *fd_word(s, fd) >> fd % 64 & 1;
}

static __always_inline void fd_note(struct slot *s, __u32 fd, bool yes)
{
	if (fd >= SLOT_FDS)
		return;
	if (yes)
		*fd_word(s, fd) |= 1ULL << fd % 64;
	else
		*fd_word(s, fd) &= ~(1ULL << fd % 64);
}

#endif
