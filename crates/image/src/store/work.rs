//! One piece of unfinished work: a folder in `incoming`, and the lock that says that somebody is at it.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

use agentkernel_store::delete_tree;

use super::{
    file::{open_or_make, random_bits},
    lock::{Kind, Lock},
};
use crate::{Result, failure::io_error};

pub const LOCK: &str = "lock";
pub const WORK: &str = "work";

/// Its folder goes when it is dropped, with everything in it.
#[derive(Debug)]
pub struct Work {
    folder: PathBuf,
    lock_path: PathBuf,
    _lock: Lock,
}

impl Work {
    /// Waits where another process or thread is at the same work.
    pub fn wait(incoming: &Path, name: &str) -> Result<Self> {
        let lock_path = incoming.join(format!("{name}.{LOCK}"));
        let lock = loop {
            let file = open_or_make(&lock_path).map_err(io_error("open", &lock_path))?;
            let lock = Lock::wait(file, Kind::Exclusive).map_err(io_error("lock", &lock_path))?;
            // The one who had it before has removed it.
            let found = lock.file().metadata().map_err(io_error("examine", &lock_path))?;
            if found.nlink() > 0 {
                break lock;
            }
        };
        let work = Self {
            folder: incoming.join(format!("{name}.{WORK}")),
            lock_path,
            _lock: lock,
        };
        // What a crash has left.
        empty(&work.folder).map_err(io_error("remove", &work.folder))?;
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&work.folder)
            .map_err(io_error("make the folder", &work.folder))?;
        Ok(work)
    }

    /// Work that nobody else can be at.
    pub fn fresh(incoming: &Path) -> Result<Self> {
        Self::wait(incoming, &format!("{:016x}", random_bits()))
    }

    /// Removes it now, and says when that fails.
    pub fn finish(self) -> Result<()> {
        empty(&self.folder).map_err(io_error("remove", &self.folder))
    }

    /// An empty folder at first.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        // What cannot be removed now is a leftover, and found as such.
        let _ = empty(&self.folder);
        let _ = fs::remove_file(&self.lock_path);
    }
}

/// Removes a folder of work. Its trees go one by one, so that what a crash leaves of them stays within it.
pub fn empty(folder: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        delete_tree(&entry?.path())?;
    }
    fs::remove_dir(folder)
}
