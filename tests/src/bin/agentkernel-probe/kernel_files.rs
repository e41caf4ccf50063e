//! The kernel's files: none can be written, and none tells of the machine.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use crate::{
    attempt::{
        REFUSED_OR_ABSENT, c, judge, making_is_refused, nothing_to_read, opening_is_refused,
        writing_is_refused,
    },
    facts::Facts,
    report::{Check, Outcome, blocked, holds, leaked, skipped},
};

const CLASS: &str = "kernel-interfaces";

const WRITABLE_ELSEWHERE: [&str; 32] = [
    "/proc/sysrq-trigger",
    "/proc/sys/kernel/core_pattern",
    "/proc/sys/kernel/hostname",
    "/proc/sys/kernel/domainname",
    "/proc/sys/kernel/modprobe",
    "/proc/sys/kernel/sysrq",
    "/proc/sys/kernel/randomize_va_space",
    "/proc/sys/kernel/ns_last_pid",
    "/proc/sys/kernel/yama/ptrace_scope",
    "/proc/sys/kernel/shmmax",
    "/proc/sys/kernel/msgmax",
    "/proc/sys/kernel/unprivileged_bpf_disabled",
    "/proc/sys/kernel/perf_event_paranoid",
    "/proc/sys/vm/overcommit_memory",
    "/proc/sys/vm/drop_caches",
    "/proc/sys/vm/panic_on_oom",
    "/proc/sys/fs/suid_dumpable",
    "/proc/sys/fs/file-max",
    "/proc/sys/fs/binfmt_misc/register",
    "/proc/sys/net/ipv4/ip_forward",
    "/proc/sys/net/ipv4/ping_group_range",
    "/proc/sys/net/core/somaxconn",
    "/proc/sys/user/max_user_namespaces",
    "/proc/self/oom_score_adj",
    "/proc/self/mem",
    "/proc/self/attr/exec",
    "/proc/self/loginuid",
    "/proc/self/clear_refs",
    "/proc/self/coredump_filter",
    "/proc/self/timerslack_ns",
    "/proc/1/oom_score_adj",
    "/proc/mtrr",
];

const TELLING: [&str; 22] = [
    "/proc/kcore",
    "/proc/keys",
    "/proc/key-users",
    "/proc/kallsyms",
    "/proc/kmsg",
    "/proc/timer_list",
    "/proc/sched_debug",
    "/proc/latency_stats",
    "/proc/cmdline",
    "/proc/interrupts",
    "/proc/modules",
    "/proc/acpi",
    "/proc/scsi",
    "/proc/asound",
    "/proc/bus",
    "/proc/kpagecount",
    "/proc/kpageflags",
    "/proc/kpagecgroup",
    "/proc/slabinfo",
    "/proc/vmallocinfo",
    "/proc/pagetypeinfo",
    "/proc/vmcore",
];

const SYSTEM: [&str; 20] = [
    "/sys/kernel/debug",
    "/sys/kernel/tracing",
    "/sys/kernel/security",
    "/sys/kernel/config",
    "/sys/kernel/uevent_helper",
    "/sys/kernel/notes",
    "/sys/kernel/vmcoreinfo",
    "/sys/kernel/kexec_loaded",
    "/sys/fs/bpf",
    "/sys/fs/pstore",
    "/sys/fs/fuse",
    "/sys/fs/selinux",
    "/sys/firmware",
    "/sys/class",
    "/sys/block",
    "/sys/bus",
    "/sys/module",
    "/sys/power",
    "/sys/hypervisor",
    "/sys/devices/virtual",
];

