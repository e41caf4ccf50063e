//! The allow-list. Names as in the kernel's tables, numbers from libc.

/// What happens to a system call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Decision {
    Allow,
    /// Refused with this errno.
    Refuse(i32),
    /// `clone`, `unshare`: refused with EPERM if a bit of the mask is set in the first argument.
    WithoutBits(u32),
    /// `socket`: families and types that a sandbox needs, else EAFNOSUPPORT.
    Socket,
    /// `socketpair`: unix only.
    SocketPair,
    /// `ioctl`: all but what writes into or takes over a terminal.
    Ioctl,
    /// `personality`: execution domains that weaken nothing.
    Personality,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rule {
    pub name: &'static str,
    pub number: u32,
    pub decision: Decision,
}

/// Every flag that makes a namespace. `CLONE_NEWTIME` (0x80) is not a flag of `clone(2)`, where these bits
/// are the exit signal.
pub(super) const CLONE_NAMESPACES: u32 = 0x7e02_0000;
pub(super) const UNSHARE_NAMESPACES: u32 = CLONE_NAMESPACES | 0x80;

pub(super) const TERMINAL_CONTROLS: [u32; 4] = [
    0x5412, // TIOCSTI: types into the terminal
    0x541c, // TIOCLINUX: selection and paste on a console
    0x541d, // TIOCCONS: takes over the console's output
    0x5423, // TIOCSETD: loads line disciplines
];

pub(super) const PERSONALITIES: [u32; 6] = [
    0x0,
    0x8,      // PER_LINUX32: `uname` only, the entry of 32-bit calls is closed
    0x2_0000, // UNAME26
    0x2_0008,
    0x4_0000,    // ADDR_NO_RANDOMIZE: debuggers
    0xffff_ffff, // asks
];

/// `(name, number)` of libc's constants.
macro_rules! calls {
    ($($name:ident)*) => { &[$((stringify!($name), libc::$name as u32)),*] };
}

