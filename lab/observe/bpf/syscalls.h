/* SPDX-License-Identifier: GPL-2.0 OR MIT
 *
 * What differs between architectures: numbers and argument registers.
 * X(number, call) for every system call that is reported.
 */
#ifndef SYSCALLS_H
#define SYSCALLS_H

#if defined(__TARGET_ARCH_x86)

#define SYSCALLS(X)            \
	X(0, CALL_READ)        \
	X(1, CALL_WRITE)       \
	X(3, CALL_CLOSE)       \
	X(7, CALL_POLL)        \
	X(19, CALL_READV)      \
	X(20, CALL_WRITEV)     \
	X(23, CALL_SELECT)     \
	X(40, CALL_SENDFILE)   \
	X(42, CALL_CONNECT)    \
	X(43, CALL_ACCEPT)     \
	X(44, CALL_SENDTO)     \
	X(45, CALL_RECVFROM)   \
	X(46, CALL_SENDMSG)    \
	X(47, CALL_RECVMSG)    \
	X(48, CALL_SHUTDOWN)   \
	X(49, CALL_BIND)       \
	X(50, CALL_LISTEN)     \
	X(55, CALL_GETSOCKOPT) \
	X(61, CALL_WAIT4)      \
	X(62, CALL_KILL)       \
	X(232, CALL_EPOLL_WAIT) \
	X(233, CALL_EPOLL_CTL) \
	X(247, CALL_WAITID)    \
	X(270, CALL_PSELECT6)  \
	X(271, CALL_PPOLL)     \
	X(275, CALL_SPLICE)    \
	X(281, CALL_EPOLL_PWAIT) \
	X(288, CALL_ACCEPT4)   \
	X(299, CALL_RECVMMSG)  \
	X(307, CALL_SENDMMSG)  \
	X(327, CALL_PREADV2)   \
	X(328, CALL_PWRITEV2)  \
	X(425, CALL_IO_URING_SETUP) \
	X(441, CALL_EPOLL_PWAIT2)

/* Those that make a pipe. */
#define MAKES_PIPE(number) ((number) == 22 || (number) == 293)
/* copy_file_range */
#define COPIES(number) ((number) == 326)

/* The number of the call, when it returns. Its arguments are there too, but
 * the first may have made room for the result. */
#define NUMBER(r) REG(r, orig_ax, 15)
#define ARG0(r) REG(r, di, 14)
#define ARG1(r) REG(r, si, 13)
#define ARG2(r) REG(r, dx, 12)
#define ARG3(r) REG(r, r10, 7)
#define ARG4(r) REG(r, r8, 9)
/* The arguments when the call returns, where that is not the hot path. */
#define LATE0(r) LATE(r, di, 14)
#define LATE1(r) LATE(r, si, 13)
#define LATE2(r) LATE(r, dx, 12)
#define LATE3(r) LATE(r, r10, 7)
#define LATE4(r) LATE(r, r8, 9)
/* User-Mode Linux keeps the registers as ptrace numbers them. The branch that
 * is not the kernel's is gone once the program is loaded. */
#define NATIVE_REGS bpf_core_field_exists(struct pt_regs, di)
#define UM(r) ((struct pt_regs___um *)(r))
#define REG(r, name, n) (NATIVE_REGS ? (r)->name : UM(r)->regs.gp[n])
#define LATE(r, name, n) (NATIVE_REGS ? BPF_CORE_READ(r, name) : BPF_CORE_READ(UM(r), regs.gp[n]))
/* TS_COMPAT: a 32-bit call, with numbers of its own; User-Mode Linux has none. */
#define IS_COMPAT(task) (NATIVE_REGS && (task)->thread_info.status & 2)

#elif defined(__TARGET_ARCH_arm64)

#define SYSCALLS(X)            \
	X(21, CALL_EPOLL_CTL)  \
	X(22, CALL_EPOLL_PWAIT) \
	X(57, CALL_CLOSE)      \
	X(63, CALL_READ)       \
	X(64, CALL_WRITE)      \
	X(65, CALL_READV)      \
	X(66, CALL_WRITEV)     \
	X(71, CALL_SENDFILE)   \
	X(72, CALL_PSELECT6)   \
	X(73, CALL_PPOLL)      \
	X(76, CALL_SPLICE)     \
	X(95, CALL_WAITID)     \
	X(129, CALL_KILL)      \
	X(200, CALL_BIND)      \
	X(201, CALL_LISTEN)    \
	X(202, CALL_ACCEPT)    \
	X(203, CALL_CONNECT)   \
	X(206, CALL_SENDTO)    \
	X(207, CALL_RECVFROM)  \
	X(209, CALL_GETSOCKOPT) \
	X(210, CALL_SHUTDOWN)  \
	X(211, CALL_SENDMSG)   \
	X(212, CALL_RECVMSG)   \
	X(242, CALL_ACCEPT4)   \
	X(243, CALL_RECVMMSG)  \
	X(260, CALL_WAIT4)     \
	X(269, CALL_SENDMMSG)  \
	X(286, CALL_PREADV2)   \
	X(287, CALL_PWRITEV2)  \
	X(425, CALL_IO_URING_SETUP) \
	X(441, CALL_EPOLL_PWAIT2)

#define MAKES_PIPE(number) ((number) == 59)
#define COPIES(number) ((number) == 285)

#define NUMBER(r) ((__u64)(__u32)(r)->syscallno)
#define ARG0(r) ((r)->regs[0])
#define ARG1(r) ((r)->regs[1])
#define ARG2(r) ((r)->regs[2])
#define ARG3(r) ((r)->regs[3])
#define ARG4(r) ((r)->regs[4])
#define LATE0(r) BPF_CORE_READ(r, orig_x0) /* the result takes its place */
#define LATE1(r) BPF_CORE_READ(r, regs[1])
#define LATE2(r) BPF_CORE_READ(r, regs[2])
#define LATE3(r) BPF_CORE_READ(r, regs[3])
#define LATE4(r) BPF_CORE_READ(r, regs[4])
/* TIF_32BIT: a 32-bit task, with numbers of its own. */
#define IS_COMPAT(task) ((task)->thread_info.flags & (1UL << 22))

#else
#error "no system call table for this architecture"
#endif

#endif
