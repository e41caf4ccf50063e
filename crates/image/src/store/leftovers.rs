//! What a crash has left in `incoming`.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use agentkernel_store::delete_tree;
use agentkernel_types::ErrorKind;

use super::{
    Store,
    file::open,
    inventory::files,
    lock::{Kind, Lock},
    work::{self, LOCK, WORK},
};
use crate::{Error, Result, failure::io_error};

impl Store {
    /// What a crash has left in `incoming` and nobody works on. Also downloads that could still go on.
    pub fn leftovers(&self) -> Result<Vec<PathBuf>> {
        let mut left = Vec::new();
        for path in files(&self.layout.incoming())? {
            // A lock goes with the folder that it is for.
            let belongs = has_extension(&path, LOCK) && path.with_extension(WORK).exists();
            if !belongs && claim(&path)?.is_some() {
                left.push(path);
            }
        }
        Ok(left)
    }

    /// Removes one of [`Store::leftovers`]. False: somebody is at work on it again, or it has gone.
    pub fn sweep(&self, path: &Path) -> Result<bool> {
        let plain = matches!(
            path.components().next_back(),
            Some(std::path::Component::Normal(_))
        );
        if path.parent() != Some(&self.layout.incoming()) || !plain {
            return Err(Error::new(
                ErrorKind::InvalidSpec,
                "image",
                format!("{} is no leftover of the image store", path.display()),
            ));
        }
        let Some(claim) = claim(path)? else {
            return Ok(false);
        };
        if has_extension(path, WORK) {
            work::empty(path).map_err(io_error("remove", path))?;
            if claim.is_some() {
                remove_file(&path.with_extension(LOCK))?;
            }
            return Ok(true);
        }
        delete_tree(path).map_err(io_error("remove", path))?;
        Ok(true)
    }
}

/// The right to remove something: outer None, if somebody works on it; inner None, if it has nothing to lock.
fn claim(path: &Path) -> Result<Option<Option<Lock>>> {
    let lock_path = if has_extension(path, WORK) {
        path.with_extension(LOCK)
    } else {
        path.to_owned()
    };
    match open(&lock_path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && !path.exists() => Ok(None),
        // A folder without its lock, a link, a socket: nothing of ours works with that.
        Err(_) => Ok(Some(None)),
        Ok(file) => Ok(Lock::attempt(file, Kind::Exclusive)
            .map_err(io_error("lock", &lock_path))?
            .map(Some)),
    }
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found == extension)
}

fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(io_error("remove", path)),
    }
}
