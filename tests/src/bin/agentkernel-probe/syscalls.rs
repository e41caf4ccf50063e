//! System calls that no sandbox has, each made once with arguments that do nothing where it works.

use std::ffi::c_long;

use crate::{
    attempt::{REFUSED, address, c, call, judge},
    facts::Facts,
    process::{self, End},
    report::{Check, Outcome, blocked, leaked},
};

const CLASS: &str = "syscalls";
const NONE: usize = usize::MAX;

/// Invalid descriptors, null pointers, empty commands: whoever is let through gets another error, and nothing happens.
const CALLS: &[(&str, c_long, &[usize])] = &[
    ("bpf", libc::SYS_bpf, &[0, 0, 0]),
    ("keyctl", libc::SYS_keyctl, &[0, NONE - 2, 0]),
    ("add_key", libc::SYS_add_key, &[0, 0, 0, 0, 0]),
    ("request_key", libc::SYS_request_key, &[0, 0, 0, 0]),
    ("userfaultfd", libc::SYS_userfaultfd, &[1]),
    (
        "perf_event_open",
        libc::SYS_perf_event_open,
        &[0, 0, NONE, NONE, 0],
    ),
    ("io_uring_setup", libc::SYS_io_uring_setup, &[1, 0]),
    ("io_uring_enter", libc::SYS_io_uring_enter, &[NONE, 0, 0, 0, 0, 0]),
    ("io_uring_register", libc::SYS_io_uring_register, &[NONE, 0, 0, 0]),
    ("kexec_load", libc::SYS_kexec_load, &[0, 0, 0, 0xffff]),
    (
        "kexec_file_load",
        libc::SYS_kexec_file_load,
        &[NONE, NONE, 0, 0, 0xffff],
    ),
    ("init_module", libc::SYS_init_module, &[0, 0, 0]),
    ("finit_module", libc::SYS_finit_module, &[NONE, 0, 0]),
    ("delete_module", libc::SYS_delete_module, &[0, 0]),
    ("open_by_handle_at", libc::SYS_open_by_handle_at, &[NONE, 0, 0]),
    ("quotactl", libc::SYS_quotactl, &[NONE, 0, 0, 0]),
    ("quotactl_fd", libc::SYS_quotactl_fd, &[NONE, NONE, 0, 0]),
    ("swapon", libc::SYS_swapon, &[0, 0]),
    ("swapoff", libc::SYS_swapoff, &[0]),
    // Both numbers are wrong, which is what the kernel asks first.
    ("reboot", libc::SYS_reboot, &[1, 2, 0]),
    ("settimeofday", libc::SYS_settimeofday, &[0, 0]),
    ("clock_settime", libc::SYS_clock_settime, &[NONE, 0]),
    ("sethostname", libc::SYS_sethostname, &[0, 0]),
    ("setdomainname", libc::SYS_setdomainname, &[0, 0]),
    // 10: the size of the buffer. 3: its content, of which zero bytes.
    ("syslog, the size of the log", libc::SYS_syslog, &[10, 0, 0]),
    ("syslog, the log itself", libc::SYS_syslog, &[3, 0, 0]),
    ("acct", libc::SYS_acct, &[0]),
    ("kcmp", libc::SYS_kcmp, &[1, 1, 0, 0, 0]),
    ("pidfd_getfd", libc::SYS_pidfd_getfd, &[NONE, 0, 0]),
    ("memfd_secret", libc::SYS_memfd_secret, &[0]),
    ("migrate_pages", libc::SYS_migrate_pages, &[0, 0, 0, 0]),
    ("move_pages", libc::SYS_move_pages, &[0, 0, 0, 0, 0, 0]),
    ("vhangup", libc::SYS_vhangup, &[]),
    ("fanotify_init", libc::SYS_fanotify_init, &[0, 0]),
    ("fanotify_mark", libc::SYS_fanotify_mark, &[NONE, 0, 0, NONE, 0]),
    ("nfsservctl", libc::SYS_nfsservctl, &[0, 0, 0]),
    ("lookup_dcookie", libc::SYS_lookup_dcookie, &[0, 0, 0]),
    (
        "personality that makes data executable",
        libc::SYS_personality,
        &[0x0040_0000],
    ),
    (
        "personality that maps page zero",
        libc::SYS_personality,
        &[0x0010_0000],
    ),
    ("personality of another system", libc::SYS_personality, &[6]),
    ("lsm_get_self_attr", 459, &[0, 0, 0, 0]),
    ("lsm_set_self_attr", 460, &[0, 0, 0, 0]),
    ("lsm_list_modules", 461, &[0, 0, 0]),
    ("a call newer than the list", 600, &[]),
    ("a call far beyond the table", 0x3fff_ffff, &[]),
];

#[cfg(target_arch = "x86_64")]
const OF_THIS_PROCESSOR: &[(&str, c_long, &[usize])] = &[
    ("iopl", libc::SYS_iopl, &[0]),
    ("ioperm", libc::SYS_ioperm, &[0, 1, 0]),
    ("modify_ldt", libc::SYS_modify_ldt, &[0, 0, 0]),
    ("uselib", libc::SYS_uselib, &[0]),
    ("ustat", libc::SYS_ustat, &[0, 0]),
    ("sysfs", libc::SYS_sysfs, &[3]),
    ("_sysctl", libc::SYS__sysctl, &[0]),
    ("x32 getpid", 0x4000_0000 | libc::SYS_getpid, &[]),
    ("x32 ptrace by its own number", 0x4000_0000 | 521, &[]),
    ("x32 ioctl by its own number", 0x4000_0000 | 514, &[NONE, 0, 0]),
];
#[cfg(not(target_arch = "x86_64"))]
const OF_THIS_PROCESSOR: &[(&str, c_long, &[usize])] = &[];

