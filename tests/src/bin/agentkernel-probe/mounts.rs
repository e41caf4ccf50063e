//! Mounts: the root is finished. Nothing is mounted, moved, made writable or taken away.

use std::fs;

use crate::{
    attempt::{REFUSED, address, c, call, judge},
    facts::Facts,
    report::{Check, Outcome},
};

const CLASS: &str = "mounts";

/// With this flag an unmount only asks at its first call, and the permission is looked at before.
const MNT_EXPIRE: usize = 4;

struct Mounted {
    point: String,
    read_only: bool,
}

pub fn checks(_: &Facts) -> Vec<Check> {
    let mut checks = Vec::new();
    for kind in [
        "tmpfs",
        "proc",
        "sysfs",
        "devtmpfs",
        "devpts",
        "mqueue",
        "cgroup2",
        "overlay",
        "ramfs",
        "binfmt_misc",
        "fuse",
        "debugfs",
    ] {
        checks.push(Check::new(CLASS, format!("mount {kind} on /tmp"), move |_| {
            mount(kind, "/tmp", Some(kind), 0)
        }));
    }
    let changes: [(&str, &'static str, &'static str, u64); 6] = [
        ("bind / on /tmp", "/", "/tmp", libc::MS_BIND),
        (
            "bind / and all below on /tmp",
            "/",
            "/tmp",
            libc::MS_BIND | libc::MS_REC,
        ),
        ("bind /proc on /tmp", "/proc", "/tmp", libc::MS_BIND),
        ("move /tmp to /mnt", "/tmp", "/mnt", libc::MS_MOVE),
        ("make / shared", "none", "/", libc::MS_SHARED | libc::MS_REC),
        (
            "remount / without nosuid",
            "none",
            "/",
            libc::MS_REMOUNT | libc::MS_BIND,
        ),
    ];
    for (name, source, target, flags) in changes {
        checks.push(Check::new(CLASS, name, move |_| {
            mount(source, target, None, flags)
        }));
    }
    for mounted in table() {
        if mounted.read_only {
            let (point, name) = (
                mounted.point.clone(),
                format!("remount {} writable", mounted.point),
            );
            checks.push(Check::new(CLASS, name, move |_| {
                mount("none", &point, None, libc::MS_REMOUNT | libc::MS_BIND)
            }));
        }
        let name = format!("unmount {}", mounted.point);
        checks.push(Check::new(CLASS, name, move |_| unmount(&mounted.point)));
    }
    checks.extend(new_interface());
    checks
}

/// The newer calls that take descriptors. None of them is given one that could do harm.
fn new_interface() -> Vec<Check> {
    const NONE: usize = usize::MAX;
    const HERE: usize = libc::AT_FDCWD as usize;
    const OPEN_TREE_CLONE: usize = 1;
    const OPEN_TREE_ATTR: i64 = 467;
    const STATMOUNT: i64 = 457;
    const LISTMOUNT: i64 = 458;
    let attempt = |name: &str, run: fn() -> std::io::Result<i64>| {
        Check::new(CLASS, name, move |_| judge(run(), REFUSED))
    };
    vec![
        attempt("fsopen of a tmpfs", || {
            let kind = c("tmpfs");
            call(libc::SYS_fsopen, &[address(&kind), 0])
        }),
        attempt("fsconfig", || call(libc::SYS_fsconfig, &[NONE, 6])),
        attempt("fsmount", || call(libc::SYS_fsmount, &[NONE])),
        attempt("fspick of /", || {
            let root = c("/");
            call(libc::SYS_fspick, &[HERE, address(&root), 0])
        }),
        attempt("move_mount", || {
            let empty = c("");
            call(
                libc::SYS_move_mount,
                &[NONE, address(&empty), NONE, address(&empty), 0x44],
            )
        }),
        attempt("open_tree of a copy of /", || {
            let root = c("/");
            call(libc::SYS_open_tree, &[HERE, address(&root), OPEN_TREE_CLONE])
        }),
        attempt("open_tree_attr", || {
            let root = c("/");
            call(OPEN_TREE_ATTR, &[HERE, address(&root), OPEN_TREE_CLONE])
        }),
        attempt("mount_setattr of /", || {
            let (root, nothing) = (c("/"), [0u64; 4]);
            call(
                libc::SYS_mount_setattr,
                &[HERE, address(&root), 0, nothing.as_ptr() as usize, 32],
            )
        }),
        attempt("statmount", || call(STATMOUNT, &[0, 0, 0, 0])),
        attempt("listmount", || call(LISTMOUNT, &[0, 0, 0, 0])),
        attempt("pivot_root", || {
            let folder = c("/tmp");
            call(libc::SYS_pivot_root, &[address(&folder), address(&folder)])
        }),
        attempt("chroot", || {
            let folder = c("/tmp");
            call(libc::SYS_chroot, &[address(&folder)])
        }),
    ]
}

fn table() -> Vec<Mounted> {
    let text = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mut points: Vec<Mounted> = text
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ').skip(4);
            Some(Mounted {
                point: fields.next()?.to_owned(),
                read_only: fields.next()?.split(',').any(|option| option == "ro"),
            })
        })
        .collect();
    points.dedup_by(|one, other| one.point == other.point);
    points
}

fn mount(source: &str, target: &str, kind: Option<&str>, flags: u64) -> Outcome {
    let (source, target) = (c(source), c(target));
    let kind = kind.map(c);
    let kind = kind.as_ref().map_or(0, address);
    let arguments = [address(&source), address(&target), kind, flags as usize, 0];
    judge(call(libc::SYS_mount, &arguments), REFUSED)
}

fn unmount(point: &str) -> Outcome {
    let point = c(point);
    judge(call(libc::SYS_umount2, &[address(&point), MNT_EXPIRE]), REFUSED)
}
