//! Sockets, processes and signals of the host.

use std::{
    fs,
    os::{
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr, UnixDatagram, UnixStream},
    },
};

use super::{
    attempt::{Blocked, Leaked, Outcome, Probe, Skipped, call, failed, probe, refused_with},
    facts::Facts,
};

/// No such process, or none of ours.
const NOBODY: &[i32] = &[libc::ESRCH, libc::EPERM];

pub fn probes(facts: &Facts) -> Vec<Probe> {
    let mut probes = Vec::new();
    let name = facts.get("abstract");
    let stream = name.clone();
    probes.push(probe(
        "control",
        "connect to an abstract socket of the host",
        move || {
            with_address(stream.as_deref(), |address| {
                failed(UnixStream::connect_addr(address), "connected")
            })
        },
    ));
    probes.push(probe(
        "control",
        "send to an abstract socket of the host",
        move || {
            with_address(name.as_deref(), |address| {
                // To a stream socket this fails with EPROTOTYPE if it is found.
                let sent = UnixDatagram::unbound().and_then(|socket| socket.send_to_addr(b"x", address));
                match sent {
                    Err(error) if error.raw_os_error() == Some(libc::EPROTOTYPE) => {
                        Leaked("found".to_owned())
                    }
                    sent => failed(sent, "sent"),
                }
            })
        },
    ));
    for path in facts.all("socket") {
        for prefix in ["", "/proc/1/root", "/proc/self/root/../.."] {
            let path = format!("{prefix}{path}");
            let name = format!("connect to a socket of the host: {path}");
            probes.push(probe("control", name, move || {
                failed(UnixStream::connect(&path), "connected")
            }));
        }
    }
    let on_process = |name: &'static str, number: i64, arguments: fn(u64) -> Vec<u64>| {
        let pid = facts.get("pid").and_then(|pid| pid.parse::<u64>().ok());
        probe("control", name, move || match pid {
            Some(pid) => refused_with(call(number, &arguments(pid)), NOBODY),
            None => Skipped("no pid was given".to_owned()),
        })
    };
    probes.extend([
        on_process("signal a process of the host", libc::SYS_kill, |pid| vec![pid, 0]),
        on_process("signal a thread of the host", libc::SYS_tgkill, |pid| {
            vec![pid, pid, 0]
        }),
        on_process("hold a process of the host", libc::SYS_pidfd_open, |pid| {
            vec![pid, 0]
        }),
        on_process("trace a process of the host", libc::SYS_ptrace, |pid| {
            vec![u64::from(libc::PTRACE_SEIZE), pid, 0, 0]
        }),
        on_process(
            "read limits of a process of the host",
            libc::SYS_prlimit64,
            |pid| vec![pid, u64::from(libc::RLIMIT_NOFILE), 0, 0],
        ),
        on_process("pin a process of the host", libc::SYS_sched_getscheduler, |pid| {
            vec![pid]
        }),
        on_process(
            "ask for the group of a process of the host",
            libc::SYS_getpgid,
            |pid| vec![pid],
        ),
        on_process(
            "ask for the session of a process of the host",
            libc::SYS_getsid,
            |pid| vec![pid],
        ),
    ]);
    let pid = facts.get("pid");
    probes.push(probe(
        "control",
        "see a process of the host",
        move || match &pid {
            Some(pid) => failed(fs::metadata(format!("/proc/{pid}")), "it is in /proc"),
            None => Skipped("no pid was given".to_owned()),
        },
    ));
    // What kills PID 1 ends the sandbox, and the driver misses the lines that follow.
    for (name, signal) in [("kill", libc::SIGKILL), ("stop", libc::SIGSTOP)] {
        probes.push(probe("control", format!("{name} PID 1"), move || {
            survives(signal)
        }));
    }
    probes.push(probe("control", "be the parent of what is outside", || {
        // A parent outside of the pid namespace has the number 0.
        let status = fs::read_to_string("/proc/1/status").unwrap_or_default();
        if status.contains("PPid:\t0\n") {
            Blocked("PID 1 is the first".to_owned())
        } else {
            Leaked(status)
        }
    }));
    probes
}

fn with_address(name: Option<&str>, attempt: impl Fn(&SocketAddr) -> Outcome) -> Outcome {
    match name.map(SocketAddr::from_abstract_name) {
        Some(Ok(address)) => attempt(&address),
        _ => Skipped("no name was given".to_owned()),
    }
}

fn survives(signal: i32) -> Outcome {
    let state = || {
        let status = fs::read_to_string("/proc/1/status").unwrap_or_default();
        status
            .lines()
            .find_map(|line| line.strip_prefix("State:\t").map(str::to_owned))
            .unwrap_or_default()
    };
    // From within, only signals that it handles reach the first process.
    let _ = call(libc::SYS_kill, &[1, signal as u64]);
    match state() {
        state if state.starts_with(['S', 'R', 'D']) => Blocked(state),
        state => Leaked(format!("it is {state:?}")),
    }
}
