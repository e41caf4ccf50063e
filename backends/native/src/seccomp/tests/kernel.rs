//! A child with the filter makes the calls, and the kernel answers as the table says.

use super::super::{program, rule::calls};

/// Where the child writes what it saw.
const CALLS: usize = 128;

#[derive(Clone, Copy)]
struct Attempt {
    name: &'static str,
    number: i64,
    arguments: [u64; 6],
    errno: i32,
}

const fn attempt(name: &'static str, number: i64, arguments: [u64; 6], errno: i32) -> Attempt {
    Attempt {
        name,
        number,
        arguments,
        errno,
    }
}

const NOTHING: [u64; 6] = [0; 6];

/// Calls that the kernel would answer with another error, or would carry out, without the filter.
fn attempts() -> Vec<Attempt> {
    let denied = calls! {
        SYS_mount SYS_umount2 SYS_move_mount SYS_open_tree SYS_fsopen SYS_fsconfig SYS_fsmount SYS_fspick
        SYS_mount_setattr SYS_pivot_root SYS_chroot SYS_setns SYS_bpf SYS_keyctl SYS_add_key SYS_request_key
        SYS_userfaultfd SYS_perf_event_open SYS_io_uring_setup SYS_io_uring_enter SYS_io_uring_register
        SYS_kexec_load SYS_kexec_file_load SYS_init_module SYS_finit_module SYS_delete_module SYS_reboot
        SYS_swapon SYS_swapoff SYS_acct SYS_quotactl SYS_sethostname SYS_setdomainname SYS_syslog SYS_vhangup
        SYS_settimeofday SYS_clock_settime SYS_adjtimex SYS_clock_adjtime SYS_open_by_handle_at SYS_kcmp
        SYS_pidfd_getfd SYS_fanotify_init SYS_migrate_pages SYS_move_pages
    };
    let mut attempts: Vec<Attempt> = denied
        .iter()
        .map(|&(name, number)| attempt(name, number, NOTHING, libc::EPERM))
        .collect();
    #[cfg(target_arch = "x86_64")]
    attempts.extend(
        calls! { SYS_iopl SYS_ioperm SYS_modify_ldt }
            .iter()
            .map(|&(name, number)| attempt(name, number, NOTHING, libc::EPERM)),
    );
    let family = |name, family: i32, kind: i32, protocol: i32, errno| {
        attempt(
            name,
            libc::SYS_socket,
            [family as u64, kind as u64, protocol as u64, 0, 0, 0],
            errno,
        )
    };
    attempts.extend([
        attempt("clone3", libc::SYS_clone3, NOTHING, libc::ENOSYS),
        attempt(
            "clone of a user namespace",
            libc::SYS_clone,
            [libc::CLONE_NEWUSER as u64, 0, 0, 0, 0, 0],
            libc::EPERM,
        ),
        attempt(
            "unshare of a user namespace",
            libc::SYS_unshare,
            [libc::CLONE_NEWUSER as u64, 0, 0, 0, 0, 0],
            libc::EPERM,
        ),
        attempt("memfd_secret", libc::SYS_memfd_secret, NOTHING, libc::ENOSYS),
        attempt("statmount", 457, NOTHING, libc::ENOSYS),
        attempt(
            "name_to_handle_at",
            libc::SYS_name_to_handle_at,
            NOTHING,
            libc::EOPNOTSUPP,
        ),
        attempt("a call of the future", 700, NOTHING, libc::ENOSYS),
        family(
            "AF_ALG",
            libc::AF_ALG,
            libc::SOCK_SEQPACKET,
            0,
            libc::EAFNOSUPPORT,
        ),
        family(
            "AF_VSOCK",
            libc::AF_VSOCK,
            libc::SOCK_STREAM,
            0,
            libc::EAFNOSUPPORT,
        ),
        family(
            "AF_PACKET",
            libc::AF_PACKET,
            libc::SOCK_RAW,
            0,
            libc::EAFNOSUPPORT,
        ),
        family(
            "netlink of audit",
            libc::AF_NETLINK,
            libc::SOCK_RAW,
            libc::NETLINK_AUDIT,
            libc::EPROTONOSUPPORT,
        ),
        family(
            "a raw socket",
            libc::AF_INET,
            libc::SOCK_RAW,
            libc::IPPROTO_ICMP,
            libc::EPERM,
        ),
        attempt(
            "TIOCSTI",
            libc::SYS_ioctl,
            [0, libc::TIOCSTI, 0, 0, 0, 0],
            libc::EPERM,
        ),
        attempt(
            "TIOCSTI with a high word",
            libc::SYS_ioctl,
            [0, libc::TIOCSTI | 1 << 32, 0, 0, 0, 0],
            libc::EPERM,
        ),
        attempt(
            "READ_IMPLIES_EXEC",
            libc::SYS_personality,
            [libc::READ_IMPLIES_EXEC as u64, 0, 0, 0, 0, 0],
            libc::EPERM,
        ),
        attempt(
            "a device node",
            libc::SYS_mknodat,
            [0, 0, u64::from(libc::S_IFCHR), 0, 0, 0],
            libc::EPERM,
        ),
        attempt("an ordinary call", libc::SYS_getpid, NOTHING, 0),
        attempt(
            "unshare of files",
            libc::SYS_unshare,
            [libc::CLONE_FILES as u64, 0, 0, 0, 0, 0],
            0,
        ),
        attempt(
            "a question for the personality",
            libc::SYS_personality,
            [0xffff_ffff, 0, 0, 0, 0, 0],
            0,
        ),
    ]);
    #[cfg(target_arch = "x86_64")]
    attempts.push(attempt(
        "an x32 call",
        0x4000_0000 | libc::SYS_getpid,
        NOTHING,
        libc::EPERM,
    ));
    attempts
}

