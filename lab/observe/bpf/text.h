/* SPDX-License-Identifier: GPL-2.0 OR MIT */
#ifndef TEXT_H
#define TEXT_H

#define S_IFIFO 0010000
#define PIPEFS_MAGIC 0x50495045
#define NULL_DEVICE (1 << 20 | 3) // as the kernel numbers /dev/null

// What programs print, and what is typed into them: a program of its own, which
// is attached while a host wants it.

// The hosts that want it: host to anything.
struct hosts texts SEC(".maps");

// Processes that printed too much: host and process id to anything.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, __u32);
} muted SEC(".maps");

// The pipes that processes of such a host made, by their inodes: what these
// hand on to each other is not for people. And those that user space reads
// itself. What is looked up often stays longest.
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, __u32);
} pipes SEC(".maps");

// What processes wrote and no event told of, by host and process id. User space
// takes an entry out when the process ends, or its host goes and it has heard of
// the process. The one that has not been used for longest may be displaced before:
// of its octets nothing is told.
struct unseen_text {
	__u64 octets[2];  // by descriptor: 1, 2
	__u32 newline[2]; // whether the last of them ended a line
};
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, struct unseen_text);
} unseen_texts SEC(".maps");

// An event is made in memory and copied into the ring as far as it is filled:
// a shell prints an octet a call. Whatever interrupts the program does not run
// it again on the same processor (bpf_prog.active).
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct text_event);
} text_rooms SEC(".maps");

// What is printed takes no more than half of the ring: whatever is faster than
// the ring's reader must not displace what else is seen. What is typed may take
// the rest.
#define TEXT_SHARE (2 << 20)

// watched tells whether the task is one whose text is wanted.
static __always_inline bool watched(struct task_struct *task, struct who *who)
{
	return identify(task, who) && who->pid != 1 && bpf_map_lookup_elem(&texts, &who->host);
}

// note_pipe notes one that the task has made.
static __always_inline void note_pipe(struct task_struct *task, __u64 fds)
{
	__s32 fd[2];
	struct who who;

	if (IS_COMPAT(task) || !watched(task, &who) || bpf_probe_read_user(fd, sizeof(fd), (void *)fds))
		return;
	struct file *file = file_at(task, fd[1]);
	if (!file)
		return;
	__u64 inode = BPF_CORE_READ(file, f_inode, i_ino);
	bpf_map_update_elem(&pipes, &inode, &who.host, BPF_ANY);
}

// heard tells whether what is written to the file is for people.
static __always_inline bool heard(struct file *file)
{
	__u32 kind = BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT;

	// A FIFO of a file system may have the number of a pipe.
	if (kind == S_IFIFO && BPF_CORE_READ(file, f_inode, i_sb, s_magic) == PIPEFS_MAGIC) {
		__u64 inode = BPF_CORE_READ(file, f_inode, i_ino);
		return !bpf_map_lookup_elem(&pipes, &inode);
	}
	if (kind == S_IFCHR && BPF_CORE_READ(file, f_inode, i_rdev) == NULL_DEVICE)
		return false;
	return kind != S_IFSOCK;
}

// tell_text puts the event into the ring, with n octets from user space. It is 0
// if they cannot be read or there is no room.
__noinline int tell_text(struct text_event *e, __u64 from, __u32 n)
{
	if (!e || n > TEXT_MAX || (e->fd != 0 && bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA) > TEXT_SHARE) ||
	    (n && bpf_probe_read_user(e->data, n, (void *)from)))
		return 0;
	e->len = n;
	emit(e, __builtin_offsetof(struct text_event, data) + n);
	return 1;
}

#define TEXT_EVENTS 64 /* of a call: 256 KiB of a buffer, of which cat fills 128 or 256 */

// A call's buffers, as far as they are not told: n octets at at, and then those
// of a vector; left of them all were written.
struct buffers {
	__u64 at, n;
	__u64 vector, count;
	__u64 left;
};

// tell_buffer tells of a buffer, or a part of it, and is 0 when no more is to be
// told. The verifier looks at it once, and not each time that it is called.
__noinline int tell_buffer(struct text_event *e, struct buffers *b)
{
	__u64 iov[2];

	if (!e || !b)
		return 0;
	if (!b->n) {
		if (!b->count || bpf_probe_read_user(iov, sizeof(iov), (void *)b->vector))
			return 0;
		b->vector += sizeof(iov);
		b->count--;
		b->at = iov[0];
		b->n = iov[1] < b->left ? iov[1] : b->left;
	}
	__u32 n = b->n < TEXT_MAX ? b->n : TEXT_MAX;
	if (n && !tell_text(e, b->at, n))
		return 0;
	b->at += n;
	b->n -= n;
	b->left -= n;
	return b->left > 0;
}

static __always_inline void tell_buffers(struct text_event *e, struct buffers *b)
{
	for (int i = 0; i < TEXT_EVENTS; i++)
		if (!tell_buffer(e, b))
			break;
}

