/* SPDX-License-Identifier: GPL-2.0 OR MIT */
#ifndef TERMINAL_H
#define TERMINAL_H

#define S_IFCHR 0020000
// Of termios.c_lflag.
#define ICANON 2
#define ECHO 8
// Bits of tty_struct.flags (linux/tty.h).
#define TTY_OTHER_CLOSED 2
#define TTY_HUPPED 18
#define TTY_HUPPING 19

// terminal_of gives the terminal that a file is, if it is one that has not been
// hung up.
static __always_inline struct tty_struct *terminal_of(struct file *file)
{
	if ((BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) != S_IFCHR)
		return 0;
	__u32 major = BPF_CORE_READ(file, f_inode, i_rdev) >> 20;
	// Consoles and serial lines, /dev/tty, pseudo terminals, UARTs of arm64,
	// consoles of hypervisors (Documentation/admin-guide/devices.txt).
	if (major != 4 && major != 5 && (major < 136 || major > 143) && major != 204 && major != 229)
		return 0;
	struct tty_file_private *private = BPF_CORE_READ(file, private_data);
	struct tty_struct *tty = BPF_CORE_READ(private, tty);
	if (!tty || BPF_CORE_READ(tty, flags) & (1UL << TTY_OTHER_CLOSED | 1UL << TTY_HUPPED | 1UL << TTY_HUPPING))
		return 0;
	return tty;
}

static __always_inline struct file *file_at(struct task_struct *task, __u32 fd)
{
	struct file *file = 0;

	bpf_probe_read_kernel(&file, sizeof(file), files_of(task) + fd);
	return file;
}

// shows tells whether a terminal shows what is typed. If not that may be a
// password, and who edits the line shows it otherwise.
static __always_inline bool shows(struct tty_struct *tty)
{
	return BPF_CORE_READ(tty, termios.c_lflag) & ECHO;
}

// is_secret tells whether a descriptor reads from a terminal that does not show
// what is typed.
static __always_inline bool is_secret(struct task_struct *task, __u32 fd)
{
	struct file *file = file_at(task, fd);
	struct tty_struct *tty = file ? terminal_of(file) : 0;

	return tty && !shows(tty);
}

#endif
