//! Exclusive ownership of one sandbox, and what only its owner may do.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use agentkernel_types::SandboxName;

use crate::{
    Error, Phase, Record, Result, delete_tree, file,
    lock::{Attempt, LOCK_FILE, Lock},
    store::{GONE_PREFIX, NEXT_RECORD_FILE, RECORD_FILE, Store},
};

/// Held by at most one process at a time, freed by its death. Blocking calls: keep it off an event loop's thread
/// where others wait.
#[derive(Debug)]
pub struct Claim {
    store: Store,
    name: SandboxName,
    record: Record,
    /// Made by us, so ours to undo while it is in phase `Creating`.
    is_new: bool,
    /// Last: freed after everything else.
    _lock: Lock,
}

impl Store {
    /// How long [`Store::claim`] waits for another owner.
    pub const PATIENCE: Duration = Duration::from_secs(30);

    pub fn claim(&self, name: &SandboxName) -> Result<Claim> {
        self.claim_within(name, Self::PATIENCE)
    }

    /// `Busy` if somebody else still owns it after `patience`.
    pub fn claim_within(&self, name: &SandboxName, patience: Duration) -> Result<Claim> {
        let deadline = Instant::now() + patience;
        let mut pause = Duration::from_millis(1);
        loop {
            match self.try_claim(name) {
                Err(Error::Busy { .. }) if Instant::now() < deadline => {}
                claimed => return claimed,
            }
            std::thread::sleep(pause.min(deadline.saturating_duration_since(Instant::now())));
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }

    /// Never waits.
    pub fn try_claim(&self, name: &SandboxName) -> Result<Claim> {
        let folder = self.folder(name);
        match Lock::attempt(&folder, self.step).map_err(Error::io("lock", &folder))? {
            Attempt::Busy => Err(Error::Busy { name: name.clone() }),
            Attempt::NoFolder => Err(Error::NotFound { name: name.clone() }),
            Attempt::NoLock => {
                let path = folder.join(LOCK_FILE);
                Err(Error::Corrupt {
                    name: name.clone(),
                    path,
                    why: "it is missing or no file".to_owned(),
                })
            }
            Attempt::Held(lock) => match self.read(name)? {
                Some(record) => Ok(Claim {
                    store: self.clone(),
                    name: name.clone(),
                    record,
                    is_new: false,
                    _lock: lock,
                }),
                None => Err(Error::NotFound { name: name.clone() }),
            },
        }
    }

    /// Removes a sandbox whose record cannot be used; `Busy` if somebody owns it. The gone is a success.
    pub fn discard(&self, name: &SandboxName) -> Result<()> {
        let folder = self.folder(name);
        match Lock::attempt_or_mend(&folder, self.step).map_err(Error::io("lock", &folder))? {
            Attempt::Busy => Err(Error::Busy { name: name.clone() }),
            Attempt::NoFolder => Ok(()),
            // Not a folder, or nothing that can be locked: no sandbox of ours is like that, so nobody owns it.
            Attempt::Held(_) | Attempt::NoLock => self.remove_folder(&folder),
        }
    }

    /// Takes the name away at once, then the content. Whoever calls holds the lock, or nobody can.
    pub(crate) fn remove_folder(&self, folder: &Path) -> Result<()> {
        let gone = self.fresh_path(GONE_PREFIX);
        match fs::rename(folder, &gone) {
            Ok(()) => self.step("remove: nameless"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(Error::io("remove", folder)(error)),
        }
        self.remove_nameless(&gone)
    }

    /// The lock goes last: while it is there and held, nobody takes the rest for debris.
    pub(crate) fn remove_nameless(&self, gone: &Path) -> Result<()> {
        if !gone.symlink_metadata().is_ok_and(|found| found.is_dir()) {
            return delete_tree(gone).map_err(Error::io("remove", gone));
        }
        // Others may sweep the last of it at the same time: what is gone is a success.
        let gone_already = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
        let entries = match fs::read_dir(gone) {
            Err(error) if gone_already(&error) => return Ok(()),
            entries => entries.map_err(Error::io("list", gone))?,
        };
        for entry in entries {
            let entry = entry.map_err(Error::io("list", gone))?;
            if entry.file_name() != LOCK_FILE {
                self.step("remove: next entry");
                delete_tree(&entry.path()).map_err(Error::io("remove", &entry.path()))?;
            }
        }
        self.step("remove: emptied");
        delete_tree(&gone.join(LOCK_FILE)).map_err(Error::io("remove", gone))?;
        self.step("remove: unlocked");
        match fs::remove_dir(gone) {
            Err(error) if gone_already(&error) => Ok(()),
            removed => removed.map_err(Error::io("remove", gone)),
        }
    }
}

impl Claim {
    pub(crate) fn of_new(store: Store, name: SandboxName, lock: Lock, record: Record) -> Self {
        Self {
            store,
            name,
            record,
            is_new: true,
            _lock: lock,
        }
    }

    pub fn name(&self) -> &SandboxName {
        &self.name
    }

    pub fn record(&self) -> &Record {
        &self.record
    }

    pub fn workspace(&self) -> PathBuf {
        self.store.workspace(&self.name)
    }

    /// Changes the record, in memory and on disk; a reader sees the old one or the new one. The sandbox's name and
    /// the schema version cannot be changed. After an error the old record holds.
    pub fn update(&mut self, change: impl FnOnce(&mut Record)) -> Result<()> {
        let mut next = self.record.clone();
        change(&mut next);
        next.schema_version = crate::SCHEMA_VERSION;
        next.spec.name = Some(self.name.clone());
        let bytes = next.encode(&self.name)?;

        let folder = self.store.folder(&self.name);
        let unnamed = folder.join(NEXT_RECORD_FILE);
        let written = file::write_durably(&unnamed, &bytes);
        self.store.step("update: written");
        if let Err(error) = written.and_then(|()| fs::rename(&unnamed, folder.join(RECORD_FILE))) {
            let _ = fs::remove_file(&unnamed);
            return Err(Error::io("write", &unnamed)(error));
        }
        self.record = next;
        self.store.step("update: named");
        file::sync_folder(&folder).map_err(Error::io("sync", &folder))?;
        self.store.step("update: durable");
        Ok(())
    }

    /// Removes the record and the workspace. What a crash or an error leaves of it is debris.
    pub fn remove(mut self) -> Result<()> {
        if self.record.phase != Phase::Removing {
            match self.update(|record| record.phase = Phase::Removing) {
                // On a full disk nothing can be written, and removing is the cure.
                Err(error) if error.is_disk_full() => {}
                updated => updated?,
            }
        }
        self.is_new = false;
        self.store.remove_folder(&self.store.folder(&self.name))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.is_new && self.record.phase == Phase::Creating {
            // What cannot be removed now is debris, and found as such.
            let _ = self.store.remove_folder(&self.store.folder(&self.name));
        }
    }
}
