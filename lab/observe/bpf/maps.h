/* SPDX-License-Identifier: GPL-2.0 OR MIT */
#ifndef MAPS_H
#define MAPS_H

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 << 20);
} ring SEC(".maps");

// Bytes that wait in the ring before its reader is woken at once; until then
// it looks by itself every few milliseconds. A wake-up an event would double
// the cost of a system call. 0: it does not look by itself.
const volatile __u64 wake_at = 512 << 10;

// Whether the ring's reader does not look by itself any more, for it found
// nothing for a while. It alone writes here.
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} asleep SEC(".maps");

// Events lost because the ring was full.
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} dropped SEC(".maps");

// The watched network and PID namespaces: inode to host.
struct hosts {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, __u32);
};
struct hosts nets SEC(".maps");
struct hosts pids SEC(".maps");

// A thread of a watched host, with its last system call.
struct thread {
	struct call_event call; // head.type is EVENT_ENTER while it is in progress
	__u64 buf;              // user address of the call's data
	// What set_socket found last, so that it need not look as closely again.
	struct file *file;
	struct socket *socket;
	struct sock *sock;
	__u64 unseen; // enum unseen, as bits: what was told
	__u64 since;  // attached when a call of the thread was last seen
};

// attached is since when sys_enter and sys_exit run, if they were at rest
// before: no beginning of an earlier call counts. 0: they never were.
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} attached SEC(".maps");

static __always_inline __u64 attached_since(void)
{
	__u32 zero = 0;
	__u64 *since = bpf_map_lookup_elem(&attached, &zero);
	return since ? *since : 0;
}

// The threads that made a system call, by the machine's thread id. An entry
// lives as long as the thread: who a thread is does not change, and is
// expensive to find out.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, __u32);
	__type(value, struct thread);
} calls SEC(".maps");

static __always_inline void lost(void)
{
	__u32 zero = 0;
	__u64 *n = bpf_map_lookup_elem(&dropped, &zero);
	if (n)
		*n += 1;
}

static __always_inline __u64 wakes(void)
{
	return bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA) >= wake_at ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP;
}

// rouse wakes the reader for an event that was put into the ring, if it is
// asleep. It must come after that: the reader looks into the ring once more when
// it has said that it is asleep, so that one of the two sees the other. What
// wakes it is a record that is none: it is discarded.
static __always_inline void rouse(void)
{
	__u32 zero = 0;
	volatile __u32 *yes = bpf_map_lookup_elem(&asleep, &zero);
	void *none;

	if (!yes || !*yes)
		return;
	none = bpf_ringbuf_reserve(&ring, 8, 0);
	if (none)
		bpf_ringbuf_discard(none, BPF_RB_FORCE_WAKEUP);
}

static __always_inline void emit(void *event, __u64 size)
{
	if (bpf_ringbuf_output(&ring, event, size, wakes()))
		lost();
	rouse();
}

#endif
