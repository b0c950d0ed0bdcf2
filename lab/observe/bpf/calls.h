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
	if (number >= CALLS_MAX)
		return 0;
	__u32 call = calls_wanted[number];
	if (!call || task->thread_pid->level == 0)
		return 0;
	return call;
}

SEC("tp_btf/sys_enter")
int sys_enter(__u64 *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	struct pt_regs *regs = (void *)ctx[0];
	__u64 iov[2];
	bool now = false; // data can be read at once

	__u32 call = wanted(task, ctx[1]);
	if (!call)
		return 0;
	struct thread *t = thread_of(task);
	if (!t || IS_COMPAT(task))
		return 0;
	struct call_event *c = &t->call;
	c->head.type = EVENT_CALL; // until it is known to be of interest

	// Plain loads, because this is the hot path, and here, where the
	// verifier comes by once.
	struct fdtable *table = task->files->fdt;
	struct file **files = table->fd;
	__u32 max_fds = table->max_fds;
	asm volatile("" : "+r"(files), "+r"(max_fds));

	__u64 a0 = ARG0(regs), a1 = ARG1(regs), a2 = ARG2(regs), a3 = ARG3(regs), a4 = ARG4(regs);
	c->sk = 0;
	c->ends.lport = 0;
	c->ends.rport = 0;
	c->ret = 0;
	c->call = call;
	c->fd = (__s32)a0;
	t->buf = 0;
	c->want = 0;
	c->len = 0;

	switch (call) {
	case CALL_WRITE:
	case CALL_SENDTO:
		now = true;
	case CALL_READ:
	case CALL_RECVFROM:
		t->buf = a1;
		c->want = a2 > 0x7fffffff ? 0x7fffffff : a2;
		c->arg[0] = a2;
		break;
	case CALL_WRITEV:
		now = true;
	case CALL_READV:
		if (bpf_probe_read_user(iov, sizeof(iov), (void *)a1))
			break;
		t->buf = iov[0];
		c->want = iov[1] > 0x7fffffff ? 0x7fffffff : iov[1];
		break;
	case CALL_SENDMSG:
		now = true;
	case CALL_RECVMSG:
		// struct user_msghdr: msg_iov is its third pointer.
		if (bpf_probe_read_user(iov, 8, (void *)a1 + 16) ||
		    bpf_probe_read_user(iov, sizeof(iov), (void *)iov[0]))
			break;
		t->buf = iov[0];
		c->want = iov[1] > 0x7fffffff ? 0x7fffffff : iov[1];
		break;
	case CALL_CONNECT:
	case CALL_BIND:
		now = true;
		t->buf = a1;
		c->want = a2 > 28 ? 28 : a2;
		break;
	case CALL_LISTEN:
	case CALL_SHUTDOWN:
		c->arg[0] = a1;
		break;
	case CALL_GETSOCKOPT:
		if (a1 != 1 /* SOL_SOCKET */ || a2 != 4 /* SO_ERROR */)
			return 0;
		t->buf = a3;
		c->want = 4;
		break;
	case CALL_POLL:
	case CALL_PPOLL:
		// arg: number of descriptors, nanoseconds or -1
		now = true;
		c->fd = FD_NONE;
		c->arg[0] = a1;
		if (call == CALL_PPOLL)
			c->arg[1] = seconds(a2, 1);
		else
			c->arg[1] = (__s32)a2 < 0 ? -1 : (__s64)(__s32)a2 * 1000000;
		t->buf = a0;
		c->want = a1 > 8 ? 64 : 8 * a1;
		break;
	case CALL_SELECT:
	case CALL_PSELECT6:
		// arg: number of descriptors, nanoseconds or -1; data: the first
		// 64 descriptors of the read set and of the write set
		c->fd = FD_NONE;
		c->arg[0] = a0;
		c->arg[1] = seconds(a4, call == CALL_SELECT ? 1000 : 1);
		c->arg[2] = a2;
		t->buf = a1;
		copy_sets(t);
		break;
	case CALL_EPOLL_WAIT:
	case CALL_EPOLL_PWAIT:
		c->arg[1] = (__s32)a3 < 0 ? -1 : (__s64)(__s32)a3 * 1000000;
		break;
	case CALL_EPOLL_PWAIT2:
		c->arg[1] = seconds(a3, 1);
		break;
	case CALL_WAIT4:
		c->fd = FD_NONE;
		c->arg[0] = a0;
		t->buf = a1;
		c->want = 4;
		break;
	case CALL_WAITID:
		// arg: idtype, id; data: siginfo_t up to si_status
		c->fd = FD_NONE;
		c->arg[0] = a0;
		c->arg[1] = a1;
		t->buf = a2;
		c->want = 28;
		break;
	case CALL_KILL:
		c->fd = FD_NONE;
		c->arg[0] = a0;
		c->arg[1] = a1;
		break;
	}

	if (call <= CALL_GETSOCKOPT && ((__u32)c->fd >= max_fds || !set_socket(t, files, c->fd)) &&
	    (call > CALL_WRITEV || (__u32)c->fd > 2))
		return 0;
	if (now)
		copy(t, c->want);
	bpf_get_current_comm(c->head.comm, sizeof(c->head.comm));
	c->start = c->head.time = bpf_ktime_get_ns();
	c->head.type = EVENT_ENTER;
	return 0;
}

SEC("tp_btf/sys_exit")
int sys_exit(__u64 *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	struct pt_regs *regs = (void *)ctx[0];

	if (!wanted(task, NUMBER(regs)))
		return 0;
	__u32 key = (__u32)bpf_get_current_pid_tgid();
	struct thread *t = bpf_map_lookup_elem(&calls, &key);
	if (!t || t->call.head.type != EVENT_ENTER)
		return 0;
	struct call_event *c = &t->call;
	c->head.time = bpf_ktime_get_ns();
	c->head.type = EVENT_CALL;
	c->ret = (__s64)ctx[1];

	switch (c->call) {
	case CALL_ACCEPT:
	case CALL_ACCEPT4:
		if (c->ret >= 0)
			set_socket(t, BPF_CORE_READ(task, files, fdt, fd), c->ret);
		break;
	case CALL_CONNECT:
	case CALL_BIND:
	case CALL_LISTEN:
		if (!c->sk)
			break;
		set_socket(t, BPF_CORE_READ(task, files, fdt, fd), c->fd); // it may have got an address now
		break;
	case CALL_READ:
	case CALL_RECVFROM:
	case CALL_READV:
	case CALL_RECVMSG:
		if (c->ret > 0)
			copy(t, (__u64)c->ret < c->want ? (__u64)c->ret : c->want);
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
