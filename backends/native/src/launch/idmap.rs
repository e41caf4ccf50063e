//! Which ids of the host a sandbox's ids are.

use std::{
    fs::OpenOptions,
    io::{self, Write},
    os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd},
    sync::PoisonError,
};

use agentkernel_types::SandboxId;
use rustix::pipe::{PipeFlags, pipe_with};

use super::{
    identity::{Identity, MAX_IDS},
    sys,
};

/// First host id of sandboxes that root makes. Between systemd's container range, which ends below, and 2^31.
const FIRST_HOST_ID: u32 = 1_879_048_192;
const HOST_IDS: u32 = 268_304_384;

/// The dedicated host id of a sandbox of root with the host image: one in 268 million by its random identifier, so
/// that two sandboxes own each other's files and processes only by an accident of that odds.
pub(crate) fn dedicated_host_id(id: &SandboxId) -> u32 {
    FIRST_HOST_ID + (bits(id) % u64::from(HOST_IDS)) as u32
}

/// The first of the dedicated host ids of a sandbox of root whose image has several owners. Blocks are aligned: two
/// sandboxes have the same one or share nothing.
pub(crate) fn dedicated_block(id: &SandboxId) -> u32 {
    const SIZE: u32 = MAX_IDS as u32;
    FIRST_HOST_ID + (bits(id) % u64::from(HOST_IDS / SIZE)) as u32 * SIZE
}

fn bits(id: &SandboxId) -> u64 {
    u64::from_str_radix(id.as_str(), 16).expect("an id is hexadecimal")
}

/// What is not in the maps shows as `nobody` inside.
pub(crate) fn write_maps(pid: u32, identity: &Identity) -> io::Result<()> {
    if !identity.drop_groups {
        // Without privilege the kernel demands this before a group map (CVE-2014-8989).
        write(pid, "setgroups", "deny")?;
    }
    write(pid, "uid_map", &identity.uids.text())?;
    write(pid, "gid_map", &identity.gids.text())
}

/// The user namespace of a process that waits.
pub(crate) fn namespace_of(pid: u32) -> io::Result<OwnedFd> {
    let file = OpenOptions::new()
        .read(true)
        .open(format!("/proc/{pid}/ns/user"))?;
    Ok(file.into())
}

fn write(pid: u32, file: &str, content: &str) -> io::Result<()> {
    OpenOptions::new()
        .write(true)
        .open(format!("/proc/{pid}/{file}"))?
        .write_all(content.as_bytes())
}

/// A user namespace that serves as a mapping for mounts: what `owner` owns on disk appears as the sandbox's user,
/// and what the sandbox makes is `owner`'s on disk. Needs privilege.
pub(crate) fn mapping(owner_uid: u32, owner_gid: u32, identity: &Identity) -> io::Result<OwnedFd> {
    let (wait, hold) = pipe_with(PipeFlags::CLOEXEC)?;
    let cloning = super::CLONING.read().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: the child only reads a pipe and exits.
    let cloned = unsafe { sys::clone3(libc::CLONE_NEWUSER as u64, None) }?;
    let (pid, pidfd) = match cloned {
        sys::Cloned::Child => wait_and_exit(wait.as_fd(), hold.as_fd()),
        sys::Cloned::Parent { pid, pidfd } => (pid as u32, pidfd),
    };
    drop(cloning);
    // SAFETY: the kernel has just made it for us.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    let host = (identity.host_uid(), identity.host_gid());
    let disk = Identity::single((owner_uid, owner_gid), host, true);
    let namespace = write_maps(pid, &disk).and_then(|()| namespace_of(pid));
    super::kill_and_reap(&pidfd);
    namespace
}

fn wait_and_exit(wait: BorrowedFd<'_>, hold: BorrowedFd<'_>) -> ! {
    use std::os::fd::AsRawFd;
    // SAFETY: only system calls: closes the copy of the writing end, so that the parent's death ends the read.
    unsafe { libc::syscall(libc::SYS_close, hold.as_raw_fd()) };
    let _ = rustix::io::read(wait, &mut [0u8; 1]);
    sys::exit_now(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_two_sandboxes_are_the_same_or_apart() {
        for bits in [0u64, 1, 255, 256, 1_048_063, 1_048_064, u64::MAX] {
            let first = dedicated_block(&SandboxId::from_random(bits));
            assert_eq!(first % 256, 0);
            assert!(first >= FIRST_HOST_ID && first + 255 < FIRST_HOST_ID + HOST_IDS);
        }
    }
}
