/* SPDX-License-Identifier: GPL-2.0 OR MIT */
#ifndef CALLS_H
#define CALLS_H

// The programs for system calls.

// calls_wanted gives each system call's enum call by its number. A table and
// not a switch, which would make the verifier go through sys_enter once for
// every case.
#define CALLS_MAX 512
const volatile __u8 calls_wanted[CALLS_MAX] = {
#define X(number, call) [number] = call,
	SYSCALLS(X)
#undef X
};

// blank is a new thread's entry. It is too large for the stack, of which a kernel
// that interprets programs counts more than one that compiles them.
static const volatile struct thread blank;

// thread_of finds the current thread's entry, and makes it if the thread is
// one to be watched.
static __always_inline struct thread *thread_of(struct task_struct *task)
{
	__u32 key = (__u32)bpf_get_current_pid_tgid();
	struct thread *t = bpf_map_lookup_elem(&calls, &key);
	struct who who;

	if (t)
		return t;
	if (!identify(task, &who) || who.pid == 1)
		return 0;
	if (bpf_map_update_elem(&calls, &key, (void *)&blank, BPF_ANY))
		lost();
	t = bpf_map_lookup_elem(&calls, &key);
	if (t)
		start_task(&t->call.head, EVENT_CALL, &who);
	return t;
}

// wanted gives the enum call of a system call's number, 0 if it is of no
// interest; and the machine's own tasks, which are most, are of none. The
// programs run for every call of every task: nothing may come before this.
static __always_inline __u32 wanted(struct task_struct *task, __u64 number)
{
	__u32 call = number < CALLS_MAX ? calls_wanted[number] : 0;

	if (IS_COMPAT(task))
		call = CALL_COMPAT;
	if (!call || task->thread_pid->level == 0)
		return 0;
	return call;
}

// unseen reports that a process does what is not seen here. Its threads each
// may say so.
static __always_inline void unseen(struct thread *t, __u32 what)
{
	struct proc_event e = {};

	if (t->unseen & 1U << what)
		return;
	t->unseen |= 1U << what;
	e.head = t->call.head;
	e.head.time = bpf_ktime_get_ns();
	e.head.type = EVENT_UNSEEN;
	e.number = what;
	bpf_get_current_comm(e.head.comm, sizeof(e.head.comm));
	emit(&e, sizeof(e));
}

// light lets a thread whose host has nothing to spend go on, with what has to
// be known when its call returns. It is false where more is to be known of the
// descriptor.
static __always_inline bool light(struct slot *s, struct task_struct *task, __u32 call, struct pt_regs *regs)
{
	__u64 a0 = ARG0(regs);

	if (call == CALL_EPOLL_CTL) {
		if (!says_known(task, (__s32)a0, (__u32)ARG1(regs), (__s32)ARG2(regs), ARG3(regs)))
			return false;
		s->spared++;
		s->state = SLOT_DONE;
		return true;
	}
	if (CALL_IS_SHORT(call) && !fd_known(s, (__u32)a0))
		return false;
	s->call = call;
	s->arg0 = a0;
	s->start = bpf_ktime_get_ns();
	s->state = SLOT_LIGHT;
	return true;
}

