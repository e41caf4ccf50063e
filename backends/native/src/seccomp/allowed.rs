//! Calls that are allowed whatever their arguments are: what ordinary programs are made of.

use super::rule::{Decision, Group, Verdict, calls};

const fn allowed(reason: &'static str, calls: &'static [(&'static str, libc::c_long)]) -> Group {
    Group {
        decision: Decision::Always(Verdict::Allow),
        reason,
        calls,
    }
}

/// Calls that newer architectures have only a successor of.
#[cfg(target_arch = "x86_64")]
const OLDER: &[(&str, libc::c_long)] = calls! {
    SYS_access SYS_alarm SYS_arch_prctl SYS_chmod SYS_chown SYS_creat SYS_dup2 SYS_epoll_create SYS_epoll_wait
    SYS_eventfd SYS_fork SYS_futimesat SYS_getdents SYS_getpgrp SYS_inotify_init SYS_lchown SYS_link SYS_lstat
    SYS_mkdir SYS_open SYS_pause SYS_pipe SYS_poll SYS_readlink SYS_rename SYS_rmdir SYS_select SYS_signalfd
    SYS_stat SYS_symlink SYS_time SYS_unlink SYS_utime SYS_utimes SYS_vfork
};
#[cfg(not(target_arch = "x86_64"))]
const OLDER: &[(&str, libc::c_long)] = &[];

/// The kernel puts these calls into a program that an administrator probes; made by anybody else they fail.
#[cfg(target_arch = "x86_64")]
const PROBES: &[(&str, libc::c_long)] = calls! { SYS_uretprobe SYS_uprobe };
#[cfg(not(target_arch = "x86_64"))]
const PROBES: &[(&str, libc::c_long)] = &[];

pub(super) const GROUPS: &[Group] = &[
    allowed(
        "files",
        calls! {
            SYS_cachestat SYS_chdir SYS_close SYS_close_range SYS_copy_file_range SYS_dup SYS_dup3 SYS_faccessat
            SYS_faccessat2 SYS_fadvise64 SYS_fallocate SYS_fchdir SYS_fchmod SYS_fchmodat SYS_fchmodat2 SYS_fchown
            SYS_fchownat SYS_fcntl SYS_fdatasync SYS_flock SYS_fstat SYS_fstatfs SYS_fsync SYS_ftruncate SYS_getcwd
            SYS_getdents64 SYS_linkat SYS_lseek SYS_mkdirat SYS_newfstatat SYS_openat SYS_openat2 SYS_pread64
            SYS_preadv SYS_preadv2 SYS_pwrite64 SYS_pwritev SYS_pwritev2 SYS_read SYS_readahead SYS_readlinkat
            SYS_readv SYS_renameat SYS_renameat2 SYS_sendfile SYS_splice SYS_statfs SYS_statx SYS_symlinkat SYS_sync
            SYS_sync_file_range SYS_syncfs SYS_tee SYS_truncate SYS_umask SYS_unlinkat SYS_utimensat SYS_vmsplice
            SYS_write SYS_writev
        },
    ),
    allowed(
        "attributes of files",
        calls! {
            SYS_fgetxattr SYS_file_getattr SYS_file_setattr SYS_flistxattr SYS_fremovexattr SYS_fsetxattr
            SYS_getxattr SYS_getxattrat SYS_lgetxattr SYS_listxattr SYS_listxattrat SYS_llistxattr SYS_lremovexattr
            SYS_lsetxattr SYS_removexattr SYS_removexattrat SYS_setxattr SYS_setxattrat
        },
    ),
    allowed(
        "waiting and events",
        calls! {
            SYS_epoll_create1 SYS_epoll_ctl SYS_epoll_pwait SYS_epoll_pwait2 SYS_eventfd2 SYS_inotify_add_watch
            SYS_inotify_init1 SYS_inotify_rm_watch SYS_pipe2 SYS_ppoll SYS_pselect6 SYS_signalfd4 SYS_timerfd_create
            SYS_timerfd_gettime SYS_timerfd_settime
        },
    ),
    allowed(
        "asynchronous input and output of the older kind: databases",
        calls! {
            SYS_io_cancel SYS_io_destroy SYS_io_getevents SYS_io_pgetevents SYS_io_setup SYS_io_submit
        },
    ),
    allowed(
        "memory",
        calls! {
            SYS_brk SYS_madvise SYS_map_shadow_stack SYS_membarrier SYS_memfd_create SYS_mincore SYS_mlock SYS_mlock2
            SYS_mlockall SYS_mmap SYS_mprotect SYS_mremap SYS_mseal SYS_msync SYS_munlock SYS_munlockall SYS_munmap
            SYS_pkey_alloc SYS_pkey_free SYS_pkey_mprotect SYS_remap_file_pages
        },
    ),
    allowed(
        "placing memory on nodes: the caller's own",
        calls! {
            SYS_get_mempolicy SYS_mbind SYS_set_mempolicy SYS_set_mempolicy_home_node
        },
    ),
    allowed(
        "processes and threads",
        calls! {
            SYS_execve SYS_execveat SYS_exit SYS_exit_group SYS_futex SYS_futex_requeue SYS_futex_wait SYS_futex_waitv
            SYS_futex_wake SYS_get_robust_list SYS_getcpu SYS_getpgid SYS_getpid SYS_getppid SYS_getpriority
            SYS_getrlimit SYS_getrusage SYS_getsid SYS_gettid SYS_ioprio_get SYS_ioprio_set SYS_pidfd_open SYS_prctl
            SYS_process_mrelease SYS_restart_syscall SYS_rseq SYS_sched_get_priority_max
            SYS_sched_get_priority_min SYS_sched_getaffinity SYS_sched_getattr SYS_sched_getparam
            SYS_sched_getscheduler SYS_sched_rr_get_interval SYS_sched_setaffinity SYS_sched_setattr
            SYS_sched_setparam SYS_sched_setscheduler SYS_sched_yield SYS_set_robust_list SYS_set_tid_address
            SYS_setpgid SYS_setpriority SYS_setrlimit SYS_setsid SYS_times SYS_wait4 SYS_waitid
        },
    ),
    allowed(
        "signals",
        calls! {
            SYS_kill SYS_pidfd_send_signal SYS_rt_sigaction SYS_rt_sigpending SYS_rt_sigprocmask SYS_rt_sigqueueinfo
            SYS_rt_sigreturn SYS_rt_sigsuspend SYS_rt_sigtimedwait SYS_rt_tgsigqueueinfo SYS_sigaltstack SYS_tgkill
            SYS_tkill
        },
    ),
    allowed(
        "time",
        calls! {
            SYS_clock_getres SYS_clock_gettime SYS_clock_nanosleep SYS_getitimer SYS_gettimeofday SYS_nanosleep
            SYS_setitimer SYS_timer_create SYS_timer_delete SYS_timer_getoverrun SYS_timer_gettime SYS_timer_settime
        },
    ),
    allowed(
        "users: nobody has a capability, so each is a question or a step down",
        calls! {
            SYS_capget SYS_capset SYS_getegid SYS_geteuid SYS_getgid SYS_getgroups SYS_getresgid SYS_getresuid
            SYS_getuid SYS_setfsgid SYS_setfsuid SYS_setgid SYS_setgroups SYS_setregid SYS_setresgid SYS_setresuid
            SYS_setreuid SYS_setuid
        },
    ),
    allowed(
        "sockets that exist already",
        calls! {
            SYS_accept SYS_accept4 SYS_bind SYS_connect SYS_getpeername SYS_getsockname SYS_getsockopt SYS_listen
            SYS_recvfrom SYS_recvmmsg SYS_recvmsg SYS_sendmmsg SYS_sendmsg SYS_sendto SYS_shutdown
        },
    ),
    allowed(
        "between processes: the ipc namespace is the sandbox's own",
        calls! {
            SYS_mq_getsetattr SYS_mq_notify SYS_mq_open SYS_mq_timedreceive SYS_mq_timedsend SYS_mq_unlink SYS_msgctl
            SYS_msgget SYS_msgrcv SYS_msgsnd SYS_semctl SYS_semget SYS_semop SYS_semtimedop SYS_shmat SYS_shmctl
            SYS_shmdt SYS_shmget
        },
    ),
    allowed("about the system", calls! { SYS_getrandom SYS_sysinfo SYS_uname }),
    allowed(
        "further walls inside: they only take away",
        calls! {
            SYS_landlock_add_rule SYS_landlock_create_ruleset SYS_landlock_restrict_self SYS_seccomp
        },
    ),
    allowed(
        "debuggers: the pid namespace ends at the sandbox, PID 1 is not dumpable",
        calls! {
            SYS_process_madvise SYS_process_vm_readv SYS_process_vm_writev SYS_ptrace
        },
    ),
    allowed("older forms of the above", OLDER),
    allowed(
        "made by the kernel itself when an administrator probes a program",
        PROBES,
    ),
];
