//! System calls that have no business in a sandbox.

use super::{
    attempt::{Blocked, Leaked, Outcome, Probe, c, call, errno, probe, refused, refused_with, text_of},
    facts::Facts,
};

/// Numbers that libc does not have.
const STATMOUNT: i64 = 457;
const LISTMOUNT: i64 = 458;
const LSM_LIST_MODULES: i64 = 461;

/// Calls that a filter refuses with whatever arguments: these do nothing if they are looked at.
const EMPTY: &[(&str, i64)] = &[
    ("bpf", libc::SYS_bpf),
    ("keyctl", libc::SYS_keyctl),
    ("add_key", libc::SYS_add_key),
    ("request_key", libc::SYS_request_key),
    ("userfaultfd", libc::SYS_userfaultfd),
    ("perf_event_open", libc::SYS_perf_event_open),
    ("io_uring_enter", libc::SYS_io_uring_enter),
    ("io_uring_register", libc::SYS_io_uring_register),
    ("kexec_file_load", libc::SYS_kexec_file_load),
    ("init_module", libc::SYS_init_module),
    ("finit_module", libc::SYS_finit_module),
    ("delete_module", libc::SYS_delete_module),
    ("open_by_handle_at", libc::SYS_open_by_handle_at),
    ("quotactl", libc::SYS_quotactl),
    ("quotactl_fd", libc::SYS_quotactl_fd),
    ("swapon", libc::SYS_swapon),
    ("swapoff", libc::SYS_swapoff),
    // Without its magic numbers it does nothing.
    ("reboot", libc::SYS_reboot),
    ("fanotify_init", libc::SYS_fanotify_init),
    ("fanotify_mark", libc::SYS_fanotify_mark),
    ("migrate_pages", libc::SYS_migrate_pages),
    ("memfd_secret", libc::SYS_memfd_secret),
    ("lookup_dcookie", libc::SYS_lookup_dcookie),
    ("statmount", STATMOUNT),
    ("listmount", LISTMOUNT),
    ("lsm_list_modules", LSM_LIST_MODULES),
    ("adjtimex", libc::SYS_adjtimex),
    ("clock_adjtime", libc::SYS_clock_adjtime),
    ("settimeofday", libc::SYS_settimeofday),
];

pub fn probes(_: &Facts) -> Vec<Probe> {
    let mut probes: Vec<Probe> = EMPTY
        .iter()
        .map(|&(name, number)| probe("calls", name, move || refused(call(number, &[]))))
        .collect();
    probes.extend(with_arguments());
    probes.extend(on_the_first_process());
    #[cfg(target_arch = "x86_64")]
    probes.extend(x86::probes());
    probes
}

fn with_arguments() -> Vec<Probe> {
    vec![
        probe("calls", "io_uring_setup", || {
            let parameters = [0u8; 120];
            refused(call(libc::SYS_io_uring_setup, &[1, parameters.as_ptr() as u64]))
        }),
        probe("calls", "name_to_handle_at", || {
            let handle = [0u32; 34];
            let (path, mut mount) = (c("/"), 0i32);
            let out = (&raw mut mount) as u64;
            let arguments = [
                libc::AT_FDCWD as u64,
                path.as_ptr() as u64,
                handle.as_ptr() as u64,
                out,
                0,
            ];
            refused_with(
                call(libc::SYS_name_to_handle_at, &arguments),
                &[libc::EPERM, libc::EOPNOTSUPP],
            )
        }),
        probe("calls", "clock_settime, to what it is", || {
            let mut now = [0i64; 2];
            let clock = libc::CLOCK_REALTIME as u64;
            let _ = call(libc::SYS_clock_gettime, &[clock, now.as_mut_ptr() as u64]);
            refused(call(libc::SYS_clock_settime, &[clock, now.as_ptr() as u64]))
        }),
        // A segment too many: whoever is allowed to hears EINVAL.
        probe("calls", "kexec_load", || {
            refused(call(libc::SYS_kexec_load, &[0, 17, 0, 0]))
        }),
        probe("calls", "sethostname", || {
            refused(call(libc::SYS_sethostname, &[c("x").as_ptr() as u64, 1]))
        }),
        probe("calls", "setdomainname", || {
            refused(call(libc::SYS_setdomainname, &[c("x").as_ptr() as u64, 1]))
        }),
        probe("calls", "acct", || {
            refused(call(libc::SYS_acct, &[c("/nowhere").as_ptr() as u64]))
        }),
        probe("calls", "syslog", || {
            let buffer = [0u8; 64];
            refused(call(libc::SYS_syslog, &[3, buffer.as_ptr() as u64, 64]))
        }),
        probe("calls", "vhangup", || refused(call(libc::SYS_vhangup, &[]))),
        personality("READ_IMPLIES_EXEC", libc::READ_IMPLIES_EXEC as u64),
        personality("MMAP_PAGE_ZERO", libc::MMAP_PAGE_ZERO as u64),
        personality(
            "READ_IMPLIES_EXEC under a high word",
            libc::READ_IMPLIES_EXEC as u64 | 1 << 40,
        ),
        probe("calls", "a number that no kernel has", || refused(call(999, &[]))),
    ]
}

