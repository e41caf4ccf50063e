//! What the kernel shows in files.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use super::{
    attempt::{Blocked, Leaked, Outcome, Probe, Skipped, probe, unreadable, unwritable},
    facts::Facts,
};

/// Secrets of the kernel, or of everybody.
const SECRET: [&str; 13] = [
    "/proc/kcore",
    "/proc/keys",
    "/proc/key-users",
    "/proc/kmsg",
    "/proc/timer_list",
    "/proc/sched_debug",
    "/proc/latency_stats",
    "/proc/kpagecount",
    "/proc/kpageflags",
    "/proc/vmallocinfo",
    "/proc/slabinfo",
    "/proc/cmdline",
    "/proc/modules",
];

/// Ways into the kernel, or out of it as root.
const SWITCHES: [&str; 16] = [
    "/proc/sysrq-trigger",
    "/proc/sys/kernel/core_pattern",
    "/proc/sys/kernel/modprobe",
    "/proc/sys/kernel/hotplug",
    "/proc/sys/kernel/poweroff_cmd",
    "/proc/sys/kernel/sysrq",
    "/proc/sys/kernel/hostname",
    "/proc/sys/kernel/ns_last_pid",
    "/proc/sys/kernel/yama/ptrace_scope",
    "/proc/sys/vm/drop_caches",
    "/proc/sys/vm/overcommit_memory",
    "/proc/sys/fs/binfmt_misc/register",
    "/proc/sys/net/ipv4/ip_forward",
    "/proc/sys/net/ipv4/ping_group_range",
    "/proc/irq/0/smp_affinity",
    "/proc/mtrr",
];

const SYSTEM: [&str; 9] = [
    "/sys/kernel/debug",
    "/sys/kernel/tracing",
    "/sys/kernel/security",
    "/sys/fs/cgroup",
    "/sys/fs/bpf",
    "/sys/firmware",
    "/sys/class/dmi",
    "/sys/class/net",
    "/sys/module",
];

pub fn probes(_: &Facts) -> Vec<Probe> {
    let mut probes = Vec::new();
    for path in SECRET {
        probes.push(probe("kernel files", format!("read {path}"), move || {
            unreadable(path)
        }));
    }
    for path in SWITCHES {
        probes.push(probe("kernel files", format!("write {path}"), move || {
            unwritable(path)
        }));
    }
    for path in SYSTEM {
        probes.push(probe("kernel files", format!("look into {path}"), move || {
            no_entries(path)
        }));
    }
    for path in [
        "/proc/self/uid_map",
        "/proc/self/gid_map",
        "/proc/self/projid_map",
    ] {
        probes.push(probe("kernel files", format!("write {path}"), move || {
            not_written(path, "0 0 1\n")
        }));
    }
    for path in ["/proc/acpi", "/proc/scsi", "/proc/asound", "/proc/bus"] {
        probes.push(probe("kernel files", format!("look into {path}"), move || {
            no_entries(path)
        }));
    }
    probes.extend([
        probe("kernel files", "read addresses of the kernel", || {
            addresses("/proc/kallsyms", ' ')
        }),
        probe("kernel files", "read addresses of memory", || {
            addresses("/proc/iomem", ':')
        }),
        probe("kernel files", "read addresses of ports", || {
            addresses("/proc/ioports", ':')
        }),
        probe("kernel files", "find a writable file in /proc/sys", || {
            none_writable("/proc/sys")
        }),
        probe("kernel files", "find a writable file in /sys", || {
            none_writable("/sys")
        }),
        probe(
            "kernel files",
            "find a writable file of the kernel at the top of /proc",
            top_of_proc,
        ),
        probe("kernel files", "be spared when memory runs out", || {
            not_written("/proc/self/oom_score_adj", "-1000")
        }),
        probe("kernel files", "find a release agent", release_agent),
        probe(
            "kernel files",
            "make a folder in /sys/fs/cgroup",
            || match fs::create_dir("/sys/fs/cgroup/agentkernel-escape") {
                Ok(()) => Leaked("made".to_owned()),
                Err(error) => Blocked(error.to_string()),
            },
        ),
    ]);
    probes
}

fn no_entries(path: &str) -> Outcome {
    match fs::read_dir(path).map(|entries| entries.flatten().count()) {
        Ok(0) => Blocked("empty".to_owned()),
        Ok(count) => Leaked(format!("{count} entries")),
        Err(error) => Blocked(error.to_string()),
    }
}

fn not_written(path: &str, text: &str) -> Outcome {
    match fs::write(path, text) {
        Ok(()) => Leaked("written".to_owned()),
        Err(error) => Blocked(error.to_string()),
    }
}

/// The kernel shows zeros to those who must not know.
fn addresses(path: &str, end: char) -> Outcome {
    let text = fs::read_to_string(path).unwrap_or_default();
    let is_known = |line: &&str| {
        let address = line.split(end).next().unwrap_or_default();
        address.contains(|c| !matches!(c, '0' | '-' | ' '))
    };
    match text.lines().find(is_known) {
        Some(line) => Leaked(line.to_owned()),
        None if text.is_empty() => Blocked("empty".to_owned()),
        None => Blocked("all are zero".to_owned()),
    }
}

/// By trying: a mode says little.
fn none_writable(root: &str) -> Outcome {
    const MOST: usize = 20_000;
    let mut open = vec![PathBuf::from(root)];
    let (mut tried, mut found) = (0, Vec::new());
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => open.push(path),
                Ok(kind) if kind.is_file() && tried < MOST => {
                    tried += 1;
                    if let Leaked(_) = unwritable(&path) {
                        found.push(path.display().to_string());
                    }
                }
                _ => {}
            }
        }
    }
    match (tried, found.as_slice()) {
        (0, _) => Skipped("nothing is there".to_owned()),
        (_, []) => Blocked(format!("none of {tried}")),
        (_, found) => Leaked(found.join(" ")),
    }
}

fn top_of_proc() -> Outcome {
    let writable = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| {
            let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
            let for_everybody = entry
                .metadata()
                .is_ok_and(|meta| meta.permissions().mode() & 0o222 != 0);
            is_file && for_everybody && matches!(unwritable(entry.path()), Leaked(_))
        });
    let writable: Vec<String> = writable.map(|entry| entry.path().display().to_string()).collect();
    if writable.is_empty() {
        Blocked("none".to_owned())
    } else {
        Leaked(writable.join(" "))
    }
}

fn release_agent() -> Outcome {
    let roots = [
        "/sys/fs/cgroup",
        "/sys/fs/cgroup/memory",
        "/sys/fs/cgroup/rdma",
        "/sys/fs/cgroup/unified",
    ];
    let files = roots.iter().map(|root| Path::new(root).join("release_agent"));
    match files
        .into_iter()
        .find(|file| matches!(unwritable(file), Leaked(_)))
    {
        Some(file) => Leaked(file.display().to_string()),
        None => Blocked("none can be written".to_owned()),
    }
}
