//! Capabilities, devices, mounts, and the kernel's own files.

use std::{ffi::CString, fs, io};

use crate::{Outcome, Probe, attempt, blocked, last_error, leaked};

const CLOSED_DEVICES: [&str; 12] = [
    "/dev/mem",
    "/dev/kmem",
    "/dev/port",
    "/dev/kvm",
    "/dev/fuse",
    "/dev/net/tun",
    "/dev/sda",
    "/dev/vda",
    "/dev/nvme0n1",
    "/dev/loop-control",
    "/dev/vhost-vsock",
    "/dev/userfaultfd",
];
const OPEN_DEVICES: [&str; 13] = [
    "null", "zero", "full", "random", "urandom", "tty", "pts", "ptmx", "shm", "fd", "stdin", "stdout",
    "stderr",
];
/// Must be missing, empty, or refused.
const CLOSED_FILES: [&str; 14] = [
    "/proc/kcore",
    "/proc/keys",
    "/proc/key-users",
    "/proc/kallsyms",
    "/proc/kmsg",
    "/proc/timer_list",
    "/proc/cmdline",
    "/proc/modules",
    "/proc/sched_debug",
    "/sys/class/dmi/id/board_name",
    "/sys/firmware/dmi/tables/DMI",
    "/sys/kernel/debug/tracing/trace",
    "/sys/kernel/notes",
    "/sys/class/net",
];
const CLOSED_FOR_WRITING: [&str; 14] = [
    "/proc/sysrq-trigger",
    "/proc/sys/kernel/core_pattern",
    "/proc/sys/kernel/modprobe",
    "/proc/sys/kernel/hostname",
    "/proc/sys/vm/overcommit_memory",
    "/proc/sys/net/ipv4/ip_forward",
    "/proc/sys/fs/binfmt_misc/register",
    "/proc/self/uid_map",
    "/proc/self/oom_score_adj",
    "/sys/kernel/uevent_helper",
    "/sys/fs/cgroup/cgroup.procs",
    "/sys/fs/cgroup/release_agent",
    "/sys/devices/system/cpu/cpu1/online",
    "/sys/kernel/mm/transparent_hugepage/enabled",
];
const FILE_SYSTEMS: [&str; 7] = ["tmpfs", "proc", "sysfs", "devpts", "overlay", "cgroup2", "ext4"];

pub fn probes() -> Vec<Probe> {
    let mut probes: Vec<Probe> = Vec::new();
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        probes.push((
            "capabilities",
            format!("{set} is empty"),
            Box::new(move |_| status_is(set, "0000000000000000")),
        ));
    }
    probes.push((
        "capabilities",
        "no_new_privs is set".to_owned(),
        Box::new(|_| status_is("NoNewPrivs", "1")),
    ));
    probes.push((
        "capabilities",
        "a filter is installed".to_owned(),
        Box::new(|_| status_is("Seccomp", "2")),
    ));
    probes.push((
        "capabilities",
        "secure bits are locked".to_owned(),
        Box::new(|_| secure_bits()),
    ));
    probes.push(("capabilities", "capset".to_owned(), Box::new(|_| capset())));
    probes.push((
        "capabilities",
        "raise an ambient capability".to_owned(),
        Box::new(|_| ambient()),
    ));
    probes.push((
        "capabilities",
        "setuid to another id".to_owned(),
        Box::new(|_| set_ids()),
    ));
    for device in CLOSED_DEVICES {
        probes.push((
            "devices",
            format!("open {device}"),
            Box::new(move |_| attempt(fs::File::open(device).map(|_| "opened"))),
        ));
    }
    probes.push((
        "devices",
        "only harmless devices".to_owned(),
        Box::new(|_| devices()),
    ));
    for (name, kind) in [("character", libc::S_IFCHR), ("block", libc::S_IFBLK)] {
        probes.push((
            "devices",
            format!("make a {name} device"),
            Box::new(move |_| make_device(kind)),
        ));
    }
    for kind in FILE_SYSTEMS {
        probes.push((
            "mounts",
            format!("mount {kind}"),
            Box::new(move |_| mount(Some(kind), "/tmp", 0)),
        ));
    }
    probes.push((
        "mounts",
        "bind /".to_owned(),
        Box::new(|_| mount(None, "/tmp", libc::MS_BIND)),
    ));
    for path in ["/", "/proc", "/sys", "/dev", "/usr"] {
        let flags = libc::MS_REMOUNT | libc::MS_BIND;
        probes.push((
            "mounts",
            format!("remount {path} writable"),
            Box::new(move |_| mount(None, path, flags)),
        ));
    }
    for path in ["/proc", "/sys", "/proc/keys", "/dev"] {
        probes.push((
            "mounts",
            format!("unmount {path}"),
            Box::new(move |_| unmount(path)),
        ));
    }
    for path in CLOSED_FILES {
        probes.push((
            "kernel interfaces",
            format!("read {path}"),
            Box::new(move |_| read_nothing(path)),
        ));
    }
    for path in CLOSED_FOR_WRITING {
        probes.push((
            "kernel interfaces",
            format!("write {path}"),
            Box::new(move |_| open_for_writing(path)),
        ));
    }
    probes
}

