//! Other processes, terminals and limits.

use std::{
    fs,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
};

use crate::{Facts, Outcome, Probe, blocked, last_error, leaked, skipped};

pub fn probes() -> Vec<Probe> {
    vec![
        (
            "processes",
            "see a process of the host".to_owned(),
            Box::new(host_processes),
        ),
        (
            "processes",
            "signal a process of the host".to_owned(),
            Box::new(signal_host),
        ),
        (
            "processes",
            "kill the first process".to_owned(),
            Box::new(|_| kill_first()),
        ),
        (
            "processes",
            "stop the first process".to_owned(),
            Box::new(|_| signal_first(libc::SIGSTOP)),
        ),
        (
            "processes",
            "trace the first process".to_owned(),
            Box::new(|_| trace_first()),
        ),
        (
            "processes",
            "read the first process's memory".to_owned(),
            Box::new(|_| read_first()),
        ),
        (
            "processes",
            "enter the first process's namespaces".to_owned(),
            Box::new(|_| enter_first()),
        ),
        (
            "terminals",
            "type into a terminal (TIOCSTI)".to_owned(),
            Box::new(|_| control(0x5412)),
        ),
        (
            "terminals",
            "paste on a console (TIOCLINUX)".to_owned(),
            Box::new(|_| control(0x541c)),
        ),
        (
            "terminals",
            "load a line discipline (TIOCSETD)".to_owned(),
            Box::new(|_| control(0x5423)),
        ),
        (
            "terminals",
            "take the console (TIOCCONS)".to_owned(),
            Box::new(|_| control(0x541d)),
        ),
        (
            "terminals",
            "the caller's terminal".to_owned(),
            Box::new(|_| callers_terminal()),
        ),
        ("resources", "core files".to_owned(), Box::new(|_| core_files())),
        // Last: it uses everything up.
        (
            "resources",
            "processes without end".to_owned(),
            Box::new(fork_bomb),
        ),
    ]
}

/// Runs `work` in a child and returns its wait status.
pub fn in_child(work: impl FnOnce() -> i32) -> i32 {
    // SAFETY: this program has one thread, so the copy is whole.
    match unsafe { libc::fork() } {
        // SAFETY: ends the child without running what belongs to the parent.
        0 => unsafe { libc::_exit(work()) },
        child => {
            let mut status = 0;
            // SAFETY: our own child and a place for its status.
            unsafe { libc::waitpid(child, &mut status, 0) };
            status
        }
    }
}

fn host_processes(facts: &Facts) -> Outcome {
    let marker = facts.get("process_marker");
    let mut count = 0;
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Ok(command) = fs::read(entry.path().join("cmdline")) else {
            continue;
        };
        count += 1;
        if entry.file_name() != "self"
            && !marker.is_empty()
            && String::from_utf8_lossy(&command).contains(marker)
        {
            let own = entry.file_name().to_string_lossy() == std::process::id().to_string();
            // The marker is among this program's own arguments, too.
            if !own && entry.file_name() != "thread-self" {
                return leaked(entry.file_name().to_string_lossy());
            }
        }
    }
    if count < 20 {
        blocked(format!("{count} in all"))
    } else {
        leaked(format!("{count} in all"))
    }
}

fn signal_host(facts: &Facts) -> Outcome {
    let Ok(process) = facts.get("host_process").parse::<i32>() else {
        return skipped("nothing is marked");
    };
    // SAFETY: signal 0 only asks.
    let result = unsafe { libc::kill(process, 0) };
    match (result, last_error()) {
        (0, _) if process as u32 == std::process::id() => skipped("the number is our own inside"),
        (0, _) => leaked("it can be signalled"),
        (_, code) => blocked(code),
    }
}

fn kill_first() -> Outcome {
    signal_first(libc::SIGKILL)
}

/// The kernel takes the signal and drops it: what counts is that the first process goes on.
fn signal_first(signal: i32) -> Outcome {
    // SAFETY: numbers only.
    unsafe { libc::kill(1, signal) };
    std::thread::sleep(std::time::Duration::from_millis(20));
    let state = fs::read_to_string("/proc/1/stat").unwrap_or_default();
    match state.rsplit_once(") ").map(|(_, rest)| &rest[..1]) {
        Some("S" | "R") => blocked("it goes on"),
        other => leaked(format!("{other:?}")),
    }
}

