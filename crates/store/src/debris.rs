//! What a crash has left in the store, and its removal.
//!
//! Debris is what nobody owns: a judgement made at one moment is made again, under the lock, before anything is
//! removed.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use agentkernel_types::SandboxName;

use crate::{
    Error, Phase, Result,
    lock::{Attempt, Lock},
    store::{GONE_PREFIX, NEW_PREFIX, NEXT_RECORD_FILE, Store},
};

/// A folder without a lock may be one whose maker is between two steps, but not for so long.
const YOUTH: Duration = Duration::from_secs(60);

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Debris {
    pub kind: DebrisKind,
    pub path: PathBuf,
    judged_at: SystemTime,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum DebrisKind {
    /// Its maker died before it had a name.
    HalfMade,
    /// Its remover died after it lost its name.
    HalfRemoved,
    /// A named sandbox in phase `Creating` or `Removing` whose owner died. Its backend may have made things for it:
    /// claim and destroy it there first.
    Unfinished { name: SandboxName, phase: Phase },
    /// The next record of a sandbox whose writer died. The sandbox itself is sound.
    UnfinishedRecord { name: SandboxName },
}

impl Store {
    pub fn debris(&self) -> Result<Vec<Debris>> {
        self.debris_as_of(SystemTime::now())
    }

    /// As if it were `now`: the age of a folder counts.
    pub fn debris_as_of(&self, now: SystemTime) -> Result<Vec<Debris>> {
        let mut found = Vec::new();
        for name in self.folder_names()? {
            let path = self.root().join(&name);
            for kind in self.suspects(&name) {
                let debris = Debris {
                    kind,
                    path: path.clone(),
                    judged_at: now,
                };
                if self.lock_debris(&debris)?.is_some() {
                    found.push(debris);
                }
            }
        }
        found.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(found)
    }

    /// Removes it. False: it is somebody's by now, or gone, and was left alone.
    pub fn sweep(&self, debris: &Debris) -> Result<bool> {
        let Some(_lock) = self.lock_debris(debris)? else {
            return Ok(false);
        };
        self.step("sweep: locked");
        match &debris.kind {
            DebrisKind::HalfRemoved => self.remove_nameless(&debris.path)?,
            DebrisKind::HalfMade | DebrisKind::Unfinished { .. } => self.remove_folder(&debris.path)?,
            DebrisKind::UnfinishedRecord { .. } => {
                let path = debris.path.join(NEXT_RECORD_FILE);
                fs::remove_file(&path).map_err(Error::io("remove", &path))?;
            }
        }
        Ok(true)
    }

    /// What the entry would be, if nobody owned it.
    fn suspects(&self, name: &str) -> Vec<DebrisKind> {
        if name.starts_with(NEW_PREFIX) {
            return vec![DebrisKind::HalfMade];
        }
        if name.starts_with(GONE_PREFIX) {
            return vec![DebrisKind::HalfRemoved];
        }
        let Ok(name) = name.parse::<SandboxName>() else {
            return Vec::new();
        };
        match self.read(&name) {
            Ok(Some(record)) if record.phase != Phase::Ready => {
                vec![DebrisKind::Unfinished {
                    name,
                    phase: record.phase,
                }]
            }
            _ if self
                .folder(&name)
                .join(NEXT_RECORD_FILE)
                .symlink_metadata()
                .is_ok() =>
            {
                vec![DebrisKind::UnfinishedRecord { name }]
            }
            // A record that cannot be used is for a person to judge.
            _ => Vec::new(),
        }
    }

    /// The right to remove it, if it is debris.
    fn lock_debris(&self, debris: &Debris) -> Result<Option<Right>> {
        let path = &debris.path;
        let right = match Lock::attempt(path, self.step).map_err(Error::io("lock", path))? {
            Attempt::Busy => return Ok(None),
            Attempt::Held(lock) => Right { _lock: Some(lock) },
            Attempt::NoFolder | Attempt::NoLock => Right { _lock: None },
        };
        let is_debris = match &debris.kind {
            // No lock yet: the maker works with paths, so when the folder loses its name in the sweep, the maker
            // fails and begins again. Age only spares it that.
            DebrisKind::HalfMade if right._lock.is_none() => is_old(path, debris.judged_at),
            DebrisKind::HalfMade => true,
            // The lock goes last, so without it nothing of value is left.
            DebrisKind::HalfRemoved => path.symlink_metadata().is_ok(),
            DebrisKind::Unfinished { name, phase } => {
                right._lock.is_some()
                    && self
                        .read(name)
                        .is_ok_and(|record| record.is_some_and(|record| record.phase == *phase))
            }
            DebrisKind::UnfinishedRecord { .. } => {
                right._lock.is_some() && path.join(NEXT_RECORD_FILE).symlink_metadata().is_ok()
            }
        };
        Ok(is_debris.then_some(right))
    }
}

struct Right {
    _lock: Option<Lock>,
}

/// A time far in the future is no sign of youth, but of a clock that was set back.
fn is_old(path: &Path, now: SystemTime) -> bool {
    path.symlink_metadata()
        .and_then(|found| found.modified())
        .is_ok_and(|made| now.duration_since(made).unwrap_or_else(|ahead| ahead.duration()) > YOUTH)
}

impl fmt::Display for Debris {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.kind {
            DebrisKind::HalfMade => write!(f, "a half-made sandbox without a name: {path}"),
            DebrisKind::HalfRemoved => write!(f, "a half-removed sandbox without a name: {path}"),
            DebrisKind::Unfinished {
                name,
                phase: Phase::Creating,
            } => write!(f, "half-made sandbox {name}"),
            DebrisKind::Unfinished { name, .. } => write!(f, "half-removed sandbox {name}"),
            DebrisKind::UnfinishedRecord { name } => write!(f, "an unfinished record of sandbox {name}"),
        }
    }
}
