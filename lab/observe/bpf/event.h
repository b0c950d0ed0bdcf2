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
	EVENT_SIGNAL,   /* ... to here */
	EVENT_EXEC,     /* struct exec_event */
};

enum call {
	CALL_NONE,
	CALL_READ,
	CALL_WRITE,
	CALL_READV,
	CALL_WRITEV,
	CALL_SENDTO,
	CALL_RECVFROM,
	CALL_SENDMSG,
	CALL_RECVMSG,
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
	CALL_WAIT4,
	CALL_WAITID,
	CALL_KILL,
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
	__u32 from;   /* EVENT_STATE */
	__u32 to;
	__u32 rto;    /* icsk_rto, jiffies */
	__s32 err;    /* EVENT_ERROR: sk_err; EVENT_RETRANSMIT: what sending gave */
	__u32 reason; /* EVENT_RST_SENT, EVENT_DROP: the kernel's enum */
	__u8 retransmits;
	__u8 backoff;
	__u8 pending; /* icsk_pending */
	__u8 ca;      /* icsk_ca_state */
};

#define DATA_MAX 64  /* of what is passed in memory, such as poll's descriptors */
#define BYTES_MAX 32 /* of what is read and written */

struct call_event {
	struct head head;
	__u64 sk;
	struct ends ends;
	__u64 start;    /* time of entry */
	__s64 ret;
	__u32 call;     /* enum call */
	__s32 fd;
	__u32 len;      /* how much of data is filled */
	__u32 want;     /* how much there may be at thread.buf */
	__u8 data[DATA_MAX];
	__u64 arg[3];   /* by call, see sys_enter() */
};

/* A call that only reads or writes ends with its data: such are most, and
 * what they cost is the memory that they fill. */
#define CALL_IS_SHORT(call) ((call) <= CALL_RECVMSG)

struct proc_event {
	struct head head;
	__u32 peer;   /* fork: the parent; signal: the sender */
	__s32 number; /* exit: the wait status; signal: its number */
};

#define ARGV_MAX 512

struct exec_event {
	struct head head;
	__u32 len;
	__u32 unused;
	char argv[ARGV_MAX]; /* strings, each ended by a NUL, perhaps cut */
};

#endif