/// The number of the status is the signal of a child that was killed.
fn in_child(work: impl Fn()) -> i32 {
    // SAFETY: the child makes only system calls (`work` is written so) and leaves by `_exit`.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "a child can be made");
    if child == 0 {
        work();
        // SAFETY: ends this process at once.
        unsafe { libc::_exit(0) };
    }
    let mut status = 0;
    // SAFETY: our child, our variable.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    status
}

/// Only system calls: runs between fork and exec, or in a child of a threaded process.
pub(super) fn install(program: &[libc::sock_filter]) {
    let filter = libc::sock_fprog {
        len: program.len() as u16,
        filter: program.as_ptr().cast_mut(),
    };
    // SAFETY: the program outlives the call; failing ends the child.
    unsafe {
        let locked = libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        let installed = libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            0,
            &raw const filter,
        );
        if locked != 0 || installed != 0 {
            libc::_exit(99);
        }
    }
}

#[test]
fn the_kernel_refuses_each_call_with_the_error_of_the_table() {
    let (program, attempts) = (program(), attempts());
    assert!(attempts.len() <= CALLS);
    // SAFETY: new memory, shared with the child.
    let shared = unsafe {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
        libc::mmap(
            std::ptr::null_mut(),
            CALLS * size_of::<i32>(),
            protection,
            flags,
            -1,
            0,
        )
    };
    assert_ne!(shared, libc::MAP_FAILED);
    let seen = shared.cast::<i32>();
    let status = in_child(|| {
        install(&program);
        for (index, attempt) in attempts.iter().enumerate() {
            let [a, b, c, d, e, f] = attempt.arguments;
            // SAFETY: each is refused before it does anything, or harmless; the index is within the mapping.
            unsafe {
                let answer = libc::syscall(attempt.number, a, b, c, d, e, f);
                *seen.add(index) = if answer < 0 { *libc::__errno_location() } else { 0 };
            }
        }
    });
    assert_eq!(status, 0, "the child reached its end");
    for (index, attempt) in attempts.iter().enumerate() {
        // SAFETY: written by the child, which has ended.
        assert_eq!(unsafe { *seen.add(index) }, attempt.errno, "{}", attempt.name);
    }
}

#[test]
#[cfg(target_arch = "x86_64")]
fn the_32_bit_entry_kills() {
    let program = program();
    let status = in_child(|| {
        install(&program);
        // SAFETY: 20 is getpid there; no argument is read and nothing but rax changes.
        unsafe { std::arch::asm!("int 0x80", inout("rax") 20 => _, options(nostack)) };
    });
    assert!(libc::WIFSIGNALED(status), "status {status:#x}");
    assert_eq!(libc::WTERMSIG(status), libc::SIGSYS);
}