SEC("tp_btf/sys_enter")
int sys_enter(__u64 *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	struct pt_regs *regs = (void *)ctx[0];

	__u32 call = wanted(task, ctx[1]);
	if (!call)
		return 0;
	__u32 tid = (__u32)bpf_get_current_pid_tgid();
	struct slot *s = slot_at(tid);
	if (!s)
		return 0;
	if (s->tid == tid && s->generation == now_generation()) {
		if (!s->host)
			return 0;
		if (CALL_IS_PLAIN(call) && bpf_jiffies64() < s->until && light(s, task, call, regs))
			return 0;
		s->state = SLOT_IDLE;
	}
	struct thread *t = thread_of(task);
	if (!t) {
		slot_claim(s, tid, 0);
		return 0;
	}
	struct call_event *c = &t->call;
	bool mine = slot_claim(s, tid, c->head.host);
	t->since = attached_since();
	c->head.type = EVENT_CALL; // until it is known to be of interest
	if (call == CALL_COMPAT) {
		unseen(t, UNSEEN_COMPAT);
		return 0;
	}

	struct args a = {ARG0(regs), ARG1(regs), ARG2(regs), ARG3(regs), ARG4(regs)};
	int began = begin(t, &a, call);
	if (began & BEGIN_SKIP)
		return 0;
	if (call <= CALL_GETSOCKOPT) {
		bool yes = ours(t, a.a2);
		if (mine && CALL_IS_SHORT(call))
			fd_note(s, (__u32)a.a0, yes);
		if (!yes)
			return 0;
	}
	if (mine && CALL_IS_PLAIN(call) && !afford(c->head.host)) {
		s->until = bpf_jiffies64() + 1;
		if (light(s, task, call, regs))
			return 0;
	}
	if (began & BEGIN_DATA)
		copy(t, c->want);
	bpf_get_current_comm(c->head.comm, sizeof(c->head.comm));
	c->start = c->head.time = bpf_ktime_get_ns();
	c->head.type = EVENT_ENTER;
	return 0;
}

// AT_ONCE is how soon a call returns that did not wait.
#define AT_ONCE 1000000ULL

// dull tells whether a lightly begun call has nothing to tell. Nothing there
// yet is no error; a timeout that expired is one.
static __always_inline bool dull(struct slot *s, __s64 ret, struct pt_regs *regs)
{
	switch (s->call) {
	case CALL_POLL:
		if (ret > 0)
			return !poll_tells_end(s->arg0, LATE1(regs));
		return ret == 0 && !(__u32)LATE2(regs);
	case CALL_PPOLL:
		return ret > 0 && !poll_tells_end(s->arg0, LATE1(regs));
	case CALL_EPOLL_WAIT:
	case CALL_EPOLL_PWAIT:
		if (ret == 0)
			return !(__u32)LATE3(regs);
	case CALL_EPOLL_PWAIT2:
		return ret > 0 && !epoll_tells_end(LATE1(regs), ret);
	case CALL_SENDFILE:
		if (ret == 0)
			return true; // the end of the file
		break;
	case CALL_RECVMMSG:
		if (ret > 0 && !msg_len(LATE1(regs)))
			return false;
		break;
	}
	return ret > 0 || (ret == -EAGAIN && bpf_ktime_get_ns() - s->start < AT_ONCE);
}

// catch_up notes of a call that began lightly, or while the programs were at
// rest, now that it has returned, what is otherwise noted when it begins. It
// is 0 for a call that is of no interest.
__noinline int catch_up(struct thread *t, struct slot *s, __u64 where)
{
	struct pt_regs *regs = (void *)where;

	if (!t || !s)
		return 0;
	struct args a = {s->arg0, LATE1(regs), LATE2(regs), LATE3(regs), LATE4(regs)};
	int result = begin(t, &a, s->call);
	if (result & BEGIN_SKIP || (s->call <= CALL_GETSOCKOPT && !ours(t, a.a2) && s->state == SLOT_DONE))
		return 0;
	if (result & BEGIN_DATA)
		copy(t, t->call.want);
	bpf_get_current_comm(t->call.head.comm, sizeof(t->call.head.comm));
	t->call.start = s->start;
	return 1;
}

// missed_begin tells whether the call that returns began while the programs
// were at rest, and if so makes a slot of it: its beginning is then that of
// their work.
static __always_inline bool missed_begin(struct task_struct *task, struct slot *s, __u32 call, __u32 tid, struct pt_regs *regs)
{
	__u64 since = attached_since();

	if (!since || !s)
		return false;
	struct thread *t = thread_of(task);
	if (!t || t->since == since)
		return false;
	t->since = since;
	t->call.head.type = EVENT_CALL;
	if (call == CALL_COMPAT || !slot_claim(s, tid, t->call.head.host))
		return false;
	s->call = call;
	s->arg0 = LATE0(regs);
	s->start = since;
	s->state = SLOT_DONE;
	return true;
}

