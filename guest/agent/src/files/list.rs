//! What is there: one entry, or all of a folder in the order of their names.

use std::{
    ffi::{CStr, CString},
    os::fd::{AsFd, OwnedFd},
    vec::IntoIter,
};

use agentkernel_protocol::{DirectoryEntry, EntryKind, ToHost};
use rustix::{
    fs::{AtFlags, Dir, FileType, OFlags, Stat, readlinkat, statat},
    io::Errno,
};

use super::beneath::{Place, checked, open, place};
use crate::{
    exec::State,
    failure::{Failure, Result},
    outbox::Outbox,
};

/// A message holds at most so many entries, or so many bytes of names.
const ENTRIES: usize = 256;
const BYTES: usize = 128 << 10;

pub struct Listing {
    folder: OwnedFd,
    names: IntoIter<CString>,
}

impl Listing {
    pub fn begin(root: impl AsFd, path: &[u8]) -> Result<Self> {
        let fail = |errno| Failure::errno(errno, "list", path);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let folder = open(root, checked(path)?, flags).map_err(fail)?;
        let mut names = Vec::new();
        for entry in Dir::read_from(&folder).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
                names.push(entry.file_name().to_owned());
            }
        }
        names.sort_unstable();
        Ok(Self {
            folder,
            names: names.into_iter(),
        })
    }

    /// One message.
    pub fn step(&mut self, stream: u32, outbox: &mut Outbox) -> Result<State> {
        let (mut entries, mut bytes) = (Vec::new(), 0);
        while entries.len() < ENTRIES && bytes < BYTES {
            let Some(name) = self.names.next() else {
                if !entries.is_empty() {
                    outbox.push(stream, &ToHost::Entries(entries));
                }
                outbox.push(stream, &ToHost::Done);
                return Ok(State::Ended);
            };
            match entry(&self.folder, &name) {
                Ok(entry) => {
                    bytes += entry.name.len() + entry.link_target.len();
                    entries.push(entry);
                }
                // Removed since.
                Err(Errno::NOENT) => {}
                Err(errno) => return Err(Failure::errno(errno, "examine", name.to_bytes())),
            }
        }
        outbox.push(stream, &ToHost::Entries(entries));
        Ok(State::Open)
    }
}

pub fn stat(root: impl AsFd, path: &[u8]) -> Result<DirectoryEntry> {
    if checked(path)?.iter().all(|&byte| byte == b'/') {
        return statat(root, c".", AtFlags::empty())
            .map(|found| describe(c"", &found))
            .map_err(|errno| Failure::errno(errno, "examine", path));
    }
    let Place { folder, name } = place(root, path, "examine")?;
    entry(&folder, &name).map_err(|errno| Failure::errno(errno, "examine", path))
}

fn entry(folder: &OwnedFd, name: &CStr) -> Result<DirectoryEntry, Errno> {
    let found = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let mut entry = describe(name, &found);
    if entry.kind == EntryKind::Symlink {
        entry.link_target = readlinkat(folder, name, Vec::new())?.into_bytes().into();
    }
    Ok(entry)
}

fn describe(name: &CStr, found: &Stat) -> DirectoryEntry {
    let kind = match FileType::from_raw_mode(found.st_mode) {
        FileType::RegularFile => EntryKind::File,
        FileType::Directory => EntryKind::Directory,
        FileType::Symlink => EntryKind::Symlink,
        _ => EntryKind::Other,
    };
    DirectoryEntry {
        name: name.to_bytes().to_vec().into(),
        kind,
        mode: found.st_mode & 0o7777,
        size: found.st_size.unsigned_abs(),
        modified: found.st_mtime,
        link_target: Vec::new().into(),
    }
}
