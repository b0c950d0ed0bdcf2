// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Tracepoint programs that report what the TCP sockets and the tasks of the
// watched hosts do. BTF tracepoints only: they need neither kprobes nor
// function tracing, which hardened kernels switch off.
#include <linux/bpf.h>
#include <stdbool.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "event.h"
#include "kernel.h"
#include "syscalls.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

// How many arguments the running kernel gives a tracepoint that gained some
// over time. The verifier sees constants and skips what they rule out.
const volatile __u32 args_tcp_retransmit_skb = 2;
const volatile __u32 args_tcp_send_reset = 2;
const volatile __u32 args_kfree_skb = 2;
const volatile __u32 args_sched_process_exit = 1;

#include "maps.h"
#include "hosts.h"
#include "sockets.h"
#include "economy.h"
#include "epoll.h"
#include "args.h"
#include "terminal.h"
#include "calls.h"
#include "text.h"

// sock_start fills in what every event of a socket has, and is false for a
// socket that is of no interest.
static __always_inline bool sock_start(struct sock_event *e, __u32 type, struct sock *sk)
{
	__u32 host = host_of_net(BPF_CORE_READ(sk, __sk_common.skc_net.net));
	if (!host)
		return false;
	start(&e->head, type, host);
	e->sk = (__u64)sk;
	ends_of(&e->ends, sk);
	return true;
}

// cwnd_of reads the congestion window of a full socket.
static __always_inline __u32 cwnd_of(struct sock *sk)
{
	if (!bpf_core_field_exists(struct tcp_sock, snd_cwnd))
		return 0;
	return BPF_CORE_READ((struct tcp_sock *)sk, snd_cwnd);
}

static __always_inline void timers_of(struct sock_event *e, struct sock *sk)
{
	struct inet_connection_sock *icsk = (void *)sk;

	e->rto = BPF_CORE_READ(icsk, icsk_rto);
	e->retransmits = BPF_CORE_READ(icsk, icsk_retransmits);
	e->backoff = BPF_CORE_READ(icsk, icsk_backoff);
	e->pending = BPF_CORE_READ(icsk, icsk_pending);
	e->ca = BPF_CORE_READ_BITFIELD_PROBED(icsk, icsk_ca_state);
	e->cwnd = cwnd_of(sk);
}

SEC("tp_btf/inet_sock_set_state")
int inet_sock_set_state(__u64 *ctx)
{
	struct sock *sk = (void *)ctx[0];
	struct sock_event e = {};

	if (BPF_CORE_READ(sk, sk_protocol) != IPPROTO_TCP || !sock_start(&e, EVENT_STATE, sk))
		return 0;
	e.from = ctx[1];
	e.to = ctx[2];
	// A client's is set only after it is connected (tcp_init_transfer).
	if (e.from != TCP_CLOSE && e.from != TCP_LISTEN && e.from != TCP_SYN_SENT)
		e.cwnd = cwnd_of(sk);
	emit(&e, sizeof(e));
	return 0;
}

SEC("tp_btf/inet_sk_error_report")
int inet_sk_error_report(__u64 *ctx)
{
	struct sock *sk = (void *)ctx[0];
	struct sock_event e = {};

	if (BPF_CORE_READ(sk, sk_protocol) != IPPROTO_TCP || !sock_start(&e, EVENT_ERROR, sk))
		return 0;
	// tcp_disconnect reports too, after it has cleared the error.
	e.err = BPF_CORE_READ(sk, sk_err);
	if (!e.err)
		return 0;
	timers_of(&e, sk);
	emit(&e, sizeof(e));
	return 0;
}

SEC("tp_btf/tcp_retransmit_skb")
int tcp_retransmit_skb(__u64 *ctx)
{
	struct sock *sk = (void *)ctx[0];
	struct sock_event e = {};

	if (!sock_start(&e, EVENT_RETRANSMIT, sk))
		return 0;
	timers_of(&e, sk);
	if (args_tcp_retransmit_skb > 2)
		e.err = (__s32)ctx[2];
	emit(&e, sizeof(e));
	return 0;
}

