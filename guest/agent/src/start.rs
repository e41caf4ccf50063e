//! The first instructions: closed to its own sandbox, deaf to signals, then ready.

use std::{collections::BTreeMap, os::fd::FromRawFd, os::fd::OwnedFd, time::Instant};

use agentkernel_protocol::descriptor;
use rustix::{
    fs::{CWD, Mode, OFlags, openat},
    io::Errno,
    process::{DumpableBehavior, getpid, set_dumpable_behavior},
};

use crate::{connection::Connection, event_loop::Agent, sandbox::Sandbox};

/// Every system call here delays the first command, so there is none that could be made later.
pub fn agent() -> Result<Agent, Errno> {
    // No process of the sandbox may look into this one, nor into its descriptors by /proc.
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    let owner = adopt(descriptor::OWNER).ok_or(Errno::BADF)?;
    let (listener, logs) = (adopt(descriptor::LISTENER), adopt(descriptor::LOGS));
    rustix::io::ioctl_fionbio(&owner, true)?;
    let signals = block_signals()?;
    let first = getpid().is_init();
    if !first {
        // SAFETY: plain numbers. Orphans come to this process, as they do to the first one.
        unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) };
    }
    let root = openat(
        CWD,
        "/",
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let connections = BTreeMap::from([(0, Connection::owner(owner))]);
    let sandbox = Sandbox::new(root, first, Instant::now(), logs);
    Ok(Agent {
        signals,
        listener,
        connections,
        next: 1,
        is_starved: false,
        sandbox,
    })
}

/// All signals wait; the end of children is read from a descriptor.
fn block_signals() -> Result<OwnedFd, Errno> {
    // SAFETY: the sets are initialised before use and outlive the calls.
    unsafe {
        let mut all = std::mem::zeroed::<libc::sigset_t>();
        libc::sigfillset(&mut all);
        libc::sigprocmask(libc::SIG_SETMASK, &all, std::ptr::null_mut());
        libc::signal(libc::SIGPIPE, libc::SIG_IGN);
        let mut children = std::mem::zeroed::<libc::sigset_t>();
        libc::sigemptyset(&mut children);
        libc::sigaddset(&mut children, libc::SIGCHLD);
        match libc::signalfd(-1, &children, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) {
            -1 => Err(last_error()),
            raw => Ok(OwnedFd::from_raw_fd(raw)),
        }
    }
}

/// A descriptor that may have been passed. Asked for before the agent opens anything of its own.
fn adopt(raw: i32) -> Option<OwnedFd> {
    // SAFETY: a plain number; a closed one is an error of the call.
    if unsafe { libc::fcntl(raw, libc::F_SETFD, libc::FD_CLOEXEC) } < 0 {
        return None;
    }
    // SAFETY: it is open, and nothing else in this process owns it.
    Some(unsafe { OwnedFd::from_raw_fd(raw) })
}

pub fn last_error() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}
