//! The second wall: landlock, by its three system calls (linux/landlock.h).
//!
//! The rights are chosen by the planner for the kernel's version ([`rights`]); this module only speaks the interface.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use rustix::{
    fs::{Mode, OFlags, open},
    io::Errno,
};

use super::{plan::Landlock, sys::SysResult};

/// File-system rights by name.
pub(crate) mod right {
    pub(crate) const EXECUTE: u64 = 1 << 0;
    pub(crate) const WRITE_FILE: u64 = 1 << 1;
    pub(crate) const READ_FILE: u64 = 1 << 2;
    pub(crate) const READ_DIR: u64 = 1 << 3;
    pub(crate) const REFER: u64 = 1 << 13;
    pub(crate) const TRUNCATE: u64 = 1 << 14;
    pub(crate) const IOCTL_DEV: u64 = 1 << 15;
    /// All that can be granted on something that is not a folder.
    pub(crate) const ON_FILES: u64 = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV;
    /// Everything up to version 1: read, write, execute, make and remove of each kind.
    pub(crate) const VERSION_1: u64 = (1 << 13) - 1;
}

const SCOPE_ABSTRACT_UNIX_SOCKET: u64 = 1 << 0;
const SCOPE_SIGNAL: u64 = 1 << 1;

#[repr(C)]
struct RulesetAttributes {
    handled_access_fs: u64,
    handled_access_net: u64,
    scoped: u64,
}

#[repr(C, packed)]
struct PathBeneath {
    allowed_access: u64,
    parent: i32,
}

/// The version of the kernel's interface; 0 without landlock.
pub(crate) fn version() -> u32 {
    const CREATE_RULESET_VERSION: u32 = 1;
    // SAFETY: with this flag the kernel reads no attributes and only returns its version.
    let version = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            0usize,
            0usize,
            CREATE_RULESET_VERSION,
        )
    };
    u32::try_from(version).unwrap_or(0)
}

/// What can be handled: all that the version knows. Version 1 forbids every rename between folders, which
/// ordinary programs need, so it is not used.
pub(crate) fn handled(version: u32) -> u64 {
    match version {
        0 | 1 => 0,
        2 => right::VERSION_1 | right::REFER,
        3 | 4 => right::VERSION_1 | right::REFER | right::TRUNCATE,
        _ => right::VERSION_1 | right::REFER | right::TRUNCATE | right::IOCTL_DEV,
    }
}

pub(crate) fn scoped(version: u32) -> u64 {
    if version >= 6 {
        SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL
    } else {
        0
    }
}

/// Restricts this process for good. Called in the child, inside the finished root. Needs no_new_privs.
///
/// Two things lie outside the root and are used by PID 1 alone: the logs folder, and the agent's own file.
pub(crate) fn restrict(landlock: &Landlock, logs: Option<RawFd>, agent: Option<RawFd>) -> SysResult<()> {
    if landlock.handled == 0 {
        return Ok(());
    }
    let attributes = RulesetAttributes {
        handled_access_fs: landlock.handled,
        handled_access_net: 0,
        scoped: landlock.scoped,
    };
    // Older kernels refuse fields that they do not know, even zero ones beyond their size: give what is used.
    let size = if landlock.scoped != 0 {
        size_of::<RulesetAttributes>()
    } else {
        size_of::<u64>()
    };
    // SAFETY: the attributes live until the call returns and `size` is not more than theirs.
    let ruleset = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            &raw const attributes,
            size,
            0u32,
        )
    };
    let ruleset = owned(ruleset)?;
    for rule in &landlock.rules {
        let flags = OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        match open(rule.path.as_c_str(), flags, Mode::empty()) {
            Ok(parent) => allow(&ruleset, parent.as_raw_fd(), rule.rights)?,
            // A device that this host does not have needs no right.
            Err(Errno::NOENT) => {}
            Err(error) => return Err(error),
        }
    }
    if let Some(logs) = logs {
        allow(&ruleset, logs, landlock.log_rights)?;
    }
    if let Some(agent) = agent {
        allow(&ruleset, agent, right::EXECUTE | right::READ_FILE)?;
    }
    // SAFETY: a valid ruleset and no flags.
    let result = unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), 0u32) };
    if result < 0 { Err(last_error()) } else { Ok(()) }
}

fn allow(ruleset: &OwnedFd, parent: RawFd, rights: u64) -> SysResult<()> {
    const RULE_PATH_BENEATH: u32 = 1;
    let rule = PathBeneath {
        allowed_access: rights,
        parent,
    };
    // SAFETY: the rule lives until the call returns; the kernel copies it.
    let result = unsafe {
        libc::syscall(
            libc::SYS_landlock_add_rule,
            ruleset.as_raw_fd(),
            RULE_PATH_BENEATH,
            &raw const rule,
            0u32,
        )
    };
    if result < 0 { Err(last_error()) } else { Ok(()) }
}

fn owned(result: libc::c_long) -> SysResult<OwnedFd> {
    if result < 0 {
        return Err(last_error());
    }
    // SAFETY: the kernel has just made this descriptor and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(result as RawFd) })
}

fn last_error() -> Errno {
    Errno::from_raw_os_error(
        std::io::Error::last_os_error()
            .raw_os_error()
            .unwrap_or(libc::EIO),
    )
}
