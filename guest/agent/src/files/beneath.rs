//! Opening paths so that no link leads out of the root, nor into the agent's own descriptors.

use std::{
    ffi::CString,
    os::fd::{AsFd, OwnedFd},
};

use rustix::{
    fs::{Mode, OFlags, ResolveFlags, openat2, readlinkat},
    io::Errno,
};

use crate::failure::{Failure, Result};

/// Links that are followed before it is a loop, as in the kernel.
const MOST_LINKS: usize = 40;
const LONGEST_PATH: usize = 4095;

/// Opens beneath the root: links are followed as the sandbox would, those of /proc to open files never.
pub fn open(root: impl AsFd, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    open_with(root, path, flags, ResolveFlags::IN_ROOT)
}

pub fn open_with(
    root: impl AsFd,
    path: &[u8],
    flags: OFlags,
    resolve: ResolveFlags,
) -> Result<OwnedFd, Errno> {
    let resolve = resolve | ResolveFlags::NO_MAGICLINKS;
    for _ in 0..16 {
        match openat2(
            root.as_fd(),
            path,
            flags | OFlags::CLOEXEC,
            Mode::empty(),
            resolve,
        ) {
            // Something was renamed while the kernel looked for `..`.
            Err(Errno::AGAIN | Errno::INTR) => {}
            result => return result,
        }
    }
    Err(Errno::BUSY)
}

/// A name in a folder that is held open.
pub struct Place {
    pub folder: OwnedFd,
    pub name: CString,
}

/// The parent folder of a path, and the last part, which is not followed.
pub fn place(root: impl AsFd, path: &[u8], action: &str) -> Result<Place> {
    let (parent, name) = split(path)?;
    let flags = OFlags::PATH | OFlags::DIRECTORY;
    let folder = open(root, parent, flags).map_err(|errno| Failure::errno(errno, action, path))?;
    Ok(Place { folder, name })
}

/// The same, for the file that the path means in the end if its last part is a link.
pub fn followed_place(root: impl AsFd, path: &[u8], action: &str) -> Result<Place> {
    let mut path = path.to_vec();
    for _ in 0..MOST_LINKS {
        let place = place(root.as_fd(), &path, action)?;
        let target = match readlinkat(&place.folder, &*place.name, Vec::new()) {
            // It does not exist yet, or is no link.
            Err(Errno::NOENT | Errno::INVAL) => return Ok(place),
            Err(errno) => return Err(Failure::errno(errno, action, &path)),
            Ok(target) => target.into_bytes(),
        };
        if target.first() != Some(&b'/') {
            // The kernel resolves the parent again, with every `..` where it physically leads.
            let (parent, _) = split(&path)?;
            path = [parent, b"/", &target].concat();
        } else {
            path = target;
        }
        if path.len() > LONGEST_PATH {
            return Err(Failure::errno(Errno::NAMETOOLONG, action, &path));
        }
    }
    Err(Failure::errno(Errno::LOOP, action, &path))
}

/// An absolute path.
pub fn checked(path: &[u8]) -> Result<&[u8]> {
    if path.first() != Some(&b'/') || path.contains(&0) || path.len() > LONGEST_PATH {
        return Err(Failure::errno(Errno::INVAL, "use the path", path));
    }
    Ok(path)
}

/// Parent and last part, which is a name.
fn split(path: &[u8]) -> Result<(&[u8], CString)> {
    let path = checked(path)?;
    let end = path
        .iter()
        .rposition(|&byte| byte != b'/')
        .map_or(0, |last| last + 1);
    let start = path[..end]
        .iter()
        .rposition(|&byte| byte == b'/')
        .map_or(0, |slash| slash + 1);
    let name = &path[start..end];
    if matches!(name, b"" | b"." | b"..") {
        return Err(Failure::errno(Errno::INVAL, "use the path", path));
    }
    let parent = if start == 0 { &b"/"[..] } else { &path[..start] };
    Ok((parent, CString::new(name).expect("NUL was refused")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_split_into_parent_and_name() {
        for (path, parent, name) in [
            (&b"/a"[..], &b"/"[..], c"a"),
            (b"/a/b", b"/a/", c"b"),
            (b"/a/b//", b"/a/", c"b"),
            (b"//a", b"//", c"a"),
        ] {
            let (found, last) = split(path).unwrap();
            assert_eq!((found, last.as_c_str()), (parent, name));
        }
    }

    #[test]
    fn a_path_without_a_name_is_refused() {
        for path in [&b"/"[..], b"", b"a", b"/a/..", b"/.", b"/a\0b"] {
            assert!(split(path).is_err(), "{path:?}");
        }
    }
}
