//! The operations that are one system call, or a few.

use std::{ffi::CString, os::fd::AsFd};

use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, chmodat, mkdirat, renameat, statat, symlinkat, unlinkat},
    io::Errno,
};

use super::beneath::{Place, checked, open, place};
use crate::failure::{Failure, Result, shown};

/// With the missing parents. An existing folder is a success.
pub fn mkdir(root: impl AsFd, path: &[u8], mode: u32) -> Result<()> {
    let path = checked(path)?;
    let last = path
        .iter()
        .rposition(|&byte| byte != b'/')
        .map_or(0, |last| last + 1);
    // From the longest parent that exists downwards: it is mostly the direct one.
    let ends: Vec<usize> = (1..=last)
        .filter(|&end| end == last || path[end] == b'/')
        .collect();
    let exists = |end: usize| open(root.as_fd(), &path[..end], OFlags::PATH | OFlags::DIRECTORY).is_ok();
    let known = ends
        .iter()
        .rposition(|&end| end < last && exists(end))
        .map_or(0, |position| position + 1);
    for &end in &ends[known..] {
        let part = &path[..end];
        if part.iter().all(|&byte| byte == b'/') || part.ends_with(b"/") {
            continue;
        }
        make_one(
            root.as_fd(),
            part,
            if end == last { mode & 0o777 } else { 0o755 },
            end == last,
        )?;
    }
    Ok(())
}

fn make_one(root: impl AsFd, path: &[u8], mode: u32, last: bool) -> Result<()> {
    let Place { folder, name } = place(root.as_fd(), path, "make the folder")?;
    let fail = |errno| Failure::errno(errno, "make the folder", path);
    let mode = Mode::from_raw_mode(mode);
    match mkdirat(&folder, &*name, mode) {
        // The mode as it was asked for, without what the umask takes away.
        Ok(()) => chmodat(&folder, &*name, mode, AtFlags::empty()).map_err(fail),
        // A link to a folder will do on the way, not at the end.
        Err(Errno::EXIST) if !last => Ok(()),
        Err(Errno::EXIST) => {
            let found = statat(&folder, &*name, AtFlags::SYMLINK_NOFOLLOW).map_err(fail)?;
            let is_folder = FileType::from_raw_mode(found.st_mode) == FileType::Directory;
            if is_folder {
                Ok(())
            } else {
                Err(fail(Errno::EXIST))
            }
        }
        Err(errno) => Err(fail(errno)),
    }
}

pub fn symlink(root: impl AsFd, path: &[u8], target: &[u8]) -> Result<()> {
    let Place { folder, name } = place(root, path, "make the link")?;
    let target = CString::new(target).map_err(|_| {
        Failure::invalid(format!(
            "the target of the link {} has a NUL character",
            shown(path)
        ))
    })?;
    symlinkat(&*target, &folder, &*name).map_err(|errno| Failure::errno(errno, "make the link", path))
}

pub fn rename(root: impl AsFd, from: &[u8], to: &[u8]) -> Result<()> {
    let old = place(root.as_fd(), from, "rename")?;
    let new = place(root, to, "rename to")?;
    renameat(&old.folder, &*old.name, &new.folder, &*new.name).map_err(|errno| {
        // A missing parent of the new name was found above, so what is missing is the old one.
        Failure::errno(errno, "rename", if errno == Errno::NOENT { from } else { to })
    })
}

/// A file, link or empty folder.
pub fn remove(root: impl AsFd, path: &[u8]) -> Result<()> {
    let Place { folder, name } = place(root, path, "remove")?;
    match unlinkat(&folder, &*name, AtFlags::empty()) {
        Err(Errno::ISDIR) => unlinkat(&folder, &*name, AtFlags::REMOVEDIR),
        result => result,
    }
    .map_err(|errno| Failure::errno(errno, "remove", path))
}