// ends_line tells whether an octet is the end of a line.
static __always_inline bool ends_line(__u64 at)
{
	char last = 0;

	return !bpf_probe_read_user(&last, 1, (void *)at) && last == '\n';
}

// note_unseen counts octets of which nothing is told.
static __always_inline struct unseen_text *note_unseen(__u64 process, __u32 fd, __u64 n, bool newline)
{
	static const struct unseen_text none;
	struct unseen_text *u = bpf_map_lookup_elem(&unseen_texts, &process);

	if (!u) {
		bpf_map_update_elem(&unseen_texts, &process, &none, BPF_NOEXIST);
		u = bpf_map_lookup_elem(&unseen_texts, &process);
		if (!u)
			return 0;
	}
	__sync_fetch_and_add(&u->octets[fd == 2], n);
	u->newline[fd == 2] = newline;
	return u;
}

// tell_unseen tells of such octets, and is false if there is no room for it. It
// takes them first: another thread of the process may be here as well.
static __always_inline bool tell_unseen(struct text_event *e, struct unseen_text *u)
{
	__u64 *octets = &u->octets[e->fd == 2], n = __sync_lock_test_and_set(octets, 0);

	if (!n)
		return true;
	e->unseen = n;
	e->flags = u->newline[e->fd == 2] ? TEXT_NEWLINE : 0;
	bool told = tell_text(e, 0, 0);
	e->unseen = 0;
	e->flags = 0;
	if (!told)
		__sync_fetch_and_add(octets, n);
	return told;
}

// typed tells what was read from a terminal.
static __always_inline void typed(struct text_event *e, struct tty_struct *tty, __u64 from, __u64 n)
{
	struct buffers line = {.at = from, .n = n, .left = n};
	bool all;

	if (!n) {
		e->flags = TEXT_END;
		all = tell_text(e, 0, 0);
	} else if (!shows(tty)) {
		e->flags = TEXT_SECRET;
		all = tell_text(e, from + n - 1, ends_line(from + n - 1));
	} else {
		tell_buffers(e, &line);
		all = !line.left;
	}
	if (!all)
		lost();
}

SEC("tp_btf/sys_exit")
int text(__u64 *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	struct pt_regs *regs = (void *)ctx[0];
	__s64 ret = (__s64)ctx[1];
	struct who who;
	__u32 zero = 0;

	if (MAKES_PIPE(NUMBER(regs)) && ret == 0 && task->thread_pid->level != 0) {
		note_pipe(task, LATE0(regs));
		return 0;
	}
	__u32 call = COPIES(NUMBER(regs)) && !IS_COMPAT(task) ? CALL_SPLICE : wanted(task, NUMBER(regs));
	if (call != CALL_READ && call != CALL_WRITE && call != CALL_WRITEV && call != CALL_PWRITEV2 &&
	    call != CALL_SENDFILE && call != CALL_SPLICE)
		return 0;
	__u64 fd = (__u32)(call == CALL_SPLICE ? LATE2(regs) : LATE0(regs));
	if (call == CALL_READ ? fd != 0 || ret < 0 : (fd != 1 && fd != 2) || ret <= 0)
		return 0;
	if (!watched(task, &who))
		return 0;
	__u64 process = (__u64)who.host << 32 | who.pid;
	bool quiet = bpf_map_lookup_elem(&muted, &process);
	if (quiet && call == CALL_READ)
		return 0;
	struct file *file = file_at(task, fd);
	if (!file || !heard(file))
		return 0;
	struct tty_struct *tty = terminal_of(file);
	// What is read a key at a time is the business of who edits the line.
	if (call == CALL_READ && (!tty || !(BPF_CORE_READ(tty, termios.c_lflag) & ICANON)))
		return 0;
	struct text_event *e = bpf_map_lookup_elem(&text_rooms, &zero);
	if (!e)
		return 0;

	start_task(&e->head, EVENT_TEXT, &who);
	BPF_CORE_READ_INTO(&e->head.comm, task, group_leader, comm);
	e->fd = fd;
	e->flags = 0;
	e->columns = tty ? BPF_CORE_READ(tty, winsize.ws_col) : 0;
	e->unseen = 0;
	__u64 from = LATE1(regs);
	if (call == CALL_READ) {
		typed(e, tty, from, ret);
		return 0;
	}
	struct buffers b = {.left = ret}; // of what the kernel copies itself there are none
	if (call == CALL_WRITE) {
		b.at = from;
		b.n = ret;
	} else if (call == CALL_WRITEV || call == CALL_PWRITEV2) {
		b.vector = from;
		b.count = LATE2(regs);
	}
	struct unseen_text *u = bpf_map_lookup_elem(&unseen_texts, &process);
	if (!quiet && (!u || tell_unseen(e, u)))
		tell_buffers(e, &b);
	if (!b.left)
		return 0;
	u = note_unseen(process, fd, b.left, call == CALL_WRITE && ends_line(from + ret - 1));
	if (u && !quiet)
		tell_unseen(e, u);
	return 0;
}

#endif