fn personality(name: &str, value: u64) -> Probe {
    probe("calls", format!("personality {name}"), move || {
        refused(call(libc::SYS_personality, &[value]))
    })
}

fn on_the_first_process() -> Vec<Probe> {
    let ptrace = |name: &'static str, request: u32| {
        probe("calls", name, move || {
            refused(call(libc::SYS_ptrace, &[u64::from(request), 1, 0, 0]))
        })
    };
    let memory = |name: &'static str, number: i64| {
        probe("calls", name, move || {
            let mut buffer = [0u8; 8];
            let own = [buffer.as_mut_ptr() as u64, 8];
            let other = [0x1000u64, 8];
            refused(call(
                number,
                &[1, own.as_ptr() as u64, 1, other.as_ptr() as u64, 1, 0],
            ))
        })
    };
    vec![
        ptrace("ptrace PID 1 by attaching", libc::PTRACE_ATTACH),
        ptrace("ptrace PID 1 by seizing", libc::PTRACE_SEIZE),
        memory("process_vm_readv of PID 1", libc::SYS_process_vm_readv),
        memory("process_vm_writev of PID 1", libc::SYS_process_vm_writev),
        probe("calls", "pidfd_getfd of PID 1", || {
            match call(libc::SYS_pidfd_open, &[1, 0]) {
                Ok(descriptor) => refused(call(libc::SYS_pidfd_getfd, &[descriptor as u64, 0, 0])),
                Err(error) => Blocked(text_of(error)),
            }
        }),
        probe("calls", "kcmp with PID 1", || {
            refused(call(libc::SYS_kcmp, &[1, 1, 0, 0, 0]))
        }),
        probe("calls", "move_pages of PID 1", || {
            refused(call(libc::SYS_move_pages, &[1, 0, 0, 0, 0, 0]))
        }),
        probe("calls", "process_madvise of PID 1", || {
            match call(libc::SYS_pidfd_open, &[1, 0]) {
                Ok(descriptor) => {
                    let range = [0x1000u64, 0x1000];
                    let cold = libc::MADV_COLD as u64;
                    refused(call(
                        libc::SYS_process_madvise,
                        &[descriptor as u64, range.as_ptr() as u64, 1, cold, 0],
                    ))
                }
                Err(error) => Blocked(text_of(error)),
            }
        }),
        probe("calls", "limits of PID 1", || {
            let limit = [1u64, 1];
            refused(call(
                libc::SYS_prlimit64,
                &[1, u64::from(libc::RLIMIT_NOFILE), limit.as_ptr() as u64, 0],
            ))
        }),
        probe("calls", "robust list of PID 1", || {
            let (mut head, mut length) = (0u64, 0u64);
            let pointers = [(&raw mut head) as u64, (&raw mut length) as u64];
            refused(call(libc::SYS_get_robust_list, &[1, pointers[0], pointers[1]]))
        }),
    ]
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::*;

    pub fn probes() -> Vec<Probe> {
        vec![
            probe("calls", "iopl", || refused(call(libc::SYS_iopl, &[3]))),
            probe("calls", "ioperm", || {
                refused(call(libc::SYS_ioperm, &[0x80, 1, 1]))
            }),
            probe("calls", "modify_ldt", || {
                let buffer = [0u8; 64];
                refused(call(libc::SYS_modify_ldt, &[0, buffer.as_ptr() as u64, 64]))
            }),
            probe("calls", "32-bit entry", entry_of_32_bits),
            probe("calls", "x32 entry", || {
                refused(call(0x4000_0000 | libc::SYS_getpid, &[]))
            }),
            probe("calls", "x32 number of its own", || {
                refused(call(0x4000_0000 | 520, &[]))
            }),
            probe("calls", "x32 number without its bit", || refused(call(520, &[]))),
        ]
    }

    /// getpid; the filter kills. ENOSYS, the kernel's answer without the gate, is a wall as well.
    fn entry_of_32_bits() -> Outcome {
        let answer: i64;
        // SAFETY: no argument is read, and nothing but rax changes.
        unsafe { std::arch::asm!("int 0x80", inout("rax") 20i64 => answer, options(nostack)) };
        match answer as i32 {
            error if error == -libc::ENOSYS => Blocked(text_of(libc::ENOSYS)),
            answer => Leaked(format!("returned {answer}, errno {}", errno())),
        }
    }
}