SEC("tp_btf/sys_exit")
int sys_exit(__u64 *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	struct pt_regs *regs = (void *)ctx[0];
	__s64 ret = (__s64)ctx[1];

	__u32 call = wanted(task, NUMBER(regs));
	if (!call)
		return 0;
	__u32 key = (__u32)bpf_get_current_pid_tgid();
	struct slot *s = slot_at(key);
	bool lightly = false, late = missed_begin(task, s, call, key, regs);
	if (!late && s && s->tid == key) {
		__u32 state = s->state;
		bool same = s->generation == now_generation();
		s->state = SLOT_IDLE;
		if (state == SLOT_DONE || (!s->host && same))
			return 0;
		lightly = state == SLOT_LIGHT;
		if (lightly && same && dull(s, ret, regs)) {
			s->spared++;
			return 0;
		}
	}
	struct thread *t = bpf_map_lookup_elem(&calls, &key);
	if (!t)
		return 0;
	struct call_event *c = &t->call;
	__u64 where; // regs, as a number: functions take no pointers to the kernel's
	if (lightly || late) {
		if (bpf_probe_read_kernel(&where, sizeof(where), ctx) || !catch_up(t, s, where))
			return 0;
		s->state = SLOT_IDLE;
	} else if (c->head.type != EVENT_ENTER) {
		return 0;
	}
	c->head.time = bpf_ktime_get_ns();
	c->head.type = EVENT_CALL;
	c->ret = ret;

	switch (c->call) {
	case CALL_ACCEPT:
	case CALL_ACCEPT4:
		if (c->ret >= 0)
			set_socket(t, files_of(task), c->ret);
		break;
	case CALL_CONNECT:
	case CALL_BIND:
	case CALL_LISTEN:
		if (!c->sk)
			break;
		set_socket(t, files_of(task), c->fd); // it may have got an address now
		break;
	case CALL_RECVMMSG:
		// What it returned is the number of messages; at the end of the
		// file the first has no octets.
		if (c->ret > 0)
			c->ret = msg_len(LATE1(regs));
	case CALL_READ:
	case CALL_RECVFROM:
	case CALL_READV:
	case CALL_PREADV2:
	case CALL_RECVMSG:
		if (c->ret > 0 && (c->sk || !is_secret(task, c->fd)))
			copy(t, (__u64)c->ret < c->want ? (__u64)c->ret : c->want);
		else if (c->ret == 0 && asked_nothing(c, regs))
			c->flags |= CALL_EMPTY;
		break;
	case CALL_SPLICE:
		if (c->ret == 0 && !(__u32)LATE4(regs))
			c->flags |= CALL_EMPTY;
		break;
	case CALL_EPOLL_WAIT:
	case CALL_EPOLL_PWAIT:
	case CALL_EPOLL_PWAIT2:
		if (c->ret > 0)
			copy(t, c->ret > DATA_MAX / EPOLL_EVENT_SIZE ? DATA_MAX / EPOLL_EVENT_SIZE * EPOLL_EVENT_SIZE
								     : c->ret * EPOLL_EVENT_SIZE);
		break;
	case CALL_EPOLL_CTL:
		if (c->ret == 0 && (c->arg[0] == EPOLL_CTL_ADD || c->arg[0] == EPOLL_CTL_MOD))
			associate(task, c->fd, c->arg[1], c->data);
		break;
	case CALL_GETSOCKOPT:
	case CALL_POLL:
	case CALL_PPOLL:
	case CALL_WAITID:
		if (c->ret >= 0)
			copy(t, c->want);
		break;
	case CALL_WAIT4:
		if (c->ret > 0)
			copy(t, c->want);
		break;
	case CALL_SELECT:
	case CALL_PSELECT6:
		if (c->ret > 0)
			copy_sets(t);
		break;
	case CALL_IO_URING_SETUP:
		if (c->ret >= 0)
			unseen(t, UNSEEN_IO_URING);
		return 0;
	}
	__u64 size = sizeof(*c);
	if (CALL_IS_SHORT(c->call)) {
		__u32 len = *(volatile __u32 *)&c->len;
		size = __builtin_offsetof(struct call_event, data) + (len > BYTES_MAX ? BYTES_MAX : len);
	}
	emit(c, size);
	return 0;
}

#endif