/// Every architecture.
const COMMON: &[(&str, u32)] = calls![
    SYS_accept SYS_accept4 SYS_adjtimex SYS_bind SYS_brk SYS_capget SYS_capset SYS_chdir SYS_clock_adjtime
    SYS_clock_getres SYS_clock_gettime SYS_clock_nanosleep SYS_close SYS_close_range SYS_connect
    SYS_copy_file_range SYS_dup SYS_dup3 SYS_epoll_create1 SYS_epoll_ctl SYS_epoll_pwait SYS_epoll_pwait2
    SYS_eventfd2 SYS_execve SYS_execveat SYS_exit SYS_exit_group SYS_faccessat SYS_faccessat2 SYS_fadvise64
    SYS_fallocate SYS_fchdir SYS_fchmod SYS_fchmodat SYS_fchown SYS_fchownat SYS_fcntl SYS_fdatasync
    SYS_fgetxattr SYS_flistxattr SYS_flock SYS_fremovexattr SYS_fsetxattr SYS_fstat SYS_fstatfs SYS_fsync
    SYS_ftruncate SYS_futex SYS_futex_waitv SYS_get_mempolicy SYS_get_robust_list SYS_getcpu SYS_getcwd
    SYS_getdents64 SYS_getegid SYS_geteuid SYS_getgid SYS_getgroups SYS_getitimer SYS_getpeername
    SYS_getpgid SYS_getpid SYS_getppid SYS_getpriority SYS_getrandom SYS_getresgid SYS_getresuid
    SYS_getrusage SYS_getsid SYS_getsockname SYS_getsockopt SYS_gettid SYS_gettimeofday SYS_getuid
    SYS_getxattr SYS_inotify_add_watch SYS_inotify_init1 SYS_inotify_rm_watch SYS_io_cancel SYS_io_destroy
    SYS_io_getevents SYS_io_setup SYS_io_submit SYS_ioprio_get SYS_ioprio_set SYS_kill SYS_landlock_add_rule
    SYS_landlock_create_ruleset SYS_landlock_restrict_self SYS_lgetxattr SYS_linkat SYS_listen SYS_listxattr
    SYS_llistxattr SYS_lremovexattr SYS_lseek SYS_lsetxattr SYS_madvise SYS_mbind SYS_membarrier
    SYS_memfd_create SYS_mincore SYS_mkdirat SYS_mknodat SYS_mlock SYS_mlock2 SYS_mlockall SYS_mmap
    SYS_mprotect SYS_mq_getsetattr SYS_mq_notify SYS_mq_open SYS_mq_timedreceive SYS_mq_timedsend
    SYS_mq_unlink SYS_mremap SYS_mseal SYS_msgctl SYS_msgget SYS_msgrcv SYS_msgsnd SYS_msync SYS_munlock
    SYS_munlockall SYS_munmap SYS_nanosleep SYS_newfstatat SYS_openat SYS_openat2 SYS_pidfd_open
    SYS_pidfd_send_signal SYS_pipe2 SYS_pkey_alloc SYS_pkey_free SYS_pkey_mprotect SYS_ppoll SYS_prctl
    SYS_pread64 SYS_preadv SYS_preadv2 SYS_prlimit64 SYS_process_madvise SYS_process_mrelease
    SYS_process_vm_readv SYS_process_vm_writev SYS_pselect6 SYS_ptrace SYS_pwrite64 SYS_pwritev SYS_pwritev2
    SYS_read SYS_readahead SYS_readlinkat SYS_readv SYS_recvfrom SYS_recvmmsg SYS_recvmsg
    SYS_remap_file_pages SYS_removexattr SYS_renameat2 SYS_restart_syscall SYS_rseq SYS_rt_sigaction
    SYS_rt_sigpending SYS_rt_sigprocmask SYS_rt_sigqueueinfo SYS_rt_sigreturn SYS_rt_sigsuspend
    SYS_rt_sigtimedwait SYS_rt_tgsigqueueinfo SYS_sched_get_priority_max SYS_sched_get_priority_min
    SYS_sched_getaffinity SYS_sched_getattr SYS_sched_getparam SYS_sched_getscheduler
    SYS_sched_rr_get_interval SYS_sched_setaffinity SYS_sched_setattr SYS_sched_setparam
    SYS_sched_setscheduler SYS_sched_yield SYS_seccomp SYS_semctl SYS_semget SYS_semop SYS_semtimedop
    SYS_sendfile SYS_sendmmsg SYS_sendmsg SYS_sendto SYS_set_mempolicy SYS_set_robust_list
    SYS_set_tid_address SYS_setfsgid SYS_setfsuid SYS_setgid SYS_setgroups SYS_setitimer SYS_setpgid
    SYS_setpriority SYS_setregid SYS_setresgid SYS_setresuid SYS_setreuid SYS_setsid SYS_setsockopt
    SYS_setuid SYS_setxattr SYS_shmat SYS_shmctl SYS_shmdt SYS_shmget SYS_shutdown SYS_sigaltstack
    SYS_signalfd4 SYS_splice SYS_statfs SYS_statx SYS_symlinkat SYS_sync SYS_syncfs SYS_sysinfo SYS_tee
    SYS_tgkill SYS_timer_create SYS_timer_delete SYS_timer_getoverrun SYS_timer_gettime SYS_timer_settime
    SYS_timerfd_create SYS_timerfd_gettime SYS_timerfd_settime SYS_times SYS_tkill SYS_truncate SYS_umask
    SYS_uname SYS_unlinkat SYS_utimensat SYS_vmsplice SYS_wait4 SYS_waitid SYS_write SYS_writev
];

