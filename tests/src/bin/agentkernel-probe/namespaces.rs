//! Namespaces: the sandbox has its own, cannot make another, and cannot enter one.

use std::{fs, fs::File, io, os::fd::AsRawFd};

use crate::{
    attempt::{REFUSED, call, judge, writing_is_refused},
    facts::Facts,
    process,
    report::{Check, Outcome, blocked, holds, leaked, skipped},
};

const CLASS: &str = "namespaces";

const KINDS: [(&str, usize); 8] = [
    ("user", libc::CLONE_NEWUSER as usize),
    ("mnt", libc::CLONE_NEWNS as usize),
    ("pid", libc::CLONE_NEWPID as usize),
    ("net", libc::CLONE_NEWNET as usize),
    ("ipc", libc::CLONE_NEWIPC as usize),
    ("uts", libc::CLONE_NEWUTS as usize),
    ("cgroup", libc::CLONE_NEWCGROUP as usize),
    ("time", 0x80),
];

// linux/nsfs.h
const NS_GET_PARENT: usize = 0xb702;

pub fn checks(_: &Facts) -> Vec<Check> {
    let mut checks = Vec::new();
    for (kind, flag) in KINDS {
        checks.push(Check::new(CLASS, format!("own {kind} namespace"), move |facts| {
            own(facts, kind)
        }));
        checks.push(Check::new(CLASS, format!("unshare {kind}"), move |_| {
            judge(call(libc::SYS_unshare, &[flag]), REFUSED)
        }));
        // For clone these bits are the exit signal.
        if kind != "time" {
            checks.push(Check::new(CLASS, format!("clone into a new {kind}"), move |_| {
                clone(flag)
            }));
        }
        for whose in ["self", "1"] {
            let name = format!("setns to /proc/{whose}/ns/{kind}");
            checks.push(Check::new(CLASS, name, move |_| {
                enter(&format!("/proc/{whose}/ns/{kind}"), flag)
            }));
        }
    }
    checks.extend([
        Check::new(CLASS, "unshare user and mounts at once", |_| {
            judge(
                call(
                    libc::SYS_unshare,
                    &[(libc::CLONE_NEWUSER | libc::CLONE_NEWNS) as usize],
                ),
                REFUSED,
            )
        }),
        Check::new(CLASS, "unshare with bits above the flags", |_| {
            judge(
                call(libc::SYS_unshare, &[1 << 32 | libc::CLONE_NEWUSER as usize]),
                REFUSED,
            )
        }),
        Check::new(CLASS, "clone3 into a new user namespace", |_| {
            clone3(libc::CLONE_NEWUSER as u64)
        }),
        Check::new(CLASS, "clone3 without flags", |_| clone3(0)),
        Check::new(CLASS, "setns through a process descriptor of PID 1", |_| {
            through_pidfd()
        }),
        Check::new(CLASS, "the parent of the user namespace", |_| {
            relative("user", NS_GET_PARENT)
        }),
        Check::new(CLASS, "the parent of the pid namespace", |_| {
            relative("pid", NS_GET_PARENT)
        }),
    ]);
    for file in ["uid_map", "gid_map", "setgroups", "projid_map"] {
        checks.push(Check::new(CLASS, format!("write {file}"), move |_| {
            writing_is_refused(&format!("/proc/self/{file}"))
        }));
    }
    checks
}

fn own(facts: &Facts, kind: &str) -> Outcome {
    if kind == "time" {
        return skipped("not promised: no clock of the host can be set anyway");
    }
    let prefix = format!("{kind}:");
    let Some(host) = facts
        .all("host-namespace")
        .iter()
        .find(|name| name.starts_with(&prefix))
    else {
        return skipped("the host has not told its own");
    };
    match fs::read_link(format!("/proc/self/ns/{kind}")) {
        Ok(own) => holds(own.to_string_lossy() != *host, own.display()),
        Err(error) => leaked(format!("unknown: {error}")),
    }
}

fn clone(flag: usize) -> Outcome {
    // Without a stack and with an exit signal it is a fork: the child ends at once.
    match call(libc::SYS_clone, &[flag | libc::SIGCHLD as usize]) {
        Ok(0) => process::exit(0),
        Ok(child) => {
            process::wait(i32::try_from(child).expect("a process number"));
            leaked("it worked")
        }
        Err(error) => judge(Err::<(), _>(error), REFUSED),
    }
}

fn clone3(flags: u64) -> Outcome {
    // struct clone_args: flags first, the exit signal as the fifth.
    let arguments: [u64; 11] = [flags, 0, 0, 0, libc::SIGCHLD as u64, 0, 0, 0, 0, 0, 0];
    let result = call(
        libc::SYS_clone3,
        &[arguments.as_ptr() as usize, size_of_val(&arguments)],
    );
    match result {
        Ok(0) => process::exit(0),
        Ok(child) => {
            process::wait(i32::try_from(child).expect("a process number"));
            leaked("it worked")
        }
        Err(error) => judge(Err::<(), _>(error), REFUSED),
    }
}

fn enter(path: &str, flag: usize) -> Outcome {
    match File::open(path) {
        Ok(namespace) => judge(
            call(libc::SYS_setns, &[namespace.as_raw_fd() as usize, flag]),
            REFUSED,
        ),
        Err(error) => blocked(format!("it cannot be opened: {error}")),
    }
}

fn through_pidfd() -> Outcome {
    match call(libc::SYS_pidfd_open, &[1, 0]) {
        Ok(descriptor) => judge(
            call(
                libc::SYS_setns,
                &[descriptor as usize, libc::CLONE_NEWNS as usize],
            ),
            REFUSED,
        ),
        Err(error) => judge(Err::<(), _>(error), REFUSED),
    }
}

/// A descriptor of a namespace outside would be the first half of a way out.
fn relative(kind: &str, question: usize) -> Outcome {
    let namespace = match File::open(format!("/proc/self/ns/{kind}")) {
        Ok(namespace) => namespace,
        Err(error) => return blocked(format!("it cannot be opened: {error}")),
    };
    let result: io::Result<i64> = call(libc::SYS_ioctl, &[namespace.as_raw_fd() as usize, question]);
    judge(result, REFUSED)
}
