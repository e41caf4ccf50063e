//! The guest agent as an executable that nobody can change.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::OnceLock,
};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

static AGENT: &[u8] = include_bytes!(env!("AGENTKERNEL_AGENT"));

/// A sealed memory file that holds the agent; made once a process.
///
/// Sealed, because PID 1 of a sandbox can name its own executable (`/proc/1/exe`): there must be nothing
/// behind that name that could be overwritten (CVE-2019-5736).
pub(crate) fn executable() -> io::Result<BorrowedFd<'static>> {
    static FILE: OnceLock<OwnedFd> = OnceLock::new();
    if let Some(file) = FILE.get() {
        return Ok(file.as_fd());
    }
    let file = make()?;
    Ok(FILE.get_or_init(|| file).as_fd())
}

fn make() -> io::Result<OwnedFd> {
    let name = c"agentkernel-agent";
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Kernels before 6.3 do not know EXEC, and have executable memory files by default.
    let file = memfd_create(name, flags | MemfdFlags::EXEC).or_else(|_| memfd_create(name, flags))?;
    let mut rest = AGENT;
    while !rest.is_empty() {
        let written = rustix::io::write(&file, rest)?;
        rest = &rest[written..];
    }
    fcntl_add_seals(
        &file,
        SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE,
    )?;
    Ok(file)
}
