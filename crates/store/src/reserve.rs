//! Taking a name: a sandbox appears under it whole, or not at all.

use std::{
    fs,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use agentkernel_types::SandboxName;

use crate::{
    Claim, Error, Phase, Record, Result, SCHEMA_VERSION, file,
    lock::Lock,
    make_private_folder,
    store::{NEW_PREFIX, RECORD_FILE, Store, WORKSPACE_FOLDER},
};

impl Store {
    /// Takes the name, stores the record in phase `Creating` and makes an empty workspace.
    /// `AlreadyExists` if the name is taken. Dropping the claim before the phase is changed removes everything.
    pub fn reserve(&self, name: &SandboxName, mut record: Record) -> Result<Claim> {
        make_private_folder(self.root())?;
        record.schema_version = SCHEMA_VERSION;
        record.phase = Phase::Creating;
        record.spec.name = Some(name.clone());
        let bytes = record.encode(name)?;
        // A hint only, which saves the work; the rename decides.
        if self.folder(name).symlink_metadata().is_ok() {
            return Err(Error::AlreadyExists { name: name.clone() });
        }
        let mut attempts_left = 3;
        let lock = loop {
            attempts_left -= 1;
            match self.make_folder(name, &bytes) {
                // Whoever was stopped for so long that its folder was swept begins again.
                Err(error) if error.is_gone() && attempts_left > 0 => {}
                made => break made?,
            }
        };
        Ok(Claim::of_new(self.clone(), name.clone(), lock, record))
    }

    fn make_folder(&self, name: &SandboxName, record: &[u8]) -> Result<Lock> {
        let mut new = NewFolder::make(self)?;
        self.step("reserve: folder made");
        let lock = Lock::make(&new.path).map_err(Error::io("lock", &new.path))?;
        self.step("reserve: locked");
        fill(self, &new.path, record)?;
        match file::rename_to_free_name(&new.path, &self.folder(name)) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                return Err(Error::AlreadyExists { name: name.clone() });
            }
            renamed => renamed.map_err(Error::io("name", &self.folder(name)))?,
        }
        new.is_named = true;
        self.step("reserve: named");
        file::sync_folder(self.root()).map_err(|error| {
            // Not durable, so not reserved.
            let _ = self.remove_folder(&self.folder(name));
            Error::io("sync", self.root())(error)
        })?;
        self.step("reserve: durable");
        Ok(lock)
    }
}

fn fill(store: &Store, folder: &Path, record: &[u8]) -> Result<()> {
    let path = folder.join(RECORD_FILE);
    file::write_durably(&path, record).map_err(Error::io("write", &path))?;
    store.step("reserve: record written");
    let workspace = folder.join(WORKSPACE_FOLDER);
    fs::DirBuilder::new()
        .mode(0o700)
        .create(&workspace)
        .map_err(Error::io("make the folder", &workspace))?;
    file::sync_folder(folder).map_err(Error::io("sync", folder))?;
    store.step("reserve: filled");
    Ok(())
}

/// A folder without a sandbox's name yet: gone on every way out but success.
struct NewFolder<'a> {
    store: &'a Store,
    path: PathBuf,
    is_named: bool,
}

impl<'a> NewFolder<'a> {
    fn make(store: &'a Store) -> Result<Self> {
        let path = store.fresh_path(NEW_PREFIX);
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(Error::io("make the folder", &path))?;
        Ok(Self {
            store,
            path,
            is_named: false,
        })
    }
}

impl Drop for NewFolder<'_> {
    fn drop(&mut self) {
        if !self.is_named {
            // What cannot be removed now is debris, and found as such.
            let _ = self.store.remove_folder(&self.path);
        }
    }
}
