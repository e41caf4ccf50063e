//! Adding layers and images.

mod image;
mod layer;

use std::{fs, io, os::unix::fs::DirBuilderExt, path::PathBuf};

use agentkernel_store::make_private_folder;
use agentkernel_types::{Digest, ErrorKind};

use super::{
    Store,
    file::open_or_make,
    layout::Layout,
    lock::{Kind, Lock},
    owner,
    work::Work,
};
use crate::{
    Error, Result,
    failure::{from_store, io_error},
    unpack::Ownership,
};

/// The right to add: as long as it lives, nobody removes what it has added or found.
#[derive(Debug)]
pub struct Writer {
    layout: Layout,
    ownership: Ownership,
    boot: String,
    _lock: Lock,
}

impl Writer {
    pub(super) fn open(layout: &Layout) -> Result<Self> {
        make_private_folder(layout.folder()).map_err(from_store)?;
        for folder in [
            layout.names(),
            layout.images(),
            layout.manifests(),
            layout.configs(),
            layout.layers(),
            layout.incoming(),
        ] {
            match fs::DirBuilder::new().mode(0o700).create(&folder) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => made.map_err(io_error("make the folder", &folder))?,
            }
        }
        let path = layout.lock();
        let file = open_or_make(&path).map_err(io_error("open", &path))?;
        let lock = Lock::wait(file, Kind::Shared).map_err(io_error("lock", &path))?;
        Ok(Self {
            layout: layout.clone(),
            ownership: owner::establish(layout)?,
            boot: fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default(),
            _lock: lock,
        })
    }

    /// Whom files belong to in this store.
    pub fn ownership(&self) -> Ownership {
        self.ownership
    }

    /// The store that it adds to.
    pub fn store(&self) -> Store {
        Store::new(self.layout.folder())
    }

    /// A folder for something that is not finished.
    pub(crate) fn scratch(&self) -> Result<Work> {
        Work::fresh(&self.incoming())
    }

    /// Where a download lies until it is unpacked: `incoming/<hex of the compressed digest>.download`. One process
    /// at a time holds it; a second one waits for the first. What is there after a break is the beginning.
    ///
    /// Whoever works on a file here holds an exclusive `flock` on it: without that it is a leftover. The endings
    /// `lock`, `work` and `new` are the store's own.
    pub fn incoming(&self) -> PathBuf {
        self.layout.incoming()
    }
}

fn mismatch(what: &str, expected: Option<&Digest>, found: &Digest) -> Error {
    let expected = expected.map_or("another", Digest::as_str);
    Error::new(
        ErrorKind::InvalidSpec,
        "image",
        format!("the {what} is not what the image says: its digest is {found} instead of {expected}"),
    )
    .with("field", "digest")
    .hint("the archive or the registry is damaged: get the image again")
}