fn status_is(field: &str, expected: &str) -> Outcome {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let value = status
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    match value.map(str::trim) {
        Some(value) if value == expected => blocked(value),
        other => leaked(format!("{other:?}")),
    }
}

fn secure_bits() -> Outcome {
    // SAFETY: takes no further argument.
    match unsafe { libc::prctl(libc::PR_GET_SECUREBITS) } {
        0xef => blocked("0xef"),
        bits => leaked(format!("{bits:#x}")),
    }
}

fn capset() -> Outcome {
    let header = [0x2008_0522u32, 0];
    let data = [1u32 << 21, 1 << 21, 0, 0, 0, 0];
    // SAFETY: version 3 reads two words of header and six of data.
    match unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), data.as_ptr()) } {
        0 => leaked("got CAP_SYS_ADMIN"),
        _ => blocked(last_error()),
    }
}

fn ambient() -> Outcome {
    // SAFETY: numbers only.
    match unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE, 21, 0, 0) } {
        0 => leaked("raised"),
        _ => blocked(last_error()),
    }
}

fn set_ids() -> Outcome {
    for id in [0, 1, 65534] {
        // SAFETY: numbers only; a change would end the usefulness of this process, and be reported.
        if unsafe { libc::getuid() } != id && unsafe { libc::setresuid(id, id, id) } == 0 {
            return leaked(format!("became {id}"));
        }
    }
    blocked(last_error())
}

fn devices() -> Outcome {
    let names = fs::read_dir("/dev").map(|entries| {
        entries
            .flatten()
            .map(|entry| entry.file_name())
            .collect::<Vec<_>>()
    });
    let foreign: Vec<_> = names
        .unwrap_or_default()
        .into_iter()
        .filter(|name| !OPEN_DEVICES.iter().any(|known| name == known))
        .collect();
    if foreign.is_empty() {
        blocked("none other")
    } else {
        leaked(format!("{foreign:?}"))
    }
}

fn make_device(kind: libc::mode_t) -> Outcome {
    // SAFETY: a constant path.
    let made = unsafe { libc::mknod(c"/tmp/probe-device".as_ptr(), kind | 0o666, libc::makedev(1, 1)) };
    if made == 0 {
        leaked("made")
    } else {
        blocked(last_error())
    }
}

fn mount(kind: Option<&str>, target: &str, flags: libc::c_ulong) -> Outcome {
    let text = |text: &str| CString::new(text).expect("a constant");
    let (kind, target) = (text(kind.unwrap_or("none")), text(target));
    // SAFETY: all strings end with NUL and live until the call returns.
    let result = unsafe {
        libc::mount(
            c"/".as_ptr(),
            target.as_ptr(),
            kind.as_ptr(),
            flags,
            std::ptr::null(),
        )
    };
    if result == 0 {
        leaked("mounted")
    } else {
        attempt(Err::<String, _>(io::Error::last_os_error()))
    }
}

fn unmount(path: &str) -> Outcome {
    let path = CString::new(path).expect("a constant");
    // SAFETY: the string ends with NUL.
    let result = unsafe { libc::umount2(path.as_ptr(), libc::MNT_DETACH) };
    if result == 0 {
        leaked("unmounted")
    } else {
        attempt(Err::<String, _>(io::Error::last_os_error()))
    }
}

fn read_nothing(path: &str) -> Outcome {
    match fs::read(path) {
        Ok(content) if content.is_empty() => blocked("empty"),
        Ok(content) => leaked(format!("{} bytes", content.len())),
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => leaked("a folder is there"),
        Err(error) => blocked(error),
    }
}

fn open_for_writing(path: &str) -> Outcome {
    match fs::OpenOptions::new().write(true).open(path) {
        Ok(_) => leaked("opened"),
        Err(error) => blocked(error),
    }
}
