//! A second wall around the thread that unpacks: landlock, which leaves it the layer's folder and nothing else.
//!
//! The first wall is that every name is resolved beneath the tree. This one holds if that has a hole. Restricting a
//! thread lasts until it ends, so it must be a thread of its own.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::io::Errno;

use super::fault::Fault;

/// linux/landlock.h.
mod right {
    pub(super) const WRITE_FILE: u64 = 1 << 1;
    pub(super) const READ_FILE: u64 = 1 << 2;
    pub(super) const READ_DIR: u64 = 1 << 3;
    pub(super) const REMOVE_DIR: u64 = 1 << 4;
    pub(super) const REMOVE_FILE: u64 = 1 << 5;
    /// Only 0/0, which is a whiteout: all other devices become files.
    pub(super) const MAKE_CHAR: u64 = 1 << 6;
    pub(super) const MAKE_DIR: u64 = 1 << 7;
    pub(super) const MAKE_REG: u64 = 1 << 8;
    pub(super) const MAKE_FIFO: u64 = 1 << 10;
    pub(super) const MAKE_SYM: u64 = 1 << 12;
    /// Hard links between folders.
    pub(super) const REFER: u64 = 1 << 13;
    pub(super) const TRUNCATE: u64 = 1 << 14;
    pub(super) const IOCTL_DEV: u64 = 1 << 15;
    pub(super) const VERSION_1: u64 = (1 << 13) - 1;
}

const NEEDED: u64 = right::WRITE_FILE
    | right::READ_FILE
    | right::READ_DIR
    | right::REMOVE_DIR
    | right::REMOVE_FILE
    | right::MAKE_CHAR
    | right::MAKE_DIR
    | right::MAKE_REG
    | right::MAKE_FIFO
    | right::MAKE_SYM
    | right::REFER
    | right::TRUNCATE;

/// What a kernel of this version can forbid. Version 1 forbids every hard link between folders, which archives
/// have, so it is not used.
fn handled(version: u32) -> u64 {
    match version {
        0 | 1 => 0,
        2 => right::VERSION_1 | right::REFER,
        3 | 4 => right::VERSION_1 | right::REFER | right::TRUNCATE,
        _ => right::VERSION_1 | right::REFER | right::TRUNCATE | right::IOCTL_DEV,
    }
}

/// From here on this thread can open, make, link and remove only beneath `layer`. A kernel without landlock: nothing.
pub(super) fn confine(layer: BorrowedFd<'_>) -> Result<(), Fault> {
    let handled = handled(version());
    if handled == 0 {
        return Ok(());
    }
    restrict(layer, handled).map_err(|error| Fault::broken("confine the thread that unpacks", error))
}

fn restrict(layer: BorrowedFd<'_>, handled: u64) -> Result<(), Errno> {
    // Of this thread alone, as all of this.
    rustix::thread::set_no_new_privs(true)?;
    let ruleset = ruleset(handled)?;
    allow(&ruleset, layer, NEEDED & handled)?;
    // SAFETY: a valid ruleset and no flags.
    let result = unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), 0u32) };
    if result < 0 { Err(last_error()) } else { Ok(()) }
}

/// 0 without landlock.
fn version() -> u32 {
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

fn ruleset(handled: u64) -> Result<OwnedFd, Errno> {
    // The first field alone: every version takes it.
    let attributes = handled;
    // SAFETY: the attributes live until the call returns and the size is theirs.
    let result = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            &raw const attributes,
            size_of::<u64>(),
            0u32,
        )
    };
    if result < 0 {
        return Err(last_error());
    }
    let descriptor = i32::try_from(result).map_err(|_| Errno::BADF)?;
    // SAFETY: the kernel has just made this descriptor and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

fn allow(ruleset: &OwnedFd, parent: BorrowedFd<'_>, rights: u64) -> Result<(), Errno> {
    const RULE_PATH_BENEATH: u32 = 1;
    #[repr(C, packed)]
    struct PathBeneath {
        allowed_access: u64,
        parent: i32,
    }
    let rule = PathBeneath {
        allowed_access: rights,
        parent: parent.as_fd().as_raw_fd(),
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

fn last_error() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn a_confined_thread_reaches_its_folder_and_nothing_else() {
        if handled(version()) == 0 {
            eprintln!("skipped: this kernel has no landlock");
            return;
        }
        let place = tempfile::tempdir().unwrap();
        let layer = place.path().join("layer");
        std::fs::create_dir(&layer).unwrap();
        let opened = File::open(&layer).unwrap();
        let (inside, outside) = std::thread::spawn({
            let (layer, place) = (layer.clone(), place.path().to_owned());
            move || {
                confine(opened.as_fd()).unwrap();
                (File::create(layer.join("in")), File::create(place.join("out")))
            }
        })
        .join()
        .unwrap();
        assert!(inside.is_ok());
        assert_eq!(outside.unwrap_err().kind(), std::io::ErrorKind::PermissionDenied);
        assert!(File::create(place.path().join("other-thread")).is_ok());
    }
}
