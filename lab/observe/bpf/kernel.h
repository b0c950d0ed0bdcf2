/* SPDX-License-Identifier: GPL-2.0 OR MIT
 *
 * The parts of the kernel's structures that trace.bpf.c reads. Only names
 * matter: the loader replaces every offset with the running kernel's.
 */
#ifndef KERNEL_H
#define KERNEL_H

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct ns_common { unsigned int inum; };
struct net { struct ns_common ns; };
typedef struct { struct net *net; } possible_net_t;
struct pid_namespace { struct ns_common ns; };

struct upid { int nr; struct pid_namespace *ns; };
struct pid { unsigned int level; struct upid numbers[1]; };

struct super_block { unsigned long s_magic; };
struct inode { unsigned short i_mode; __u32 i_rdev; unsigned long i_ino; struct super_block *i_sb; };
struct file { struct inode *f_inode; void *private_data; };
struct fdtable { unsigned int max_fds; struct file **fd; };
struct files_struct { struct fdtable *fdt; };

struct ktermios { unsigned int c_lflag; };
struct winsize { unsigned short ws_col; };
struct tty_struct { unsigned long flags; struct ktermios termios; struct winsize winsize; };
struct tty_file_private { struct tty_struct *tty; };

struct mm_struct { unsigned long arg_start, arg_end; };
typedef struct { int counter; } atomic_t;
struct signal_struct { atomic_t live; int group_exit_code; unsigned int flags; };
struct thread_info { unsigned long flags; __u32 status; };

struct task_struct {
	struct thread_info thread_info;
	int pid, tgid, exit_code;
	struct task_struct *group_leader, *real_parent;
	struct pid *thread_pid;
	struct files_struct *files;
	struct mm_struct *mm;
	struct signal_struct *signal;
	char comm[16];
};

struct kernel_siginfo { int si_signo, si_errno, si_code; };

struct in6_addr { __u8 bytes[16]; };
struct sock_common {
	__u32 skc_daddr, skc_rcv_saddr;
	__u16 skc_dport, skc_num;
	unsigned short skc_family;
	volatile unsigned char skc_state;
	possible_net_t skc_net;
	struct in6_addr skc_v6_daddr, skc_v6_rcv_saddr;
};
struct sock {
	struct sock_common __sk_common;
	int sk_err;
	__u16 sk_type, sk_protocol;
};
struct socket { struct sock *sk; };
struct inet_sock { __u16 inet_sport; };
struct inet_connection_sock {
	__u32 icsk_rto;
	__u8 icsk_ca_state : 5;
	__u8 icsk_retransmits, icsk_pending, icsk_backoff;
};
struct tcp_sock { __u32 snd_cwnd; };

struct net_device { possible_net_t nd_net; };
struct sk_buff {
	struct net_device *dev;
	struct sock *sk;
	unsigned char *head;
	__u16 network_header, transport_header;
};

#if defined(__TARGET_ARCH_x86)
struct pt_regs { unsigned long di, si, dx, r10, r8, r9, orig_ax; };
struct uml_pt_regs___um { unsigned long gp[27]; };
struct pt_regs___um { struct uml_pt_regs___um regs; };
#elif defined(__TARGET_ARCH_arm64)
struct pt_regs { __u64 regs[31], orig_x0; int syscallno; };
#endif

#pragma clang attribute pop

#endif
