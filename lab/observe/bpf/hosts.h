/* SPDX-License-Identifier: GPL-2.0 OR MIT */
#ifndef HOSTS_H
#define HOSTS_H

// Which host something belongs to.
//
// Tasks are read with bpf_probe_read_kernel although the verifier would allow
// plain loads: it searches the whole of the kernel's BTF for each of those,
// some 2 ms a load, and a helper call costs some nanoseconds.

struct who {
	__u32 host, pid, tid;
};

static __always_inline void *number_at(struct pid *pid, __u32 level)
{
	return (void *)pid + bpf_core_field_offset(struct pid, numbers) + level * sizeof(struct upid);
}

// identify says which host a task belongs to and what it is called there. A
// task may have put itself into a PID namespace of its own below the host's.
static __always_inline bool identify(struct task_struct *task, struct who *who)
{
	struct pid *pid = BPF_CORE_READ(task, thread_pid);
	__u32 level = BPF_CORE_READ(pid, level);
	struct upid number;
	__u32 *host = 0;

	// The machine's own tasks, which are most, leave here.
	if (level == 0)
		return false;
	for (int i = 0; i < 2; i++) {
		if (bpf_probe_read_kernel(&number, sizeof(number), number_at(pid, level)))
			return false;
		__u32 inum = BPF_CORE_READ(number.ns, ns.inum);
		host = bpf_map_lookup_elem(&pids, &inum);
		if (host || level == 1)
			break;
		level--;
	}
	if (!host)
		return false;
	who->host = *host;
	who->tid = who->pid = number.nr;
	if (BPF_CORE_READ(task, pid) != BPF_CORE_READ(task, tgid)) {
		pid = BPF_CORE_READ(task, group_leader, thread_pid);
		if (bpf_probe_read_kernel(&number, sizeof(number), number_at(pid, level)))
			return false;
		who->pid = number.nr;
	}
	return true;
}

// host_of_net is the host of a network namespace, 0 if it is not watched.
static __always_inline __u32 host_of_net(struct net *net)
{
	__u32 inum = BPF_CORE_READ(net, ns.inum);
	__u32 *host = bpf_map_lookup_elem(&nets, &inum);
	return host ? *host : 0;
}

static __always_inline void start(struct head *head, __u32 type, __u32 host)
{
	head->time = bpf_ktime_get_ns();
	head->type = type;
	head->host = host;
}

static __always_inline void start_task(struct head *head, __u32 type, struct who *who)
{
	start(head, type, who->host);
	head->pid = who->pid;
	head->tid = who->tid;
}

#endif
