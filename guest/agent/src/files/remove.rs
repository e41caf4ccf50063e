//! Removing a folder with everything in it, however deep: one descriptor, no recursion, in steps.
//!
//! On the way back up the folder that is found must be the one that was left: a tree that is moved while it is
//! removed ends the operation instead of leading it elsewhere. Links are removed, not followed; another file system
//! that is mounted in the tree is not entered.

use std::{
    ffi::{CStr, CString},
    os::fd::{AsFd, OwnedFd},
};

use rustix::{
    fs::{AtFlags, Dir, Mode, OFlags, ResolveFlags, fstat, openat, unlinkat},
    io::Errno,
};

use super::beneath::{Place, open_with, place};
use crate::{
    exec::State,
    failure::{Failure, Result},
};

/// Entries in one step.
const ENTRIES: usize = 512;

pub struct Removing {
    top: Place,
    path: Vec<u8>,
    /// The way from the top to where we are. Empty: everything below the top is gone.
    levels: Vec<Level>,
    /// Where we are.
    current: Option<(OwnedFd, Dir)>,
}

struct Level {
    name: CString,
    identity: Identity,
}

/// Device and number.
type Identity = (u64, u64);

impl Removing {
    pub fn begin(root: impl AsFd, path: &[u8]) -> Result<Self> {
        let top = place(root, path, "remove")?;
        let mut removing = Self {
            top,
            path: path.to_vec(),
            levels: Vec::new(),
            current: None,
        };
        removing
            .begin_at_top()
            .map_err(|errno| Failure::errno(errno, "remove", path))?;
        Ok(removing)
    }

    fn begin_at_top(&mut self) -> Result<(), Errno> {
        match unlinkat(&self.top.folder, &*self.top.name, AtFlags::empty()) {
            Err(Errno::ISDIR) => {
                let name = self.top.name.clone();
                let folder = enter(&self.top.folder, &name)?;
                self.descend(name, folder)
            }
            result => result,
        }
    }

    pub fn step(&mut self) -> Result<State> {
        for _ in 0..ENTRIES {
            match self.advance() {
                Ok(State::Open) => {}
                Ok(State::Ended) => return Ok(State::Ended),
                Err(errno) => return Err(Failure::errno(errno, "remove", &self.path)),
            }
        }
        Ok(State::Open)
    }

    fn advance(&mut self) -> Result<State, Errno> {
        let Some((folder, entries)) = &mut self.current else {
            return Ok(State::Ended);
        };
        match entries.read() {
            None => self.ascend()?,
            Some(entry) => {
                let entry = entry?;
                let name = entry.file_name();
                if matches!(name.to_bytes(), b"." | b"..") {
                    return Ok(State::Open);
                }
                match unlinkat(&*folder, name, AtFlags::empty()) {
                    Ok(()) | Err(Errno::NOENT) => {}
                    Err(Errno::ISDIR) => {
                        let below = enter(folder, name)?;
                        self.descend(name.to_owned(), below)?;
                    }
                    Err(errno) => return Err(errno),
                }
            }
        }
        Ok(State::Open)
    }

    fn descend(&mut self, name: CString, folder: OwnedFd) -> Result<(), Errno> {
        self.levels.push(Level {
            name,
            identity: identity(&folder)?,
        });
        self.read(folder)
    }

    /// The folder is empty: it is removed from the one above, where reading begins anew.
    fn ascend(&mut self) -> Result<(), Errno> {
        let Some((folder, _)) = self.current.take() else {
            return Ok(());
        };
        let Some(level) = self.levels.pop() else {
            return Ok(());
        };
        let Some(above) = self.levels.last() else {
            return unlinkat(&self.top.folder, &*level.name, AtFlags::REMOVEDIR);
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let parent = openat(&folder, c"..", flags, Mode::empty())?;
        if identity(&parent)? != above.identity {
            return Err(Errno::BUSY);
        }
        match unlinkat(&parent, &*level.name, AtFlags::REMOVEDIR) {
            // Somebody put something in it or took it away meanwhile: the parent is read again in any case.
            Ok(()) | Err(Errno::NOENT | Errno::NOTEMPTY) => self.read(parent),
            Err(errno) => Err(errno),
        }
    }

    fn read(&mut self, folder: OwnedFd) -> Result<(), Errno> {
        let entries = Dir::read_from(&folder)?;
        self.current = Some((folder, entries));
        Ok(())
    }
}

/// A folder below, if it is on the same file system and no link.
fn enter(folder: &OwnedFd, name: &CStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
    open_with(
        folder,
        name.to_bytes(),
        flags,
        ResolveFlags::BENEATH | ResolveFlags::NO_XDEV,
    )
}

fn identity(folder: &OwnedFd) -> Result<Identity, Errno> {
    fstat(folder).map(|found| (found.st_dev, found.st_ino))
}
