//! Signals: PID 1 lives through all of them, and the host's processes are out of reach.

use std::{fs, io};

use crate::{
    attempt::{answer, call, judge},
    facts::Facts,
    report::{Check, Outcome, blocked, leaked, skipped},
};

const CLASS: &str = "signals";

const SIGNALS: [(&str, i32); 7] = [
    ("KILL", libc::SIGKILL),
    ("STOP", libc::SIGSTOP),
    ("TERM", libc::SIGTERM),
    ("INT", libc::SIGINT),
    ("HUP", libc::SIGHUP),
    ("SEGV", libc::SIGSEGV),
    ("PIPE", libc::SIGPIPE),
];

pub fn checks(_: &Facts) -> Vec<Check> {
    let mut checks = Vec::new();
    for (name, number) in SIGNALS {
        checks.push(Check::new(CLASS, format!("{name} to PID 1"), move |_| {
            first_survives(number)
        }));
    }
    checks.push(Check::new(CLASS, "a signal to a host process", |facts| {
        // SAFETY: signal 0 only asks.
        gone(facts, |pid| answer(unsafe { libc::kill(pid, 0) }))
    }));
    checks.push(Check::new(CLASS, "a signal to a host thread", |facts| {
        gone(facts, |pid| call(libc::SYS_tkill, &[pid as usize, 0]))
    }));
    checks.push(Check::new(CLASS, "a descriptor of a host process", |facts| {
        gone(facts, |pid| call(libc::SYS_pidfd_open, &[pid as usize, 0]))
    }));
    checks.push(Check::new(
        CLASS,
        "the folder of a host process",
        |facts| match facts.get("host-pid") {
            Some(pid) => judge(fs::read_dir(format!("/proc/{pid}")), &[libc::ENOENT]),
            None => skipped("the host has marked nothing"),
        },
    ));
    checks.push(Check::new(CLASS, "trace a host process", |facts| {
        gone(facts, |pid| {
            call(
                libc::SYS_ptrace,
                &[libc::PTRACE_SEIZE as usize, pid as usize, 0, 0],
            )
        })
    }));
    checks
}

fn first_survives(signal: i32) -> Outcome {
    // SAFETY: a number of a process and one of a signal.
    let sent = unsafe { libc::kill(1, signal) };
    let how = if sent == 0 {
        "it was taken".to_owned()
    } else {
        io::Error::last_os_error().to_string()
    };
    let status = fs::read_to_string("/proc/1/status").unwrap_or_default();
    let state = status
        .lines()
        .find_map(|line| line.strip_prefix("State:"))
        .unwrap_or("unknown")
        .trim()
        .to_owned();
    // Asleep or at work, neither stopped nor dead.
    if ["S", "R", "D"].iter().any(|letter| state.starts_with(letter)) {
        blocked(format!("{how}; PID 1 is {state}"))
    } else {
        leaked(format!("{how}; PID 1 is {state}"))
    }
}

fn gone(facts: &Facts, attempt: impl Fn(i32) -> io::Result<i64>) -> Outcome {
    match facts.get("host-pid").and_then(|pid| pid.parse().ok()) {
        Some(pid) => judge(attempt(pid), &[libc::ESRCH, libc::ENOENT, libc::EINVAL]),
        None => skipped("the host has marked nothing"),
    }
}
