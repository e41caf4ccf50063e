//! Namespaces: new ones, and those of others.

use std::{fs::File, os::fd::AsRawFd as _};

use super::{
    attempt::{Blocked, Leaked, Outcome, Probe, call, probe, refused, text_of},
    facts::Facts,
};

const FLAGS: [(&str, i32); 7] = [
    ("mount", libc::CLONE_NEWNS),
    ("cgroup", libc::CLONE_NEWCGROUP),
    ("uts", libc::CLONE_NEWUTS),
    ("ipc", libc::CLONE_NEWIPC),
    ("user", libc::CLONE_NEWUSER),
    ("pid", libc::CLONE_NEWPID),
    ("net", libc::CLONE_NEWNET),
];
const NEW_TIME: u64 = 0x80;

pub fn probes(_: &Facts) -> Vec<Probe> {
    let mut probes = Vec::new();
    for (name, flag) in FLAGS {
        let flag = flag as u64;
        probes.push(probe("namespaces", format!("unshare {name}"), move || {
            refused(unshare(flag))
        }));
        probes.push(probe("namespaces", format!("clone {name}"), move || clone(flag)));
        probes.push(probe(
            "namespaces",
            format!("clone {name} together with user"),
            move || clone(flag | libc::CLONE_NEWUSER as u64),
        ));
    }
    probes.extend([
        probe("namespaces", "unshare time", || refused(unshare(NEW_TIME))),
        probe("namespaces", "unshare user with a high word", || {
            refused(unshare(libc::CLONE_NEWUSER as u64 | 1 << 40))
        }),
        probe("namespaces", "clone3 user", clone3),
        probe("namespaces", "join through a pidfd of PID 1", join_by_pidfd),
    ]);
    for name in ["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"] {
        for owner in ["1", "self"] {
            probes.push(probe(
                "namespaces",
                format!("join /proc/{owner}/ns/{name}"),
                move || join(owner, name),
            ));
        }
    }
    probes
}

fn unshare(flags: u64) -> Result<i64, i32> {
    call(libc::SYS_unshare, &[flags])
}

fn clone(flags: u64) -> Outcome {
    match call(libc::SYS_clone, &[flags | libc::SIGCHLD as u64]) {
        // SAFETY: the child of a clone that should not have been.
        Ok(0) => unsafe { libc::_exit(0) },
        answer => refused(answer),
    }
}

fn clone3() -> Outcome {
    // struct clone_args: flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls
    let arguments = [libc::CLONE_NEWUSER as u64, 0, 0, 0, libc::SIGCHLD as u64, 0, 0, 0];
    match call(
        libc::SYS_clone3,
        &[arguments.as_ptr() as u64, size_of_val(&arguments) as u64],
    ) {
        // SAFETY: as in `clone`.
        Ok(0) => unsafe { libc::_exit(0) },
        answer => refused(answer),
    }
}

fn join_by_pidfd() -> Outcome {
    match call(libc::SYS_pidfd_open, &[1, 0]) {
        Ok(descriptor) => refused(call(
            libc::SYS_setns,
            &[descriptor as u64, libc::CLONE_NEWNS as u64],
        )),
        Err(error) => Blocked(text_of(error)),
    }
}

fn join(owner: &str, name: &str) -> Outcome {
    match File::open(format!("/proc/{owner}/ns/{name}")) {
        Err(error) => Blocked(error.to_string()),
        Ok(file) => match call(libc::SYS_setns, &[file.as_raw_fd() as u64, 0]) {
            Ok(_) => Leaked("joined".to_owned()),
            answer => refused(answer),
        },
    }
}
