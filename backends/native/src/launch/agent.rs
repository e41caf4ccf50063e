//! The guest agent as an executable that nobody can change.
//!
//! PID 1 of a sandbox can be named from inside (`/proc/1/exe`): there must be nothing behind that name that could be
//! overwritten (CVE-2019-5736). So it is either a file of ours behind a read-only mount of its own, or a sealed
//! memory file.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
    sync::{OnceLock, PoisonError},
};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

static AGENT: &[u8] = include_bytes!(env!("AGENTKERNEL_AGENT"));
/// Another build has another name.
const FILE_NAME: &str = concat!("agent-", env!("AGENTKERNEL_AGENT_ID"));
const MODE: u32 = 0o555;

/// The agent as a file in the cache folder, written at the first need: the page cache then holds it once for all
/// sandboxes. None if the folder does not allow it; [`sealed`] always works.
pub(crate) fn cached(cache_dir: &Path) -> Option<PathBuf> {
    let path = cache_dir.join(FILE_NAME);
    if is_ours(&path) || write(cache_dir, &path).is_ok_and(|()| is_ours(&path)) {
        // Resolved, because the child follows no link on the way to it.
        return path.canonicalize().ok();
    }
    None
}

/// Whoever could have changed it is this user, who could change this program as well.
fn is_ours(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| {
        found.is_file()
            && found.uid() == rustix::process::geteuid().as_raw()
            && found.mode() & 0o7777 == MODE
            && found.size() == AGENT.len() as u64
    })
}

fn write(cache_dir: &Path, path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(cache_dir)?;
    let unfinished = crate::unfinished::path_in(cache_dir);
    let written = write_whole(&unfinished).and_then(|()| fs::rename(&unfinished, path));
    if written.is_err() {
        let _ = fs::remove_file(&unfinished);
    }
    written
}

/// The kernel executes no file that anybody has open for writing. So it is closed before it has its name, and no child
/// is cloned meanwhile that would inherit it.
fn write_whole(path: &Path) -> io::Result<()> {
    let _nobody_clones = super::CLONING.write().unwrap_or_else(PoisonError::into_inner);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(MODE)
        .open(path)?;
    file.write_all(AGENT)?;
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(MODE))?;
    // The name must never stand for less than the whole, not even after a power failure.
    file.sync_all()
}

/// A sealed memory file that holds the agent; made once a process.
pub(crate) fn sealed() -> io::Result<BorrowedFd<'static>> {
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
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    fcntl_add_seals(&file, seals)?;
    Ok(file)
}
