//! Devices: few nodes, none that lead to the machine, and no way to make one.

use std::{fs, io};

use crate::{
    attempt::{REFUSED, answer, c, judge, making_is_refused, opening_is_refused},
    facts::Facts,
    report::{Check, Outcome, blocked, leaked},
};

const CLASS: &str = "devices";

/// What a program expects in /dev. Nothing else may be there.
const EXPECTED: [&str; 14] = [
    "null", "zero", "full", "random", "urandom", "tty", "fd", "stdin", "stdout", "stderr", "ptmx", "pts",
    "shm", "mqueue",
];

const MACHINE: [&str; 44] = [
    "mem",
    "kmem",
    "port",
    "kmsg",
    "kvm",
    "fuse",
    "cuse",
    "net/tun",
    "vhost-net",
    "vhost-vsock",
    "vsock",
    "vfio/vfio",
    "loop-control",
    "loop0",
    "mapper/control",
    "ram0",
    "sda",
    "vda",
    "vda1",
    "xvda",
    "nvme0",
    "nvme0n1",
    "sr0",
    "sg0",
    "md0",
    "console",
    "tty0",
    "tty1",
    "ttyS0",
    "vcs",
    "input/event0",
    "uinput",
    "dri/card0",
    "snd/timer",
    "cpu/0/msr",
    "hpet",
    "rtc0",
    "watchdog",
    "snapshot",
    "userfaultfd",
    "autofs",
    "btrfs-control",
    "bus/usb/001/001",
    "sev",
];

/// Kinds of nodes by what they would lead to: type, major and minor number.
const NODES: [(&str, u32, u32, u32); 7] = [
    // No device: how an overlay marks a removed file. It needs no privilege.
    ("a deletion mark", libc::S_IFCHR, 0, 0),
    ("the memory of the machine", libc::S_IFCHR, 1, 1),
    ("a null device", libc::S_IFCHR, 1, 3),
    ("FUSE", libc::S_IFCHR, 10, 229),
    ("TUN", libc::S_IFCHR, 10, 200),
    ("a SCSI disk", libc::S_IFBLK, 8, 0),
    ("a loop device", libc::S_IFBLK, 7, 0),
];

pub fn checks(_: &Facts) -> Vec<Check> {
    let mut checks = vec![
        Check::new(CLASS, "only expected nodes in /dev", |_| only_expected()),
        Check::new(CLASS, "make a file in /dev", |_| making_is_refused("/dev")),
        Check::new(CLASS, "change the mode of the shared /dev/null", |_| {
            mode_of_null()
        }),
    ];
    for name in MACHINE {
        let path = format!("/dev/{name}");
        checks.push(Check::new(CLASS, format!("open {path}"), move |_| {
            opening_is_refused(&path)
        }));
    }
    for (what, kind, major, minor) in NODES {
        for folder in ["/tmp", "/dev/shm"] {
            let name = format!("mknod of {what} in {folder}");
            checks.push(Check::new(CLASS, name, move |_| {
                mknod(folder, kind, major, minor)
            }));
        }
    }
    checks
}

fn only_expected() -> Outcome {
    let entries = match fs::read_dir("/dev") {
        Ok(entries) => entries,
        Err(error) => return blocked(error),
    };
    let names = entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned());
    let strange: Vec<String> = names.filter(|name| !EXPECTED.contains(&name.as_str())).collect();
    if strange.is_empty() {
        blocked("nothing but what programs expect")
    } else {
        leaked(format!("{strange:?}"))
    }
}

fn mknod(folder: &str, kind: u32, major: u32, minor: u32) -> Outcome {
    let path = format!("{folder}/probe-node-{}", std::process::id());
    let name = c(&path);
    // SAFETY: a path of ours and numbers.
    let made = answer(unsafe { libc::mknod(name.as_ptr(), kind | 0o600, libc::makedev(major, minor)) });
    let outcome = judge(made, REFUSED);
    let _ = fs::remove_file(&path);
    outcome
}

/// The node is the host's own, bound into the sandbox. Setting the mode that it has changes nothing where it works.
fn mode_of_null() -> Outcome {
    let mode = match fs::metadata("/dev/null") {
        Ok(found) => found.permissions(),
        Err(error) => return leaked(format!("every sandbox has it: {error}")),
    };
    let result: io::Result<()> = fs::set_permissions("/dev/null", mode);
    judge(result, REFUSED)
}