/// Calls of which newer architectures have only a successor.
#[cfg(target_arch = "x86_64")]
const OLD: &[(&str, u32)] = calls![
    SYS_access SYS_alarm SYS_arch_prctl SYS_chmod SYS_chown SYS_creat SYS_dup2 SYS_epoll_create
    SYS_epoll_wait SYS_eventfd SYS_fork SYS_futimesat SYS_get_thread_area SYS_getdents SYS_getpgrp
    SYS_getrlimit SYS_inotify_init SYS_lchown SYS_link SYS_lstat SYS_mkdir SYS_mknod SYS_open SYS_pause
    SYS_pipe SYS_poll SYS_readlink SYS_rename SYS_renameat SYS_rmdir SYS_select SYS_set_thread_area
    SYS_setrlimit SYS_signalfd SYS_stat SYS_symlink SYS_sync_file_range SYS_time SYS_unlink SYS_utime
    SYS_utimes SYS_vfork
];

/// Not in libc's tables. Numbers from `arch/x86/entry/syscalls/syscall_64.tbl`.
#[cfg(target_arch = "x86_64")]
const UNLISTED: &[(&str, u32)] = &[
    ("SYS_io_pgetevents", 333),
    ("SYS_cachestat", 451),
    ("SYS_fchmodat2", 452),
    ("SYS_map_shadow_stack", 453),
    ("SYS_futex_wake", 454),
    ("SYS_futex_wait", 455),
    ("SYS_futex_requeue", 456),
];

#[cfg(target_arch = "aarch64")]
const OLD: &[(&str, u32)] = &[];

/// Not in libc's tables. Numbers from `include/uapi/asm-generic/unistd.h`.
#[cfg(target_arch = "aarch64")]
const UNLISTED: &[(&str, u32)] = &[
    ("SYS_renameat", 38),
    ("SYS_sync_file_range", 84),
    ("SYS_getrlimit", 163),
    ("SYS_setrlimit", 164),
    ("SYS_io_pgetevents", 292),
    ("SYS_cachestat", 451),
    ("SYS_fchmodat2", 452),
    ("SYS_futex_wake", 454),
    ("SYS_futex_wait", 455),
    ("SYS_futex_requeue", 456),
];

/// The last call that this list was written against: what is newer does not exist inside, so that a C
/// library falls back to what it used before.
pub(super) const LAST_KNOWN: u32 = 469; // file_setattr, Linux 6.17

/// All rules in the order of their numbers. What has none is refused: see [`absent`].
pub fn rules() -> Vec<Rule> {
    let allowed = COMMON.iter().chain(OLD).chain(UNLISTED);
    let mut rules: Vec<Rule> = allowed
        .map(|&(name, number)| rule(name, number, Decision::Allow))
        .collect();
    let refused = |errno| Decision::Refuse(errno);
    rules.extend([
        rule(
            "SYS_clone",
            libc::SYS_clone as u32,
            Decision::WithoutBits(CLONE_NAMESPACES),
        ),
        // Its flags lie in memory, where a filter cannot look: C libraries fall back to `clone`.
        rule("SYS_clone3", libc::SYS_clone3 as u32, refused(libc::ENOSYS)),
        rule(
            "SYS_unshare",
            libc::SYS_unshare as u32,
            Decision::WithoutBits(UNSHARE_NAMESPACES),
        ),
        rule("SYS_socket", libc::SYS_socket as u32, Decision::Socket),
        rule(
            "SYS_socketpair",
            libc::SYS_socketpair as u32,
            Decision::SocketPair,
        ),
        rule("SYS_ioctl", libc::SYS_ioctl as u32, Decision::Ioctl),
        rule(
            "SYS_personality",
            libc::SYS_personality as u32,
            Decision::Personality,
        ),
    ]);
    rules.sort_by_key(|rule| rule.number);
    rules
}

fn rule(name: &'static str, number: u32, decision: Decision) -> Rule {
    Rule {
        name: name.trim_start_matches("SYS_"),
        number,
        decision,
    }
}

/// What happens to a call without a rule.
pub(super) const fn absent(number: u32) -> Decision {
    if number > LAST_KNOWN {
        Decision::Refuse(libc::ENOSYS)
    } else {
        Decision::Refuse(libc::EPERM)
    }
}
