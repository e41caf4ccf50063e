//! System calls that do not exist inside.

use crate::{Outcome, Probe, REFUSALS, blocked, last_error, leaked};

/// `(class, name, number, arguments)`: with arguments that do no harm if the call is carried out.
type Call = (&'static str, &'static str, libc::c_long, [libc::c_long; 4]);

const CALLS: [Call; 47] = [
    (
        "namespaces",
        "unshare user",
        libc::SYS_unshare,
        [libc::CLONE_NEWUSER as i64, 0, 0, 0],
    ),
    (
        "namespaces",
        "unshare mount",
        libc::SYS_unshare,
        [libc::CLONE_NEWNS as i64, 0, 0, 0],
    ),
    (
        "namespaces",
        "unshare pid",
        libc::SYS_unshare,
        [libc::CLONE_NEWPID as i64, 0, 0, 0],
    ),
    (
        "namespaces",
        "unshare network",
        libc::SYS_unshare,
        [libc::CLONE_NEWNET as i64, 0, 0, 0],
    ),
    (
        "namespaces",
        "unshare ipc",
        libc::SYS_unshare,
        [libc::CLONE_NEWIPC as i64, 0, 0, 0],
    ),
    (
        "namespaces",
        "unshare uts",
        libc::SYS_unshare,
        [libc::CLONE_NEWUTS as i64, 0, 0, 0],
    ),
    (
        "namespaces",
        "unshare cgroup",
        libc::SYS_unshare,
        [libc::CLONE_NEWCGROUP as i64, 0, 0, 0],
    ),
    ("namespaces", "unshare time", libc::SYS_unshare, [0x80, 0, 0, 0]),
    ("namespaces", "clone3", libc::SYS_clone3, [0, 0, 0, 0]),
    ("namespaces", "setns", libc::SYS_setns, [0, 0, 0, 0]),
    ("mounts", "pivot_root", libc::SYS_pivot_root, [0, 0, 0, 0]),
    ("mounts", "chroot", libc::SYS_chroot, [0, 0, 0, 0]),
    ("mounts", "fsopen", libc::SYS_fsopen, [0, 0, 0, 0]),
    ("mounts", "fsmount", libc::SYS_fsmount, [-1, 0, 0, 0]),
    ("mounts", "fspick", libc::SYS_fspick, [-1, 0, 0, 0]),
    ("mounts", "open_tree", libc::SYS_open_tree, [-1, 0, 0, 0]),
    ("mounts", "move_mount", libc::SYS_move_mount, [-1, 0, -1, 0]),
    ("mounts", "mount_setattr", libc::SYS_mount_setattr, [-1, 0, 0, 0]),
    ("syscalls", "bpf", libc::SYS_bpf, [0, 0, 0, 0]),
    (
        "syscalls",
        "perf_event_open",
        libc::SYS_perf_event_open,
        [0, 0, -1, -1],
    ),
    ("syscalls", "userfaultfd", libc::SYS_userfaultfd, [0, 0, 0, 0]),
    (
        "syscalls",
        "userfaultfd in user mode",
        libc::SYS_userfaultfd,
        [1, 0, 0, 0],
    ),
    (
        "syscalls",
        "io_uring_setup",
        libc::SYS_io_uring_setup,
        [1, 0, 0, 0],
    ),
    (
        "syscalls",
        "io_uring_enter",
        libc::SYS_io_uring_enter,
        [-1, 0, 0, 0],
    ),
    (
        "syscalls",
        "io_uring_register",
        libc::SYS_io_uring_register,
        [-1, 0, 0, 0],
    ),
    ("syscalls", "keyctl", libc::SYS_keyctl, [0, -3, 0, 0]),
    ("syscalls", "add_key", libc::SYS_add_key, [0, 0, 0, 0]),
    ("syscalls", "request_key", libc::SYS_request_key, [0, 0, 0, 0]),
    ("syscalls", "kexec_load", libc::SYS_kexec_load, [0, 0, 0, 0]),
    ("syscalls", "init_module", libc::SYS_init_module, [0, 0, 0, 0]),
    ("syscalls", "finit_module", libc::SYS_finit_module, [-1, 0, 0, 0]),
    ("syscalls", "delete_module", libc::SYS_delete_module, [0, 0, 0, 0]),
    (
        "syscalls",
        "open_by_handle_at",
        libc::SYS_open_by_handle_at,
        [-1, 0, 0, 0],
    ),
    (
        "syscalls",
        "name_to_handle_at",
        libc::SYS_name_to_handle_at,
        [-1, 0, 0, 0],
    ),
    ("syscalls", "quotactl", libc::SYS_quotactl, [0, 0, 0, 0]),
    ("syscalls", "swapoff", libc::SYS_swapoff, [0, 0, 0, 0]),
    ("syscalls", "reboot", libc::SYS_reboot, [0, 0, 0, 0]),
    ("syscalls", "settimeofday", libc::SYS_settimeofday, [0, 0, 0, 0]),
    ("syscalls", "clock_settime", libc::SYS_clock_settime, [0, 0, 0, 0]),
    ("syscalls", "sethostname", libc::SYS_sethostname, [0, 0, 0, 0]),
    ("syscalls", "syslog", libc::SYS_syslog, [10, 0, 0, 0]),
    ("syscalls", "acct", libc::SYS_acct, [0, 0, 0, 0]),
    ("syscalls", "vhangup", libc::SYS_vhangup, [0, 0, 0, 0]),
    ("syscalls", "fanotify_init", libc::SYS_fanotify_init, [0, 0, 0, 0]),
    ("syscalls", "kcmp", libc::SYS_kcmp, [1, 1, 0, 0]),
    ("syscalls", "pidfd_getfd", libc::SYS_pidfd_getfd, [-1, 0, 0, 0]),
    (
        "syscalls",
        "personality",
        libc::SYS_personality,
        [0x1234, 0, 0, 0],
    ),
];