SEC("tp_btf/tcp_receive_reset")
int tcp_receive_reset(__u64 *ctx)
{
	struct sock *sk = (void *)ctx[0];
	struct sock_event e = {};

	if (!sock_start(&e, EVENT_RST_RECEIVED, sk))
		return 0;
	emit(&e, sizeof(e));
	return 0;
}

// ends_of_reply reads the addresses from the segment that is answered.
static __always_inline void ends_of_reply(struct ends *ends, struct sk_buff *skb)
{
	unsigned char *head = BPF_CORE_READ(skb, head);
	unsigned char *ip = head + BPF_CORE_READ(skb, network_header);
	unsigned char *tcp = head + BPF_CORE_READ(skb, transport_header);
	__u16 ports[2] = {};
	__u8 version = 0;

	bpf_probe_read_kernel(ports, sizeof(ports), tcp);
	ends->rport = bpf_ntohs(ports[0]);
	ends->lport = bpf_ntohs(ports[1]);
	bpf_probe_read_kernel(&version, 1, ip);
	if (version >> 4 == 4) {
		ends->family = AF_INET;
		bpf_probe_read_kernel(ends->remote, 4, ip + 12);
		bpf_probe_read_kernel(ends->local, 4, ip + 16);
	} else {
		ends->family = AF_INET6;
		bpf_probe_read_kernel(ends->remote, 16, ip + 8);
		bpf_probe_read_kernel(ends->local, 16, ip + 24);
	}
}

SEC("tp_btf/tcp_send_reset")
int tcp_send_reset(__u64 *ctx)
{
	struct sock *sk = (void *)ctx[0];
	struct sk_buff *skb = (void *)ctx[1];
	struct sock_event e = {};

	if (sk) {
		if (!sock_start(&e, EVENT_RST_SENT, sk))
			return 0;
	} else if (skb) {
		__u32 host = host_of_net(BPF_CORE_READ(skb, dev, nd_net.net));
		if (!host)
			return 0;
		start(&e.head, EVENT_RST_SENT, host);
		ends_of_reply(&e.ends, skb);
	} else {
		return 0;
	}
	if (args_tcp_send_reset > 2)
		e.reason = (__u32)ctx[2];
	emit(&e, sizeof(e));
	return 0;
}

SEC("tp_btf/kfree_skb")
int kfree_skb(__u64 *ctx)
{
	struct sk_buff *skb = (void *)ctx[0];
	struct sock *sk = BPF_CORE_READ(skb, sk);
	struct sock_event e = {};

	if (args_kfree_skb > 3 && !sk)
		sk = (void *)ctx[3]; // the receiver's
	if (!sk)
		return 0;
	__u8 state = BPF_CORE_READ(sk, __sk_common.skc_state);
	if (state == TCP_TIME_WAIT || state == TCP_NEW_SYN_RECV)
		return 0;
	// A packet keeps its sender's socket on its way through other namespaces
	// (skb_scrub_packet): what drops it there is no doing of the sender's.
	struct net_device *dev = BPF_CORE_READ(skb, dev);
	if (dev && BPF_CORE_READ(dev, nd_net.net) != BPF_CORE_READ(sk, __sk_common.skc_net.net))
		return 0;
	if (BPF_CORE_READ(sk, sk_protocol) != IPPROTO_TCP || !sock_start(&e, EVENT_DROP, sk))
		return 0;
	if (args_kfree_skb > 2)
		e.reason = (__u32)ctx[2];
	emit(&e, sizeof(e));
	return 0;
}

// --- Tasks ---

SEC("tp_btf/sched_process_fork")
int sched_process_fork(__u64 *ctx)
{
	struct task_struct *child = (void *)ctx[1];
	struct proc_event e = {};
	struct who who, parent;

	if (BPF_CORE_READ(child, pid) != BPF_CORE_READ(child, tgid) || !identify(child, &who))
		return 0;
	start_task(&e.head, EVENT_FORK, &who);
	BPF_CORE_READ_INTO(&e.head.comm, child, comm);
	if (identify(BPF_CORE_READ(child, real_parent), &parent) && parent.host == who.host)
		e.peer = parent.pid;
	emit(&e, sizeof(e));
	return 0;
}

