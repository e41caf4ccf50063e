//! Locks that the kernel frees when their holder dies, however it dies.

use std::{
    fs::{File, TryLockError},
    io,
    thread::sleep,
    time::{Duration, Instant},
};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    Shared,
    Exclusive,
}

/// A lock that is held, on the file itself. Unlocks on drop also where a forked child still has the descriptor.
#[derive(Debug)]
pub struct Lock(File);

impl Lock {
    /// None: somebody else holds it. Never waits.
    pub fn attempt(file: File, kind: Kind) -> io::Result<Option<Self>> {
        Ok(attempt(&file, kind)?.then(|| Self(file)))
    }

    /// Waits as long as it takes.
    pub fn wait(file: File, kind: Kind) -> io::Result<Self> {
        loop {
            let locked = match kind {
                Kind::Shared => file.lock_shared(),
                Kind::Exclusive => file.lock(),
            };
            match locked {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                locked => return locked.map(|()| Self(file)),
            }
        }
    }

    /// None: somebody else held it for all that time.
    pub fn wait_for(file: File, kind: Kind, patience: Duration) -> io::Result<Option<Self>> {
        let end = Instant::now() + patience;
        let mut pause = Duration::from_millis(1);
        while !attempt(&file, kind)? {
            if Instant::now() >= end {
                return Ok(None);
            }
            sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(50));
        }
        Ok(Some(Self(file)))
    }

    pub fn file(&self) -> &File {
        &self.0
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Cannot fail for a descriptor that we hold; closing it frees the lock in any case.
        let _ = self.0.unlock();
    }
}

fn attempt(file: &File, kind: Kind) -> io::Result<bool> {
    let tried = match kind {
        Kind::Shared => file.try_lock_shared(),
        Kind::Exclusive => file.try_lock(),
    };
    match tried {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Interrupted => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}
