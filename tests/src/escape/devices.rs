//! Device nodes.

use std::fs;

use super::{
    attempt::{Blocked, Leaked, Outcome, Probe, c, call, probe, refused},
    facts::Facts,
};

const NODES: [&str; 20] = [
    "/dev/mem",
    "/dev/kmem",
    "/dev/port",
    "/dev/kmsg",
    "/dev/kvm",
    "/dev/fuse",
    "/dev/net/tun",
    "/dev/vda",
    "/dev/sda",
    "/dev/nvme0n1",
    "/dev/loop-control",
    "/dev/loop0",
    "/dev/mapper/control",
    "/dev/console",
    "/dev/vhost-vsock",
    "/dev/vhost-net",
    "/dev/userfaultfd",
    "/dev/uinput",
    "/dev/snapshot",
    "/dev/hpet",
];

/// All that a sandbox needs.
const EXPECTED: [&str; 15] = [
    "console", "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout",
    "tty", "urandom", "zero",
];

pub fn probes(_: &Facts) -> Vec<Probe> {
    let mut probes: Vec<Probe> = NODES
        .iter()
        .map(|&node| probe("devices", format!("open {node}"), move || cannot_open(node)))
        .collect();
    for (name, kind, device) in [
        ("make the node of a disk", libc::S_IFBLK, libc::makedev(254, 0)),
        ("make the node of memory", libc::S_IFCHR, libc::makedev(1, 1)),
        ("make the node 0:0, a deletion mark of overlays", libc::S_IFCHR, 0),
        ("make the node of fuse", libc::S_IFCHR, libc::makedev(10, 229)),
    ] {
        probes.push(probe("devices", name, move || make(kind, device)));
    }
    probes.push(probe("devices", "find an unexpected node in /dev", unexpected));
    probes.push(probe(
        "devices",
        "find a mount on which device nodes work",
        mounts_with_devices,
    ));
    probes
}

fn cannot_open(node: &str) -> Outcome {
    let opened = [libc::O_RDWR, libc::O_RDONLY].into_iter().find_map(|flags| {
        call(
            libc::SYS_openat,
            &[libc::AT_FDCWD as u64, c(node).as_ptr() as u64, flags as u64],
        )
        .ok()
    });
    match opened {
        Some(_) => Leaked("opened".to_owned()),
        None => Blocked(format!("{}", std::io::Error::last_os_error())),
    }
}

fn make(kind: u32, device: u64) -> Outcome {
    let path = c("/tmp/agentkernel-escape-node");
    let mode = u64::from(kind | 0o600);
    refused(call(
        libc::SYS_mknodat,
        &[libc::AT_FDCWD as u64, path.as_ptr() as u64, mode, device],
    ))
}

fn unexpected() -> Outcome {
    let entries = fs::read_dir("/dev").into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let others: Vec<String> = names.filter(|name| !EXPECTED.contains(&name.as_str())).collect();
    if others.is_empty() {
        Blocked("none".to_owned())
    } else {
        Leaked(others.join(" "))
    }
}

fn mounts_with_devices() -> Outcome {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let with_devices = table.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split(' ').collect();
        let (place, options) = (*fields.get(4)?, *fields.get(5)?);
        let nodev = options.split(',').any(|option| option == "nodev");
        (!nodev && !place.starts_with("/dev") && !place.starts_with("/proc/")).then(|| place.to_owned())
    });
    let with_devices: Vec<String> = with_devices.collect();
    if with_devices.is_empty() {
        Blocked("none".to_owned())
    } else {
        Leaked(with_devices.join(" "))
    }
}
