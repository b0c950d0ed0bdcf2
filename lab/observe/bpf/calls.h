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

// set_socket notes the internet stream socket behind one of the current
// task's descriptors, and is false if there is none. Programs use the same
// descriptor again and again: of the file and the socket that were the last
// ones, it does not ask again what they are.
static __always_inline bool set_socket(struct thread *t, struct file **files, __u32 fd)
{
	struct call_event *c = &t->call;
	struct file *file = 0;
	struct sock_front begin = {};
	bool known;

	bpf_probe_read_kernel(&file, sizeof(file), files + fd);
	if (!file)
		return false;
	struct socket *socket = BPF_CORE_READ(file, private_data);
	known = file == t->file && socket == t->socket;
	if (!known && (BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) != S_IFSOCK)
		return false;
	struct sock *sk = BPF_CORE_READ(socket, sk);
	if (!sk)
		return false;
	sock_begin(&begin, sk);
	if (begin.family != AF_INET && begin.family != AF_INET6)
		return false;
	if (!known || sk != t->sock) {
		if (BPF_CORE_READ(sk, sk_type) != SOCK_STREAM)
			return false;
		t->file = file;
		t->socket = socket;
		t->sock = sk;
	}
	c->sk = (__u64)sk;
	ends_from(&c->ends, sk, &begin);
	return true;
}

static __always_inline void copy(struct thread *t, __u64 n)
{
	__u32 max = CALL_IS_SHORT(t->call.call) ? BYTES_MAX : DATA_MAX;

	if (n > max)
		n = max;
	t->call.len = bpf_probe_read_user(t->call.data, n, (void *)t->buf) ? 0 : n;
}

static __always_inline struct file **files_of(struct task_struct *task)
{
	return BPF_CORE_READ(task, files, fdt, fd);
}

// copy_sets copies the first 64 descriptors of select's sets.
static __always_inline void copy_sets(struct thread *t)
{
	struct call_event *c = &t->call;

	if (t->buf)
		bpf_probe_read_user(c->data, 8, (void *)t->buf);
	if (c->arg[2])
		bpf_probe_read_user(c->data + 8, 8, (void *)c->arg[2]);
	c->len = 16;
}

// A timeout as user space gives it: seconds and a fraction.
static __always_inline __u64 seconds(__u64 where, __u64 fraction)
{
	__s64 t[2];

	if (!where || bpf_probe_read_user(t, sizeof(t), (void *)where))
		return (__u64)-1;
	return t[0] * 1000000000ULL + t[1] * fraction;
}

#define FD_NONE (-1)

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
	struct thread fresh = {};
	start_task(&fresh.call.head, EVENT_CALL, &who);
	if (bpf_map_update_elem(&calls, &key, &fresh, BPF_ANY))
		lost();
	return bpf_map_lookup_elem(&calls, &key);
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


struct args {
	__u64 a0, a1, a2, a3, a4;
};

// first_iov notes the first buffer of a vector.
static __always_inline void first_iov(struct thread *t, __u64 vector)
{
	__u64 iov[2];

	if (bpf_probe_read_user(iov, sizeof(iov), (void *)vector))
		return;
	t->buf = iov[0];
	t->call.want = iov[1] > 0x7fffffff ? 0x7fffffff : iov[1];
}