pub fn checks(_: &Facts) -> Vec<Check> {
    let mut checks = Vec::new();
    for path in WRITABLE_ELSEWHERE {
        checks.push(Check::new(CLASS, format!("write {path}"), move |_| {
            writing_is_refused(path)
        }));
    }
    for path in TELLING {
        checks.push(Check::new(CLASS, format!("read {path}"), move |_| {
            nothing_to_read(path)
        }));
    }
    for path in SYSTEM {
        checks.push(Check::new(CLASS, format!("look into {path}"), move |_| {
            nothing_to_read(path)
        }));
    }
    for folder in ["/proc", "/proc/sys", "/sys", "/sys/fs/cgroup", "/sys/kernel"] {
        checks.push(Check::new(CLASS, format!("make a file in {folder}"), move |_| {
            // procfs has no such operation and says that there is no such file.
            match making_is_refused(folder) {
                Outcome::Leaked(_) if no_such_file(folder) => blocked("this file system makes no files"),
                outcome => outcome,
            }
        }));
    }
    checks.extend([
        Check::new(CLASS, "nothing under /sys can be written", |_| {
            nothing_writable("/sys")
        }),
        Check::new(CLASS, "nothing under /proc/sys can be written", |_| {
            nothing_writable("/proc/sys")
        }),
        Check::new(CLASS, "no control group is there", |_| {
            nothing_to_read("/sys/fs/cgroup")
        }),
        Check::new(CLASS, "no release_agent is there", |_| {
            opening_is_refused("/sys/fs/cgroup/release_agent")
        }),
        Check::new(CLASS, "control groups show no path of the host", |_| groups()),
        Check::new(CLASS, "page frames are not told", |_| page_frames()),
        Check::new(CLASS, "no physical address in /proc/iomem", |_| {
            no_addresses("/proc/iomem")
        }),
        Check::new(CLASS, "no address of a port in /proc/ioports", |_| {
            no_addresses("/proc/ioports")
        }),
    ]);
    checks
}

fn no_such_file(folder: &str) -> bool {
    let made = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(format!("{folder}/probe-made-this"));
    made.is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
}

/// Looks at every file below: whether this process could open it for writing.
fn nothing_writable(root: &str) -> Outcome {
    let mut open = vec![Path::new(root).to_path_buf()];
    let (mut seen, mut writable) = (0, Vec::new());
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let (path, kind) = (entry.path(), entry.file_type());
            if kind.as_ref().is_ok_and(fs::FileType::is_dir) {
                open.push(path);
            } else if kind.is_ok_and(|kind| kind.is_file()) {
                seen += 1;
                let name = c(&path.to_string_lossy());
                // SAFETY: a path of ours; the answer says whether writing would be allowed.
                if unsafe { libc::access(name.as_ptr(), libc::W_OK) } == 0 {
                    writable.push(path);
                }
            }
        }
    }
    writable.truncate(10);
    holds(
        writable.is_empty(),
        format!("{seen} files, writable: {writable:?}"),
    )
}

fn groups() -> Outcome {
    let text = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let strange: Vec<&str> = text
        .lines()
        .filter(|line| line.splitn(3, ':').nth(2) != Some("/"))
        .collect();
    holds(strange.is_empty(), format!("{strange:?}"))
}

/// Without privilege the kernel shows zeros instead of frame numbers.
fn page_frames() -> Outcome {
    use std::os::unix::fs::FileExt;
    const FRAME: u64 = (1 << 55) - 1;
    let map = match fs::File::open("/proc/self/pagemap") {
        Ok(map) => map,
        Err(error) => return judge(Err::<(), _>(error), REFUSED_OR_ABSENT),
    };
    let here = 0u64;
    let mut entry = [0; 8];
    let place = (&raw const here as u64) / 4096 * 8;
    match map.read_exact_at(&mut entry, place) {
        Ok(()) => holds(
            u64::from_ne_bytes(entry) & FRAME == 0,
            format!("{:#x}", u64::from_ne_bytes(entry)),
        ),
        Err(error) => blocked(error),
    }
}

fn no_addresses(path: &str) -> Outcome {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => return judge(Err::<(), _>(error), REFUSED_OR_ABSENT),
    };
    if text.is_empty() {
        return blocked("empty");
    }
    if fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o004 == 0) {
        return leaked("a file that only root may read was read");
    }
    let told = text.lines().any(|line| {
        line.split(':')
            .next()
            .is_some_and(|range| range.bytes().any(|byte| byte.is_ascii_hexdigit() && byte != b'0'))
    });
    match text.lines().count() {
        0 => skipped("no lines"),
        lines => holds(!told, format!("{lines} lines, all addresses zero: {}", !told)),
    }
}
