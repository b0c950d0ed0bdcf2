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

// An event is made in memory and copied into the ring as far as it is filled:
// a shell prints an octet a call. Whatever interrupts the program does not run
// it again on the same processor (bpf_prog.active).
struct text_room {
	struct text_event event;
	__u8 beyond[2 * TEXT_MAX]; // for the verifier: no end is passed
};
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct text_room);
} text_rooms SEC(".maps");

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

// take copies up to n octets from user space behind what the event has.
static __always_inline void take(struct text_room *room, __u64 from, __u64 n)
{
	__u32 at = room->event.len;

	if (at >= TEXT_MAX)
		return;
	if (n > TEXT_MAX - at)
		n = TEXT_MAX - at;
	// The masks are for the verifier, out of the compiler's sight.
	asm volatile("%0 &= 511" : "+r"(n));
	asm volatile("%0 &= 255" : "+r"(at));
	if (!bpf_probe_read_user(&room->event.data[at], n, (void *)from))
		room->event.len = at + n;
}

#define TEXT_IOVS 4

// take_vector copies from the first buffers of a vector.
static __always_inline void take_vector(struct text_room *room, __u64 vector, __u64 count, __u64 left)
{
	__u64 iov[2];

	for (int i = 0; i < TEXT_IOVS; i++) {
		if (i >= count || bpf_probe_read_user(iov, sizeof(iov), (void *)(vector + i * sizeof(iov))))
			return;
		__u64 n = iov[1] < left ? iov[1] : left;
		take(room, iov[0], n);
		left -= n;
	}
}

// take_end takes the last octet that was read if it is the end of a line.
static __always_inline void take_end(struct text_room *room, __u64 from, __u64 n)
{
	char last = 0;

	if (!n || bpf_probe_read_user(&last, 1, (void *)(from + n - 1)) || last != '\n')
		return;
	room->event.data[0] = last;
	room->event.len = 1;
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
	__u32 call = wanted(task, NUMBER(regs));
	if (call != CALL_READ && call != CALL_WRITE && call != CALL_WRITEV && call != CALL_PWRITEV2)
		return 0;
	__u64 fd = (__u32)LATE0(regs);
	if (call == CALL_READ ? fd != 0 || ret < 0 : (fd != 1 && fd != 2) || ret <= 0)
		return 0;
	if (!watched(task, &who))
		return 0;
	__u64 process = (__u64)who.host << 32 | who.pid;
	if (bpf_map_lookup_elem(&muted, &process))
		return 0;
	struct file *file = file_at(task, fd);
	if (!file || !heard(file))
		return 0;
	struct tty_struct *tty = terminal_of(file);
	// What is read a key at a time is the business of who edits the line.
	if (call == CALL_READ && (!tty || !(BPF_CORE_READ(tty, termios.c_lflag) & ICANON)))
		return 0;
	struct text_room *room = bpf_map_lookup_elem(&text_rooms, &zero);
	if (!room)
		return 0;

	struct text_event *e = &room->event;
	start_task(&e->head, EVENT_TEXT, &who);
	BPF_CORE_READ_INTO(&e->head.comm, task, group_leader, comm);
	e->whole = ret > 0x7fffffff ? 0x7fffffff : ret;
	e->fd = fd;
	e->secret = call == CALL_READ && !shows(tty);
	e->columns = tty ? BPF_CORE_READ(tty, winsize.ws_col) : 0;
	e->len = 0;
	if (e->secret)
		take_end(room, LATE1(regs), ret);
	else if (call == CALL_READ || call == CALL_WRITE)
		take(room, LATE1(regs), ret);
	else
		take_vector(room, LATE1(regs), LATE2(regs), ret);
	__u32 len = *(volatile __u32 *)&e->len;
	emit(e, __builtin_offsetof(struct text_event, data) + (len > TEXT_MAX ? TEXT_MAX : len));
	return 0;
}

#endif
