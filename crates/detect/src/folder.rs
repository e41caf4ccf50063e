//! A project on disk, read with care: it may be a hostile checkout.

use std::{
    fs::{self, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;

use crate::{Project, evidence::EVIDENCE, pins::PINS};

const MAX_NAMES: usize = 10_000;
const MAX_FILE_BYTES: u64 = 64 << 10;

/// The files of one folder. Symbolic links are neither listed nor followed.
#[derive(Debug)]
pub struct FolderProject {
    folder: PathBuf,
    names: Vec<String>,
}

impl FolderProject {
    /// Lists the folder: at most 10,000 entries, and beyond that only the names that detection knows.
    pub fn open(folder: impl Into<PathBuf>) -> io::Result<Self> {
        let folder = folder.into();
        let mut names = Vec::new();
        let mut entries = fs::read_dir(&folder)?;
        for entry in entries.by_ref().take(MAX_NAMES) {
            let entry = entry?;
            let regular = entry.file_type().is_ok_and(|kind| kind.is_file());
            if let (true, Ok(name)) = (regular, entry.file_name().into_string()) {
                names.push(name);
            }
        }
        if entries.next().is_some() {
            names.extend(
                known_names()
                    .filter(|name| is_regular(&folder, name))
                    .map(str::to_owned),
            );
        }
        names.sort_unstable();
        names.dedup();
        Ok(Self { folder, names })
    }
}

impl Project for FolderProject {
    fn names(&self) -> &[String] {
        &self.names
    }

    fn read(&self, name: &str) -> Option<String> {
        // Only what was listed: so never a path, `..` or a link.
        self.names
            .binary_search_by(|listed| listed.as_str().cmp(name))
            .ok()?;
        // It may have been replaced by a link or a FIFO since then.
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32;
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(flags)
            .open(self.folder.join(name))
            .ok()?;
        if !file.metadata().ok()?.is_file() {
            return None;
        }
        let mut bytes = Vec::new();
        file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).ok()?;
        (bytes.len() as u64 <= MAX_FILE_BYTES)
            .then(|| String::from_utf8(bytes).ok())
            .flatten()
    }
}

fn known_names() -> impl Iterator<Item = &'static str> {
    let evidence = EVIDENCE
        .iter()
        .flat_map(|evidence| evidence.names.iter().copied());
    evidence
        .chain(PINS.iter().map(|pin| pin.file))
        .chain(["Procfile"])
        .filter(|name| !name.starts_with('*'))
}

fn is_regular(folder: &Path, name: &str) -> bool {
    fs::symlink_metadata(folder.join(name)).is_ok_and(|metadata| metadata.is_file())
}
