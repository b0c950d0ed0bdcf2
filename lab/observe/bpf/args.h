/* SPDX-License-Identifier: GPL-2.0 OR MIT */
#ifndef ARGS_H
#define ARGS_H

// What a system call is about: its descriptor, its data, its arguments.

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

// copy_sets copies the first 64 descriptors of select's sets, of which either may
// be missing.
static __always_inline void copy_sets(struct thread *t)
{
	struct call_event *c = &t->call;

	__builtin_memset(c->data, 0, 16);
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

#define BEGIN_SKIP 1 /* the call is not reported */
#define BEGIN_DATA 2 /* its data can be read at once */

// begin notes what a call is about. Like the other functions here that are not
// inline it is one that the verifier goes through by itself, once, and not for
// every way that leads to it and on from it.
__noinline int begin(struct thread *t, struct args *a, __u32 call)
{
	__u64 vector = 0;
	int result = 0;

	if (!t || !a)
		return BEGIN_SKIP;
	struct call_event *c = &t->call;
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
		result = BEGIN_DATA;
	case CALL_READ:
	case CALL_RECVFROM:
		t->buf = a->a1;
		c->want = a->a2 > 0x7fffffff ? 0x7fffffff : a->a2;
		break;
	case CALL_WRITEV:
	case CALL_PWRITEV2:
		result = BEGIN_DATA;
	case CALL_READV:
	case CALL_PREADV2:
		first_iov(t, a->a1);
		break;
	case CALL_SENDMSG:
	case CALL_SENDMMSG:
		result = BEGIN_DATA;
	case CALL_RECVMSG:
	case CALL_RECVMMSG:
		// struct user_msghdr: msg_iov is its third pointer. A struct
		// mmsghdr begins with one.
		if (!bpf_probe_read_user(&vector, sizeof(vector), (void *)a->a1 + 16))
			first_iov(t, vector);
		break;
	case CALL_CONNECT:
	case CALL_BIND:
		result = BEGIN_DATA;
		t->buf = a->a1;
		c->want = a->a2 > 28 ? 28 : a->a2;
		break;
	case CALL_LISTEN:
	case CALL_SHUTDOWN:
		c->arg[0] = a->a1;
		break;
	case CALL_GETSOCKOPT:
		if (a->a1 != 1 /* SOL_SOCKET */ || a->a2 != 4 /* SO_ERROR */)
			return BEGIN_SKIP;
		t->buf = a->a3;
		c->want = 4;
		break;
	case CALL_POLL:
	case CALL_PPOLL:
		// arg: number of descriptors, nanoseconds or -1
		result = BEGIN_DATA;
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
		result = BEGIN_DATA;
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
	return result;
}

// is_stdio tells the calls that are reported of descriptors 0 to 2, whatever
// these are.
static __always_inline bool is_stdio(__u32 call, __u32 fd)
{
	return fd <= 2 && call <= CALL_PWRITEV2;
}

// ours tells whether the descriptor is one whose calls are reported, and notes
// its socket. Of splice it may be the other one.
__noinline int ours(struct thread *t, __u64 other)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	if (!t)
		return 0;
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	struct file **files = BPF_CORE_READ(table, fd);
	__u32 max_fds = BPF_CORE_READ(table, max_fds);
	struct call_event *c = &t->call;
	// Unrolled: Linux 6.1 refuses a loop whose last instruction is a call.
#pragma clang loop unroll(full)
	for (int i = 0; i < 2; i++) {
		if ((__u32)c->fd < max_fds && set_socket(t, files, c->fd)) {
			if (c->call == CALL_SPLICE && i == 0)
				c->flags = CALL_INPUT;
			return 1;
		}
		if (c->call != CALL_SPLICE)
			break;
		if (i == 0)
			c->fd = (__s32)other;
	}
	return is_stdio(c->call, c->fd);
}

// msg_len is how many octets the first message of recvmmsg has.
static __always_inline __u32 msg_len(__u64 messages)
{
	__u32 n = 0;

	bpf_probe_read_user(&n, sizeof(n), (void *)messages + 56);
	return n;
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

#endif