pub fn checks(_: &Facts) -> Vec<Check> {
    let mut checks: Vec<Check> = CALLS
        .iter()
        .chain(OF_THIS_PROCESSOR)
        .map(|&(name, number, arguments)| {
            Check::new(CLASS, name, move |_| judge(call(number, arguments), REFUSED))
        })
        .collect();
    checks.extend([
        Check::new(CLASS, "name_to_handle_at", |_| {
            // Refused like by a file system without handles, which every caller knows.
            let refused = &[libc::EPERM, libc::ENOSYS, libc::EOPNOTSUPP];
            judge(call(libc::SYS_name_to_handle_at, &[NONE, 0, 0, 0, 0]), refused)
        }),
        Check::new(CLASS, "change a limit of PID 1", |_| limit_of_first()),
        Check::new(CLASS, "adjtimex that sets", |_| set_clock(libc::SYS_adjtimex)),
        Check::new(CLASS, "clock_adjtime that sets", |_| {
            set_clock(libc::SYS_clock_adjtime)
        }),
        Check::new(CLASS, "ptrace attach to PID 1", |_| {
            judge(
                call(libc::SYS_ptrace, &[libc::PTRACE_ATTACH as usize, 1, 0, 0]),
                REFUSED,
            )
        }),
        Check::new(CLASS, "ptrace seize of PID 1", |_| {
            judge(
                call(libc::SYS_ptrace, &[libc::PTRACE_SEIZE as usize, 1, 0, 0]),
                REFUSED,
            )
        }),
        Check::new(CLASS, "read the memory of PID 1", |_| {
            memory_of_first(libc::SYS_process_vm_readv)
        }),
        Check::new(CLASS, "write the memory of PID 1", |_| {
            memory_of_first(libc::SYS_process_vm_writev)
        }),
        Check::new(CLASS, "mount in a bpf file system", |_| {
            let kind = c("bpf");
            judge(call(libc::SYS_fsopen, &[address(&kind), 0]), REFUSED)
        }),
        Check::new(CLASS, "the 32-bit entry", |_| old_entry()),
    ]);
    checks
}

/// Sets what is set already. A command has the user of PID 1, so ids alone do not refuse it.
fn limit_of_first() -> Outcome {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: only asks, into a structure of ours.
    let asked = unsafe { libc::prlimit(1, libc::RLIMIT_NOFILE, std::ptr::null(), &raw mut limit) };
    if asked != 0 {
        return blocked("it cannot even be asked for");
    }
    // SAFETY: a structure of ours.
    let set = unsafe { libc::prlimit(1, libc::RLIMIT_NOFILE, &raw const limit, std::ptr::null_mut()) };
    judge(crate::attempt::answer(set), REFUSED)
}

/// Adds nothing to the clock: where it works, the clock stays.
fn set_clock(number: c_long) -> Outcome {
    const ADJ_SETOFFSET: u32 = 0x0100;
    // SAFETY: all fields are numbers.
    let mut change: libc::timex = unsafe { std::mem::zeroed() };
    change.modes = ADJ_SETOFFSET;
    let change = &raw mut change as usize;
    let result = if number == libc::SYS_adjtimex {
        call(number, &[change])
    } else {
        call(number, &[libc::CLOCK_REALTIME as usize, change])
    };
    judge(result, REFUSED)
}

/// At an address that nobody has: who is let through gets EFAULT.
fn memory_of_first(number: c_long) -> Outcome {
    let mut byte = 0u8;
    let local = libc::iovec {
        iov_base: (&raw mut byte).cast(),
        iov_len: 1,
    };
    let remote = libc::iovec {
        iov_base: std::ptr::without_provenance_mut(8),
        iov_len: 1,
    };
    let (local, remote) = (&raw const local as usize, &raw const remote as usize);
    judge(call(number, &[1, local, 1, remote, 1, 0]), REFUSED)
}

#[cfg(target_arch = "x86_64")]
fn old_entry() -> Outcome {
    let end = process::in_child(|| {
        let mut answer: u32 = 20; // getpid in the 32-bit table
        // SAFETY: a system call without arguments; the kernel keeps all registers but rax (and r8 to r11).
        unsafe {
            std::arch::asm!("int 0x80", inlateout("eax") answer, out("r8") _, out("r9") _, out("r10") _, out("r11") _);
        }
        i32::from((answer as i32) < 0)
    });
    match end {
        End::Signal(libc::SIGSYS) => blocked("the process was ended by SIGSYS"),
        // A kernel without this entry.
        End::Signal(libc::SIGSEGV) => blocked("this kernel has no such entry"),
        // 1: the kernel has answered with an error, so the filter has let it through or refused it by number.
        other => leaked(format!("{other:?}")),
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn old_entry() -> Outcome {
    crate::report::skipped("this processor has none")
}