/// `(name, family, type, protocol)`.
const SOCKETS: [(&str, i32, i32, i32); 12] = [
    ("AF_ALG", 38, libc::SOCK_SEQPACKET, 0),
    ("AF_VSOCK", 40, libc::SOCK_STREAM, 0),
    ("AF_PACKET", libc::AF_PACKET, libc::SOCK_RAW, 0),
    ("AF_XDP", 44, libc::SOCK_RAW, 0),
    ("AF_KEY", libc::AF_KEY, libc::SOCK_RAW, 2),
    ("AF_BLUETOOTH", libc::AF_BLUETOOTH, libc::SOCK_RAW, 1),
    ("AF_TIPC", 30, libc::SOCK_STREAM, 0),
    ("raw IPv4", libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_TCP),
    ("raw IPv6", libc::AF_INET6, libc::SOCK_RAW, libc::IPPROTO_TCP),
    ("SCTP", libc::AF_INET, libc::SOCK_STREAM, libc::IPPROTO_SCTP),
    ("netlink audit", libc::AF_NETLINK, libc::SOCK_RAW, 9),
    ("netlink netfilter", libc::AF_NETLINK, libc::SOCK_RAW, 12),
];

pub fn probes() -> Vec<Probe> {
    let mut probes: Vec<Probe> = Vec::new();
    for (class, name, number, arguments) in CALLS {
        probes.push((class, name.to_owned(), Box::new(move |_| call(number, arguments))));
    }
    for (name, family, kind, protocol) in SOCKETS {
        let arguments = [family.into(), kind.into(), protocol.into(), 0];
        probes.push((
            "kernel interfaces",
            format!("socket {name}"),
            Box::new(move |_| call(libc::SYS_socket, arguments)),
        ));
    }
    #[cfg(target_arch = "x86_64")]
    {
        probes.push((
            "syscalls",
            "iopl".to_owned(),
            Box::new(|_| call(libc::SYS_iopl, [3, 0, 0, 0])),
        ));
        probes.push((
            "syscalls",
            "ioperm".to_owned(),
            Box::new(|_| call(libc::SYS_ioperm, [0, 1, 1, 0])),
        ));
        probes.push((
            "syscalls",
            "modify_ldt".to_owned(),
            Box::new(|_| call(libc::SYS_modify_ldt, [0, 0, 0, 0])),
        ));
        probes.push((
            "syscalls",
            "x32 entry".to_owned(),
            Box::new(|_| call(0x4000_0000 | libc::SYS_getpid, [0; 4])),
        ));
        probes.push((
            "syscalls",
            "32-bit entry".to_owned(),
            Box::new(|_| entry_of_32_bits()),
        ));
    }
    let clone = libc::CLONE_NEWUSER | libc::SIGCHLD;
    probes.push((
        "namespaces",
        "clone user".to_owned(),
        Box::new(move |_| cloned(clone.into())),
    ));
    probes.push((
        "namespaces",
        "clone network".to_owned(),
        Box::new(|_| cloned((libc::CLONE_NEWNET | libc::SIGCHLD).into())),
    ));
    probes
}

fn call(number: libc::c_long, arguments: [libc::c_long; 4]) -> Outcome {
    let [a, b, c, d] = arguments;
    // SAFETY: null pointers and invalid descriptors only: at worst the kernel answers EFAULT or EBADF.
    let result = unsafe { libc::syscall(number, a, b, c, d, 0, 0) };
    let code = last_error();
    match result {
        -1 if REFUSALS.contains(&code) => blocked(format!("errno {code}")),
        -1 => leaked(format!("reached the kernel: errno {code}")),
        result => leaked(format!("returned {result}")),
    }
}

/// A clone that succeeds has a child, which must not go on here.
fn cloned(flags: libc::c_long) -> Outcome {
    // SAFETY: without a stack of its own the child is a copy, as after fork, and ends at once.
    let result = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) };
    if result == 0 {
        // SAFETY: ends the child.
        unsafe { libc::_exit(0) };
    }
    match (result, last_error()) {
        (-1, code) if REFUSALS.contains(&code) => blocked(format!("errno {code}")),
        (-1, code) => leaked(format!("reached the kernel: errno {code}")),
        (child, _) => leaked(format!("made process {child}")),
    }
}

/// In a child, because the filter ends it.
#[cfg(target_arch = "x86_64")]
fn entry_of_32_bits() -> Outcome {
    let status = crate::processes::in_child(|| {
        // SAFETY: getpid by the 32-bit entry takes no argument and touches no memory.
        unsafe { std::arch::asm!("int 0x80", inout("eax") 20 => _, options(nostack)) };
        0
    });
    if libc::WIFSIGNALED(status) {
        blocked(format!("signal {}", libc::WTERMSIG(status)))
    } else {
        leaked("carried out")
    }
}
