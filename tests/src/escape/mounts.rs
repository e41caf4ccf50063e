//! Mounts: new ones, other attributes, another root.

use std::fs;

use super::{
    attempt::{Blocked, Leaked, Outcome, Probe, Skipped, c, call, probe, refused},
    facts::Facts,
};

const KINDS: [&str; 16] = [
    "tmpfs",
    "proc",
    "sysfs",
    "devtmpfs",
    "devpts",
    "mqueue",
    "overlay",
    "cgroup",
    "cgroup2",
    "debugfs",
    "tracefs",
    "bpf",
    "fuse",
    "ext4",
    "squashfs",
    "binfmt_misc",
];

/// Linux 6.15: not in libc.
const OPEN_TREE_ATTR: i64 = 467;

pub fn probes(_: &Facts) -> Vec<Probe> {
    let mut probes: Vec<Probe> = KINDS
        .iter()
        .map(|&kind| probe("mounts", format!("mount {kind}"), move || new(kind)))
        .collect();
    let at = libc::AT_FDCWD as u64;
    let mount = |name: &'static str, place: &'static str, flags: u64| {
        probe("mounts", name, move || refused(mount(None, place, None, flags)))
    };
    probes.extend([
        mount("remount the root writable", "/", libc::MS_REMOUNT),
        mount(
            "remount the root writable as a bind",
            "/",
            libc::MS_REMOUNT | libc::MS_BIND,
        ),
        mount(
            "remount /proc writable",
            "/proc",
            libc::MS_REMOUNT | libc::MS_BIND,
        ),
        mount("remount /sys writable", "/sys", libc::MS_REMOUNT | libc::MS_BIND),
        mount(
            "share the root's mounts with others",
            "/",
            libc::MS_SHARED | libc::MS_REC,
        ),
        mount("make the root a slave", "/", libc::MS_SLAVE | libc::MS_REC),
        probe("mounts", "remount each read-only mount writable", remount_each),
        probe("mounts", "bind / to /tmp", || {
            refused(self::mount(Some("/"), "/tmp", None, libc::MS_BIND | libc::MS_REC))
        }),
        probe("mounts", "move /proc to /tmp", || {
            refused(self::mount(Some("/proc"), "/tmp", None, libc::MS_MOVE))
        }),
    ]);
    for place in ["/", "/proc", "/proc/keys", "/sys", "/dev"] {
        let name = format!("unmount {place}");
        probes.push(probe("mounts", name, move || {
            refused(call(
                libc::SYS_umount2,
                &[c(place).as_ptr() as u64, libc::MNT_DETACH as u64],
            ))
        }));
    }
    let raw = |name: &'static str, number: i64, arguments: Vec<u64>| {
        probe("mounts", name, move || {
            let (root, empty) = (c("/"), c(""));
            // 1 and 2 stand for these texts.
            let text = |value: &u64| match value {
                1 => root.as_ptr() as u64,
                2 => empty.as_ptr() as u64,
                other => *other,
            };
            refused(call(number, &arguments.iter().map(text).collect::<Vec<_>>()))
        })
    };
    probes.extend([
        raw("open_tree", libc::SYS_open_tree, vec![at, 1, 0]),
        raw("open_tree, as a copy", libc::SYS_open_tree, vec![at, 1, 0x8001]),
        raw("open_tree_attr", OPEN_TREE_ATTR, vec![at, 1, 0x8001, 0, 0]),
        raw("move_mount", libc::SYS_move_mount, vec![at, 1, at, 1, 0]),
        raw("fsopen", libc::SYS_fsopen, vec![1, 0]),
        raw("fsconfig", libc::SYS_fsconfig, vec![0, 6, 0, 0, 0]),
        raw("fsmount", libc::SYS_fsmount, vec![0, 0, 0]),
        raw("fspick", libc::SYS_fspick, vec![at, 1, 0]),
        raw(
            "mount_setattr",
            libc::SYS_mount_setattr,
            vec![at, 1, 0x8000, 2, 32],
        ),
        raw("pivot_root", libc::SYS_pivot_root, vec![1, 1]),
        raw("chroot", libc::SYS_chroot, vec![1]),
    ]);
    probes
}

fn mount(source: Option<&str>, place: &str, kind: Option<&str>, flags: u64) -> Result<i64, i32> {
    let (source, place, kind) = (c(source.unwrap_or("none")), c(place), c(kind.unwrap_or("none")));
    let pointers = [
        source.as_ptr() as u64,
        place.as_ptr() as u64,
        kind.as_ptr() as u64,
    ];
    call(
        libc::SYS_mount,
        &[pointers[0], pointers[1], pointers[2], flags, 0],
    )
}

fn new(kind: &str) -> Outcome {
    refused(mount(None, "/tmp", Some(kind), 0))
}

fn remount_each() -> Outcome {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let read_only = table.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split(' ').collect();
        fields
            .get(5)?
            .split(',')
            .any(|option| option == "ro")
            .then(|| fields[4].to_owned())
    });
    let read_only: Vec<String> = read_only.collect();
    let flags = libc::MS_REMOUNT | libc::MS_BIND;
    let opened = read_only
        .iter()
        .filter(|place| mount(None, place, None, flags).is_ok());
    let opened: Vec<&str> = opened.map(String::as_str).collect();
    match (read_only.len(), opened.as_slice()) {
        (0, _) => Skipped("there is none".to_owned()),
        (count, []) => Blocked(format!("all {count} of them")),
        (_, opened) => Leaked(opened.join(" ")),
    }
}
