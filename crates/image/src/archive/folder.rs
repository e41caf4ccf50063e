//! An OCI layout as a folder. It is only read, and no link in it is followed.

use std::{fs::File, io::Read, os::fd::OwnedFd, path::Path};

use rustix::{
    fs::{Mode, OFlags, ResolveFlags},
    io::Errno,
};

use super::{
    files::{Files, normal},
    wrong,
};
use crate::{Result, failure::io_error};

pub struct Folder(OwnedFd);

impl Folder {
    pub fn open(path: &Path) -> Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = rustix::fs::open(path, flags, Mode::empty());
        opened
            .map(Self)
            .map_err(|errno| io_error("open", path)(errno.into()))
    }
}

impl Files for Folder {
    fn open(&self, name: &str) -> Result<Option<(Box<dyn Read + Send>, u64)>> {
        let Some(name) = normal(name.as_bytes()).filter(|name| !name.is_empty()) else {
            return Ok(None);
        };
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let path = Path::new(&name);
        let file = match rustix::fs::openat2(&self.0, path, flags, Mode::empty(), resolve) {
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
            Err(Errno::LOOP | Errno::XDEV) => return Err(wrong(format!("{name} is a link"))),
            opened => opened
                .map(File::from)
                .map_err(|errno| io_error("open", path)(errno.into()))?,
        };
        let found = file.metadata().map_err(io_error("examine", path))?;
        if !found.is_file() {
            return Err(wrong(format!("{name} is not a regular file")));
        }
        Ok(Some((Box::new(file), found.len())))
    }
}
