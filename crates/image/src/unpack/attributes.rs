//! Owner, mode, times and attributes of what was just made.

use std::os::fd::{AsFd, OwnedFd};

use rustix::{
    fs::{
        AtFlags, Mode, OFlags, Timespec, Timestamps, XattrFlags, chmodat, chownat, fsetxattr, openat,
        utimensat,
    },
    io::Errno,
    thread::{Gid, Uid},
};

use super::{fault::Fault, tree::Folder};

const OPAQUE: &str = "user.overlay.opaque";

/// Owner and group, of the thing itself. None: the caller's.
pub(super) fn own(parent: &Folder, name: &[u8], owner: Option<(u32, u32)>) -> Result<(), Fault> {
    let Some((uid, gid)) = owner else { return Ok(()) };
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    let name = if name.is_empty() { b"." } else { name };
    chownat(
        &parent.descriptor,
        name,
        Some(uid),
        Some(gid),
        AtFlags::SYMLINK_NOFOLLOW,
    )
    .map_err(|error| Fault::broken("set its owner", error))
}

/// Of the thing itself, too.
pub(super) fn set_times(parent: &Folder, name: &[u8], mtime: (i64, u32)) -> Result<(), Fault> {
    utimensat(
        &parent.descriptor,
        name,
        &timestamps(mtime),
        AtFlags::SYMLINK_NOFOLLOW,
    )
    .map_err(|error| Fault::broken("set its time", error))
}

/// Of something that was just made and is no link.
pub(super) fn set_mode(parent: &Folder, name: &[u8], mode: u32) -> Result<(), Fault> {
    chmodat(
        &parent.descriptor,
        name,
        Mode::from_raw_mode(mode),
        AtFlags::empty(),
    )
    .map_err(|error| Fault::broken("set its mode", error))
}

/// A folder, opened to be given attributes.
pub(super) fn open_folder(parent: &Folder, name: &[u8]) -> Result<OwnedFd, Fault> {
    let name = if name.is_empty() { b"." } else { name };
    open_for_attributes(&parent.descriptor, name)
}

fn open_for_attributes(parent: &OwnedFd, name: &[u8]) -> Result<OwnedFd, Fault> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(parent, name, flags, Mode::empty()).map_err(|error| Fault::broken("open a folder", error))
}

/// The mark must be there: without it the folder would show what it is to hide.
pub(super) fn opaque(parent: &OwnedFd, name: &[u8]) -> Result<(), Fault> {
    let folder = open_for_attributes(parent, name)?;
    fsetxattr(&folder, OPAQUE, b"y", XattrFlags::empty()).map_err(|error| {
        Fault::broken(
            "mark an opaque folder (a file system with user attributes is needed)",
            error,
        )
    })
}

/// The file's own: user attributes that mean nothing to overlayfs. All others would be obeyed by the host.
pub(super) fn set_attributes(file: impl AsFd, attributes: &[(Vec<u8>, Vec<u8>)]) -> Result<(), Fault> {
    for (name, value) in attributes {
        if !name.starts_with(b"user.") || name.starts_with(b"user.overlay.") {
            continue;
        }
        match fsetxattr(&file, &name[..], value, XattrFlags::empty()) {
            Ok(()) => {}
            // A file system that has none, or no room for one of this size: nothing that a program needs to run.
            Err(Errno::OPNOTSUPP | Errno::TOOBIG | Errno::NOSPC | Errno::RANGE) => {}
            Err(error) => return Err(Fault::broken("set an extended attribute", error)),
        }
    }
    Ok(())
}

pub(super) fn timestamps((seconds, nanoseconds): (i64, u32)) -> Timestamps {
    let time = Timespec {
        tv_sec: seconds,
        tv_nsec: nanoseconds.into(),
    };
    Timestamps {
        last_access: time,
        last_modification: time,
    }
}
