/* SPDX-License-Identifier: GPL-2.0 OR MIT */
#ifndef EPOLL_H
#define EPOLL_H

// What epoll_wait returns is the program's own data of each descriptor. Whose
// it is only epoll_ctl tells: a call that says something new about that is no
// plain one.

#define EPOLL_CTL_ADD 1
#define EPOLL_CTL_MOD 3

#define EPOLLERR 0x8
#define EPOLLHUP 0x10
#define EPOLLRDHUP 0x2000

// Associations that were reported. One that had to make room is reported again.
struct association {
	__u64 data;
	__u32 tgid;
	__s32 epfd;
	__s32 fd;
	__u32 unused;
};

#define ASSOCIATIONS 4096
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, ASSOCIATIONS);
	__type(key, __u32);
	__type(value, struct association);
} associations SEC(".maps");

static __always_inline struct association *association_at(struct association *a)
{
	__u32 i = (a->data + a->epfd + ((__u64)a->tgid << 32)) * 0x9e3779b97f4a7c15ULL >> 52;
	i %= ASSOCIATIONS;
	return bpf_map_lookup_elem(&associations, &i);
}

// says_known tells whether a call of epoll_ctl has nothing new to say.
static __always_inline bool says_known(struct task_struct *task, __s32 epfd, __u32 op, __s32 fd, __u64 event)
{
	struct association a = {.tgid = task->tgid, .epfd = epfd, .fd = fd};

	if (op != EPOLL_CTL_ADD)
		return true; // programs give a descriptor its data when they add it
	if (bpf_probe_read_user(&a.data, sizeof(a.data), (void *)event + EPOLL_DATA_AT))
		return true;
	struct association *known = association_at(&a);
	return known && known->data == a.data && known->tgid == a.tgid && known->epfd == epfd && known->fd == fd;
}

static __always_inline void associate(struct task_struct *task, __s32 epfd, __s32 fd, void *event)
{
	struct association a = {.tgid = task->tgid, .epfd = epfd, .fd = fd};

	__builtin_memcpy(&a.data, event + EPOLL_DATA_AT, sizeof(a.data));
	struct association *known = association_at(&a);
	if (known)
		*known = a;
}

// How many of the events that were returned are looked at for an end or an
// error.
#define EPOLL_LOOK 8

static __always_inline bool epoll_tells_end(__u64 events, __u64 n)
{
	struct { __u8 bytes[EPOLL_LOOK * EPOLL_EVENT_SIZE]; } r = {};
	__u32 bits = 0;

	asm volatile("" : "+r"(n)); // or the compiler hides the bound from the verifier
	if (n > EPOLL_LOOK)
		n = EPOLL_LOOK;
	if (bpf_probe_read_user(&r, n * EPOLL_EVENT_SIZE, (void *)events))
		return true;
#pragma unroll
	for (int i = 0; i < EPOLL_LOOK; i++)
		bits |= *(__u32 *)(r.bytes + i * EPOLL_EVENT_SIZE);
	return bits & (EPOLLERR | EPOLLHUP | EPOLLRDHUP);
}

#define POLL_LOOK 8

static __always_inline bool poll_tells_end(__u64 fds, __u64 n)
{
	struct { __s32 fd; __u16 events, revents; } r[POLL_LOOK] = {};
	__u32 bits = 0;

	asm volatile("" : "+r"(n));
	if (n > POLL_LOOK)
		n = POLL_LOOK;
	if (bpf_probe_read_user(r, n * sizeof(r[0]), (void *)fds))
		return true;
#pragma unroll
	for (int i = 0; i < POLL_LOOK; i++)
		bits |= r[i].revents;
	return bits & (EPOLLERR | EPOLLHUP | EPOLLRDHUP | 0x20 /* POLLNVAL */);
}

#endif
