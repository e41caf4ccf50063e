//! Who owns a sandbox's folder: whoever holds the lock on the file `lock` in it.
//!
//! The kernel frees it when its holder dies, however it dies. The file is never unlinked while the folder has
//! its name, and is checked to be the one at the path after the lock was got: the folder may have been removed and
//! made again in between.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
};

use crate::{file, store::Step};

pub const LOCK_FILE: &str = "lock";

/// A lock that is held. Unlocks on drop also where a forked child still has the descriptor.
#[derive(Debug)]
pub struct Lock(File);

pub enum Attempt {
    Held(Lock),
    Busy,
    NoFolder,
    /// Something is there, but nothing in it to lock.
    NoLock,
}

impl Lock {
    /// Makes the lock of a new folder. It gets its name only when it is held, so nobody ever sees it free.
    pub fn make(folder: &Path) -> io::Result<Self> {
        let unnamed = folder.join("lock.new");
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
        let mut options = OpenOptions::new();
        let file = options
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .custom_flags(flags)
            .open(&unnamed)?;
        file.lock()?;
        let lock = Self(file);
        std::fs::rename(&unnamed, folder.join(LOCK_FILE))?;
        Ok(lock)
    }

    /// Never waits.
    pub fn attempt(folder: &Path, step: Step) -> io::Result<Attempt> {
        Self::attempt_with(folder, OFlags::empty(), step)
    }

    /// Also makes the lock of a folder that has lost it.
    pub fn attempt_or_mend(folder: &Path, step: Step) -> io::Result<Attempt> {
        Self::attempt_with(folder, OFlags::CREATE, step)
    }

    fn attempt_with(folder: &Path, extra: OFlags, step: Step) -> io::Result<Attempt> {
        // Each turn that fails means that the sandbox was removed, or removed and made again, since the last one.
        for _ in 0..100 {
            let opened = match file::open_folder(folder) {
                Err(Errno::NOENT) => return Ok(Attempt::NoFolder),
                Err(Errno::NOTDIR | Errno::LOOP) => return Ok(Attempt::NoLock),
                opened => opened?,
            };
            let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | extra;
            let lock = match rustix::fs::openat(&opened, LOCK_FILE, flags, Mode::RUSR | Mode::WUSR) {
                Ok(lock) => Self(File::from(lock)),
                Err(Errno::NOENT) if file::is_at(&opened, folder)? => return Ok(Attempt::NoLock),
                Err(Errno::NOENT) => continue,
                Err(Errno::ISDIR | Errno::LOOP | Errno::NXIO) => return Ok(Attempt::NoLock),
                Err(errno) => return Err(errno.into()),
            };
            step("lock: opened");
            match lock.0.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(Attempt::Busy),
                Err(TryLockError::Error(error)) => return Err(error),
            }
            if file::is_at(&lock.0, &folder.join(LOCK_FILE))? {
                return Ok(Attempt::Held(lock));
            }
        }
        Ok(Attempt::Busy)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Cannot fail for a descriptor that we hold; closing it frees the lock in any case.
        let _ = self.0.unlock();
    }
}
