/* SPDX-License-Identifier: GPL-2.0 OR MIT
 *
 * What the programs put into the ring. ebpf_wire.go reads the same layout:
 * change both. Every field is naturally aligned and no struct has padding, so
 * the two architectures agree.
 */
#ifndef EVENT_H
#define EVENT_H

enum event_type {
	EVENT_MARK = 1, /* struct head alone; pid carries the marker's number */
	EVENT_STATE,    /* struct sock_event from here ... */
	EVENT_ERROR,
	EVENT_RETRANSMIT,
	EVENT_RST_RECEIVED,
	EVENT_RST_SENT,
	EVENT_DROP,     /* ... to here */
	EVENT_ENTER,    /* struct call_event, of a call in progress: in the map only */
	EVENT_CALL,     /* struct call_event */
	EVENT_FORK,     /* struct proc_event from here ... */
	EVENT_EXIT,
	EVENT_SIGNAL,
	EVENT_UNSEEN,   /* ... to here */
	EVENT_EXEC,     /* struct exec_event */
	EVENT_TEXT,     /* struct text_event */
};

enum call {
	CALL_NONE,
	CALL_READ,
	CALL_WRITE,
	CALL_READV,
	CALL_WRITEV,
	CALL_PREADV2,
	CALL_PWRITEV2,
	CALL_SENDTO,
	CALL_RECVFROM,
	CALL_SENDMSG,
	CALL_RECVMSG,
	CALL_SENDMMSG,
	CALL_RECVMMSG,
	CALL_SENDFILE,
	CALL_SPLICE,
	CALL_CONNECT,
	CALL_ACCEPT,
	CALL_ACCEPT4,
	CALL_LISTEN,
	CALL_BIND,
	CALL_SHUTDOWN,
	CALL_CLOSE,
	CALL_GETSOCKOPT,
	CALL_POLL,
	CALL_PPOLL,
	CALL_SELECT,
	CALL_PSELECT6,
	CALL_EPOLL_WAIT,
	CALL_EPOLL_PWAIT,
	CALL_EPOLL_PWAIT2,
	CALL_EPOLL_CTL,
	CALL_WAIT4,
	CALL_WAITID,
	CALL_KILL,
	CALL_IO_URING_SETUP, /* this and what follows: never reported as a call */
	CALL_COMPAT,         /* any 32-bit system call */
};

struct head {
	__u64 time; /* CLOCK_MONOTONIC */
	__u32 type; /* enum event_type */
	__u32 host;
	__u32 pid;  /* thread group, as the host's PID namespace numbers it */
	__u32 tid;
	char comm[16];
};

struct ends {
	__u8 local[16];  /* an IPv4 address is in the first four */
	__u8 remote[16];
	__u16 lport;     /* host order, both */
	__u16 rport;
	__u16 family;    /* 0: none */
	__u16 state;     /* TCP_ESTABLISHED and so on */
};

struct sock_event {
	struct head head;
	__u64 sk;
	struct ends ends;
	__u16 from;   /* EVENT_STATE */
	__u16 to;
	__u32 cwnd;   /* tcp_sock.snd_cwnd, segments; 0: not told */
	__u32 rto;    /* icsk_rto, jiffies */
	__s32 err;    /* EVENT_ERROR: sk_err; EVENT_RETRANSMIT: what sending gave */
	__u32 reason; /* EVENT_RST_SENT, EVENT_DROP: the kernel's enum */
	__u8 retransmits;
	__u8 backoff;
	__u8 pending; /* icsk_pending */
	__u8 ca;      /* icsk_ca_state */
};

#define DATA_MAX 96  /* of what is passed in memory, such as poll's descriptors */
#define BYTES_MAX 32 /* of what is read and written */

struct call_event {
	struct head head;
	__u64 sk;
	struct ends ends;
	__u64 start;    /* time of entry */
	__s64 ret;
	__u16 call;     /* enum call */
	__u16 flags;    /* CALL_EMPTY, CALL_INPUT */
	__s32 fd;
	__u32 len;      /* how much of data is filled */
	__u32 want;     /* how much there may be at thread.buf */
	__u8 data[DATA_MAX];
	__u64 arg[3];   /* by call, see sys_enter() */
};

#define CALL_EMPTY 1 /* got nothing, which is no end of file: it asked for nothing */
#define CALL_INPUT 2 /* splice: fd is where it read */

/* A call that only reads or writes ends with its data: such are most, and
 * what they cost is the memory that they fill. */
#define CALL_IS_SHORT(call) ((call) <= CALL_SPLICE)

/* A call of a steady exchange, if it succeeds: see economy.h. */
#define CALL_IS_PLAIN(call) (CALL_IS_SHORT(call) || ((call) >= CALL_POLL && (call) <= CALL_EPOLL_CTL))

/* struct epoll_event is packed on one architecture only. */
#if defined(__TARGET_ARCH_x86)
#define EPOLL_EVENT_SIZE 12
#define EPOLL_DATA_AT 4
#else
#define EPOLL_EVENT_SIZE 16
#define EPOLL_DATA_AT 8
#endif

struct proc_event {
	struct head head;
	__u32 peer;   /* fork: the parent; signal: the sender */
	__s32 number; /* exit: the wait status; signal: its number; unseen: enum unseen */
};

enum unseen {
	UNSEEN_IO_URING = 1,
	UNSEEN_COMPAT,
};

#define ARGV_MAX 512

struct exec_event {
	struct head head;
	__u32 len;
	__u32 unused;
	char argv[ARGV_MAX]; /* strings, each ended by a NUL, perhaps cut */
};

#define TEXT_MAX 4096 /* of what a call reads or writes, in one event */

struct text_event {
	struct head head;
	__u16 fd;      /* 0: typed, 1 and 2: printed */
	__u16 flags;   /* TEXT_SECRET, TEXT_END, TEXT_NEWLINE */
	__u32 columns; /* of the terminal; 0: it is none */
	__u32 len;     /* how much of data is filled */
	__u32 unused;
	__u64 unseen;  /* octets before data of which nothing else is told */
	__u8 data[TEXT_MAX];
};

#define TEXT_SECRET 1  /* typed without echo: of data there is at most the line's end */
#define TEXT_END 2     /* the end of what is typed */
#define TEXT_NEWLINE 4 /* the last of the unseen octets ended a line */

#endif