// begin notes what a call is about. It is false for what is not reported.
// now is whether the call's data can be read at once.
static __always_inline bool begin(struct thread *t, __u32 call, struct args *a, bool *now)
{
	struct call_event *c = &t->call;
	__u64 vector = 0;

	c->sk = 0;
	c->ends.lport = 0;
	c->ends.rport = 0;
	c->ret = 0;
	c->call = call;
	c->flags = 0;
	c->fd = (__s32)a->a0;
	t->buf = 0;
	c->want = 0;
	c->len = 0;

	switch (call) {
	case CALL_WRITE:
	case CALL_SENDTO:
		*now = true;
	case CALL_READ:
	case CALL_RECVFROM:
		t->buf = a->a1;
		c->want = a->a2 > 0x7fffffff ? 0x7fffffff : a->a2;
		break;
	case CALL_WRITEV:
	case CALL_PWRITEV2:
		*now = true;
	case CALL_READV:
	case CALL_PREADV2:
		first_iov(t, a->a1);
		break;
	case CALL_SENDMSG:
	case CALL_SENDMMSG:
		*now = true;
	case CALL_RECVMSG:
	case CALL_RECVMMSG:
		// struct user_msghdr: msg_iov is its third pointer. A struct
		// mmsghdr begins with one.
		if (!bpf_probe_read_user(&vector, sizeof(vector), (void *)a->a1 + 16))
			first_iov(t, vector);
		break;
	case CALL_CONNECT:
	case CALL_BIND:
		*now = true;
		t->buf = a->a1;
		c->want = a->a2 > 28 ? 28 : a->a2;
		break;
	case CALL_LISTEN:
	case CALL_SHUTDOWN:
		c->arg[0] = a->a1;
		break;
	case CALL_GETSOCKOPT:
		if (a->a1 != 1 /* SOL_SOCKET */ || a->a2 != 4 /* SO_ERROR */)
			return false;
		t->buf = a->a3;
		c->want = 4;
		break;
	case CALL_POLL:
	case CALL_PPOLL:
		// arg: number of descriptors, nanoseconds or -1
		*now = true;
		c->fd = FD_NONE;
		c->arg[0] = a->a1;
		if (call == CALL_PPOLL)
			c->arg[1] = seconds(a->a2, 1);
		else
			c->arg[1] = (__s32)a->a2 < 0 ? -1 : (__s64)(__s32)a->a2 * 1000000;
		t->buf = a->a0;
		c->want = a->a1 > 8 ? 64 : 8 * a->a1;
		break;
	case CALL_SELECT:
	case CALL_PSELECT6:
		// arg: number of descriptors, nanoseconds or -1; data: the first
		// 64 descriptors of the read set and of the write set
		c->fd = FD_NONE;
		c->arg[0] = a->a0;
		c->arg[1] = seconds(a->a4, call == CALL_SELECT ? 1000 : 1);
		c->arg[2] = a->a2;
		t->buf = a->a1;
		copy_sets(t);
		break;
	case CALL_EPOLL_WAIT:
	case CALL_EPOLL_PWAIT:
		c->arg[1] = (__s32)a->a3 < 0 ? -1 : (__s64)(__s32)a->a3 * 1000000;
		t->buf = a->a1;
		break;
	case CALL_EPOLL_PWAIT2:
		c->arg[1] = seconds(a->a3, 1);
		t->buf = a->a1;
		break;
	case CALL_EPOLL_CTL:
		// arg: operation, descriptor; data: struct epoll_event
		*now = true;
		c->arg[0] = a->a1;
		c->arg[1] = a->a2;
		t->buf = a->a3;
		c->want = a->a3 ? EPOLL_EVENT_SIZE : 0;
		break;
	case CALL_WAIT4:
		c->fd = FD_NONE;
		c->arg[0] = a->a0;
		t->buf = a->a1;
		c->want = 4;
		break;
	case CALL_WAITID:
		// arg: idtype, id; data: siginfo_t up to si_status
		c->fd = FD_NONE;
		c->arg[0] = a->a0;
		c->arg[1] = a->a1;
		t->buf = a->a2;
		c->want = 28;
		break;
	case CALL_KILL:
		c->fd = FD_NONE;
		c->arg[0] = a->a0;
		c->arg[1] = a->a1;
		break;
	}
	return true;
}

// is_stdio tells the calls that are reported of descriptors 0 to 2, whatever
// these are.
static __always_inline bool is_stdio(__u32 call, __u32 fd)
{
	return fd <= 2 && call <= CALL_PWRITEV2;
}