SEC("tp_btf/sched_process_exec")
int sched_process_exec(__u64 *ctx)
{
	struct task_struct *task = (void *)ctx[0];
	struct who who;

	if (!identify(task, &who))
		return 0;
	// A thread that is not the first one takes over the first one's id.
	__u32 old = ctx[1];
	if (old != (__u32)bpf_get_current_pid_tgid())
		bpf_map_delete_elem(&calls, &old);
	struct exec_event *e = bpf_ringbuf_reserve(&ring, sizeof(*e), 0);
	if (!e) {
		lost();
		return 0;
	}
	start_task(&e->head, EVENT_EXEC, &who);
	bpf_get_current_comm(e->head.comm, sizeof(e->head.comm));
	__u64 from = BPF_CORE_READ(task, mm, arg_start);
	__u64 n = BPF_CORE_READ(task, mm, arg_end) - from;
	if (n > ARGV_MAX)
		n = ARGV_MAX;
	e->unused = 0;
	e->len = bpf_probe_read_user(e->argv, n, (void *)from) ? 0 : n;
	bpf_ringbuf_submit(e, wakes());
	rouse();
	return 0;
}

#define SIGNAL_GROUP_EXIT 4

SEC("tp_btf/sched_process_exit")
int sched_process_exit(__u64 *ctx)
{
	struct task_struct *task = (void *)ctx[0];
	struct proc_event e = {};
	struct who who;

	// First, for a thread of a host that is watched no more has an entry too.
	__u32 key = (__u32)bpf_get_current_pid_tgid();
	bpf_map_delete_elem(&calls, &key);
	struct slot *slot = slot_at(key);
	if (slot && slot->tid == key)
		slot_free(slot);
	if (!identify(task, &who))
		return 0;
	// The process ends with its last thread. Before Linux 6.16 the kernel
	// does not say which that is, and two threads that end together may
	// both look like it: the reader drops the second.
	if (args_sched_process_exit > 1) {
		if (!(ctx[1] & 1))
			return 0;
	} else if (BPF_CORE_READ(task, signal, live.counter)) {
		return 0;
	}
	start_task(&e.head, EVENT_EXIT, &who);
	bpf_get_current_comm(e.head.comm, sizeof(e.head.comm));
	if (BPF_CORE_READ(task, signal, flags) & SIGNAL_GROUP_EXIT)
		e.number = BPF_CORE_READ(task, signal, group_exit_code);
	else
		e.number = BPF_CORE_READ(task, group_leader, exit_code);
	emit(&e, sizeof(e));
	return 0;
}

SEC("tp_btf/signal_generate")
int signal_generate(__u64 *ctx)
{
	struct task_struct *task = (void *)ctx[2];
	struct task_struct *current = (void *)bpf_get_current_task_btf();
	struct proc_event e = {};
	struct who who, sender;
	__u64 info = ctx[1];
	__s32 result = ctx[4];

	// What a SIGCONT does it has done where it is then ignored (prepare_signal).
	bool continued = (__s32)ctx[0] == 18 /* SIGCONT */ && result == 1 /* TRACE_SIGNAL_IGNORED */;

	if (result != 0 /* TRACE_SIGNAL_DELIVERED */ && !continued)
		return 0;
	if (!identify(task, &who))
		return 0;
	start_task(&e.head, EVENT_SIGNAL, &who);
	BPF_CORE_READ_INTO(&e.head.comm, task, comm);
	e.number = (__s32)ctx[0];
	// SEND_SIG_NOINFO and SEND_SIG_PRIV are not pointers: the kernel's own.
	if (info > 1 && BPF_CORE_READ((struct kernel_siginfo *)info, si_code) <= 0 &&
	    identify(current, &sender) && sender.host == who.host)
		e.peer = sender.pid;
	// The Go runtime interrupts its own threads with it, many times a second.
	if (e.number == 23 /* SIGURG */ && e.peer == who.pid)
		return 0;
	emit(&e, sizeof(e));
	return 0;
}

// mark puts a marker into the ring: whatever was put there before it has been
// read once the marker is. User space runs it, nothing attaches it.
SEC("raw_tp/mark")
int mark(struct bpf_raw_tracepoint_args *ctx)
{
	struct head head = {.type = EVENT_MARK, .pid = (__u32)ctx->args[0]};

	return bpf_ringbuf_output(&ring, &head, sizeof(head), BPF_RB_FORCE_WAKEUP) ? 1 : 0;
}
