//! What this process may do, and so whom a sandbox's user is on the host.

use std::fs;

use agentkernel_types::SandboxId;

use crate::{
    image::User,
    launch::{identity::Identity, idmap::dedicated_host_id},
};

/// The two ways of making a sandbox.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Privilege {
    /// Root of the host: each sandbox has a host id of its own, mounts can be mapped.
    Root,
    /// Anyone else: the sandbox's user is the caller on the host.
    Rootless { uid: u32, gid: u32 },
}

impl Privilege {
    pub(crate) fn of_this_process() -> Self {
        let uid = rustix::process::geteuid();
        let gid = rustix::process::getegid();
        if uid.is_root() && has_the_capabilities() && maps_the_whole_host() {
            return Self::Root;
        }
        Self::Rootless {
            uid: uid.as_raw(),
            gid: gid.as_raw(),
        }
    }

    /// With one id inside: the host image, and every sandbox without privilege.
    pub(crate) fn identity(self, user: &User, id: &SandboxId) -> Identity {
        let inside = (user.uid, user.gid);
        match self {
            Self::Root => {
                let host = dedicated_host_id(id);
                Identity::single(inside, (host, host), true)
            }
            Self::Rootless { uid, gid } => Identity::single(inside, (uid, gid), false),
        }
    }
}

/// Root in a container often lacks what it needs to act as root: then it is treated as anyone else.
fn has_the_capabilities() -> bool {
    const CHOWN: u64 = 1 << 0;
    const SETGID: u64 = 1 << 6;
    const SETUID: u64 = 1 << 7;
    const SYS_ADMIN: u64 = 1 << 21;
    const NEEDED: u64 = CHOWN | SETGID | SETUID | SYS_ADMIN;
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|value| u64::from_str_radix(value.trim(), 16).ok())
        .unwrap_or(0);
    effective & NEEDED == NEEDED
}

/// In a user namespace the dedicated ids may not exist.
fn maps_the_whole_host() -> bool {
    fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| {
        let numbers: Vec<u64> = map
            .split_whitespace()
            .filter_map(|word| word.parse().ok())
            .collect();
        numbers == [0, 0, u64::from(u32::MAX)]
    })
}