// ours tells whether the descriptor is one whose calls are reported, and notes
// its socket. Of splice it may be the other one.
static __always_inline bool ours(struct thread *t, struct file **files, __u32 max_fds, __u64 other)
{
	struct call_event *c = &t->call;

	for (int i = 0; i < 2; i++) {
		if ((__u32)c->fd < max_fds && set_socket(t, files, c->fd)) {
			if (c->call == CALL_SPLICE && i == 0)
				c->flags = CALL_INPUT;
			return true;
		}
		if (c->call != CALL_SPLICE)
			break;
		if (i == 0)
			c->fd = (__s32)other;
	}
	return is_stdio(c->call, c->fd);
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
	bool now = false;

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
	c->head.type = EVENT_CALL; // until it is known to be of interest
	if (call == CALL_COMPAT) {
		unseen(t, UNSEEN_COMPAT);
		return 0;
	}

	// Plain loads, because this is the hot path, and here, where the
	// verifier comes by once.
	struct fdtable *table = task->files->fdt;
	struct file **files = table->fd;
	__u32 max_fds = table->max_fds;
	asm volatile("" : "+r"(files), "+r"(max_fds));

	struct args a = {ARG0(regs), ARG1(regs), ARG2(regs), ARG3(regs), ARG4(regs)};
	if (!begin(t, call, &a, &now))
		return 0;
	if (call <= CALL_GETSOCKOPT) {
		bool yes = ours(t, files, max_fds, a.a2);
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
	if (now)
		copy(t, c->want);
	bpf_get_current_comm(c->head.comm, sizeof(c->head.comm));
	c->start = c->head.time = bpf_ktime_get_ns();
	c->head.type = EVENT_ENTER;
	return 0;
}

// msg_len is how many octets the first message of recvmmsg has.
static __always_inline __u32 msg_len(__u64 messages)
{
	__u32 n = 0;

	bpf_probe_read_user(&n, sizeof(n), (void *)messages + 56);
	return n;
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

// catch_up notes of a lightly begun call, now that it has returned, what is
// otherwise noted when it begins.
static __always_inline void catch_up(struct thread *t, struct slot *s, struct task_struct *task, struct pt_regs *regs)
{
	struct args a = {s->arg0, LATE1(regs), LATE2(regs), LATE3(regs), LATE4(regs)};
	bool now = false;

	begin(t, s->call, &a, &now);
	if (CALL_IS_SHORT(s->call))
		ours(t, files_of(task), BPF_CORE_READ(task, files, fdt, max_fds), a.a2);
	if (now)
		copy(t, t->call.want);
	bpf_get_current_comm(t->call.head.comm, sizeof(t->call.head.comm));
	t->call.start = s->start;
}

#define MSG_ERRQUEUE 0x2000
#define IOV_LOOK 4

// asked_nothing tells a call that was given no room, or that asked for no data.
static __always_inline bool asked_nothing(struct call_event *c, struct pt_regs *regs)
{
	__u64 vector = LATE1(regs), n = LATE2(regs), flags = 0, iov[2 * IOV_LOOK] = {}, sum = 0;

	switch (c->call) {
	case CALL_READ:
		return !c->want;
	case CALL_RECVFROM:
		return !c->want || LATE3(regs) & MSG_ERRQUEUE;
	case CALL_RECVMSG:
		flags = LATE2(regs);
		break;
	case CALL_RECVMMSG:
		flags = LATE3(regs);
		break;
	}
	if (flags & MSG_ERRQUEUE)
		return true;
	if (c->want)
		return false;
	if (c->call == CALL_RECVMSG || c->call == CALL_RECVMMSG) {
		__u64 msg[2]; // msg_iov, msg_iovlen
		if (bpf_probe_read_user(msg, sizeof(msg), (void *)vector + 16))
			return false;
		vector = msg[0];
		n = msg[1];
	}
	if (n > IOV_LOOK)
		return false;
	if (bpf_probe_read_user(iov, n * 16, (void *)vector))
		return false;
	for (int i = 0; i < IOV_LOOK; i++)
		sum |= iov[2 * i + 1];
	return !sum;
}

SEC("tp_btf/sys_exit")
int sys_exit(__u64 *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	struct pt_regs *regs = (void *)ctx[0];
	__s64 ret = (__s64)ctx[1];

	if (!wanted(task, NUMBER(regs)))
		return 0;
	__u32 key = (__u32)bpf_get_current_pid_tgid();
	struct slot *s = slot_at(key);
	bool lightly = false;
	if (s && s->tid == key) {
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
	if (lightly)
		catch_up(t, s, task, regs);
	else if (c->head.type != EVENT_ENTER)
		return 0;
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
		if (c->ret > 0)
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