fn trace_first() -> Outcome {
    // SAFETY: attach takes no memory.
    let result = unsafe { libc::ptrace(libc::PTRACE_ATTACH, 1, 0, 0) };
    if result == 0 {
        leaked("attached")
    } else {
        blocked(last_error())
    }
}

fn read_first() -> Outcome {
    let mut word = [0u8; 8];
    let local = libc::iovec {
        iov_base: word.as_mut_ptr().cast(),
        iov_len: 8,
    };
    let remote = libc::iovec {
        iov_base: 0x20_0000 as *mut _,
        iov_len: 8,
    };
    // SAFETY: the local vector is ours; the remote one is an address of another process.
    let read = unsafe { libc::process_vm_readv(1, &local, 1, &remote, 1, 0) };
    match (read, last_error()) {
        (-1, libc::EPERM | libc::ENOSYS) => blocked("refused"),
        (-1, code) => leaked(format!("reached the kernel: {code}")),
        _ => leaked("read"),
    }
}

fn enter_first() -> Outcome {
    for kind in ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup"] {
        if fs::File::open(format!("/proc/1/ns/{kind}")).is_ok() {
            return leaked(kind);
        }
    }
    blocked("cannot be opened")
}

/// On a terminal of our own, so that only the filter stands between.
fn control(request: libc::c_ulong) -> Outcome {
    let Ok(terminal) = fs::OpenOptions::new().read(true).write(true).open("/dev/ptmx") else {
        return skipped("no terminal can be made");
    };
    let unlock = 0;
    // SAFETY: TIOCSPTLCK reads an integer; TIOCGPTPEER takes flags and gives a descriptor.
    let peer = unsafe {
        libc::ioctl(terminal.as_raw_fd(), libc::TIOCSPTLCK, &unlock);
        libc::ioctl(
            terminal.as_raw_fd(),
            libc::TIOCGPTPEER,
            libc::O_RDWR | libc::O_NOCTTY,
        )
    };
    if peer < 0 {
        return skipped("no terminal can be made");
    }
    // SAFETY: the kernel has just made it for us.
    let peer = unsafe { OwnedFd::from_raw_fd(peer) };
    let byte = [b'x'; 8];
    // SAFETY: all four requests read at most eight bytes.
    let result = unsafe { libc::ioctl(peer.as_raw_fd(), request, byte.as_ptr()) };
    match (result, last_error()) {
        (-1, libc::EPERM) => blocked("EPERM"),
        (-1, code) => leaked(format!("reached the kernel: {code}")),
        _ => leaked("carried out"),
    }
}

fn callers_terminal() -> Outcome {
    match fs::File::open("/dev/tty") {
        Ok(_) => leaked("there is one"),
        Err(error) => blocked(error),
    }
}

fn core_files() -> Outcome {
    let mut limit = libc::rlimit {
        rlim_cur: 1,
        rlim_max: 1,
    };
    // SAFETY: a place for the answer.
    unsafe { libc::getrlimit(libc::RLIMIT_CORE, &mut limit) };
    if limit.rlim_max == 0 {
        blocked("0")
    } else {
        leaked(limit.rlim_max)
    }
}

fn fork_bomb(_: &Facts) -> Outcome {
    const MOST: usize = 10_000;
    let mut children = Vec::new();
    let refused = loop {
        // SAFETY: one thread; the child only waits to be killed.
        match unsafe { libc::fork() } {
            0 => loop {
                // SAFETY: waits for a signal.
                unsafe { libc::pause() };
            },
            -1 => break Some(last_error()),
            child => children.push(child),
        }
        if children.len() >= MOST {
            break None;
        }
    };
    for &child in &children {
        // SAFETY: our own children.
        unsafe {
            libc::kill(child, libc::SIGKILL);
            libc::waitpid(child, std::ptr::null_mut(), 0);
        }
    }
    match refused {
        Some(code) => blocked(format!("errno {code} after {}", children.len())),
        None => leaked(format!("{MOST} processes")),
    }
}
