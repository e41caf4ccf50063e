//! Who owns a sandbox's folder: whoever holds the lock on the file `lock` in it.
//!
//! The kernel frees it when its holder dies, however it dies. The file is never unlinked while the folder has
//! its name, and is checked to be the one at the path after the lock was got: the folder may have been removed and
//! made again in between.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
};

use rustix::fs::OFlags;

pub const LOCK_FILE: &str = "lock";

/// A lock that is held. Unlocks on drop also where a forked child still has the descriptor.
#[derive(Debug)]
pub struct Lock(File);

pub enum Attempt {
    Held(Lock),
    Busy,
    /// The folder or the file in it is not there.
    Missing,
}

impl Lock {
    /// Makes the lock of a new folder. It gets its name only when it is held, so nobody ever sees it free.
    pub fn make(folder: &Path) -> io::Result<Self> {
        let unnamed = folder.join("lock.new");
        let file = open(&unnamed, OpenOptions::new().create_new(true).mode(0o600))?;
        file.lock()?;
        let lock = Self(file);
        std::fs::rename(&unnamed, folder.join(LOCK_FILE))?;
        Ok(lock)
    }

    /// Never waits.
    pub fn attempt(folder: &Path) -> io::Result<Attempt> {
        let path = folder.join(LOCK_FILE);
        // Each turn that fails means that the sandbox was removed and made again since the last one.
        for _ in 0..100 {
            let file = match open(&path, &mut OpenOptions::new()) {
                Ok(file) => file,
                Err(error) if is_missing(&error) => return Ok(Attempt::Missing),
                Err(error) => return Err(error),
            };
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(Attempt::Busy),
                Err(TryLockError::Error(error)) => return Err(error),
            }
            let lock = Self(file);
            match std::fs::symlink_metadata(&path) {
                Ok(named) if lock.is(&named)? => return Ok(Attempt::Held(lock)),
                Ok(_) => {}
                Err(error) if is_missing(&error) => return Ok(Attempt::Missing),
                Err(error) => return Err(error),
            }
        }
        Ok(Attempt::Busy)
    }

    fn is(&self, named: &std::fs::Metadata) -> io::Result<bool> {
        let held = self.0.metadata()?;
        Ok((held.dev(), held.ino()) == (named.dev(), named.ino()))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Cannot fail for a descriptor that we hold; closing it frees the lock in any case.
        let _ = self.0.unlock();
    }
}

fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    options
        .read(true)
        .write(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
}

fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}
