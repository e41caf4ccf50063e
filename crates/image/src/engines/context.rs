//! Hashes the files that a build sees.

use std::{
    fs::{self, File},
    io::Read,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::Path,
};

use agentkernel_types::ErrorKind;
use sha2::{Digest as _, Sha256};

use super::ignore::Ignored;
use crate::{Error, Result, failure::io_error};

/// More files than this are not a context that somebody wants to be sent to an engine.
const MAX_FILES: u64 = 500_000;

/// Adds names, kinds, modes and contents in the order of the names.
pub(super) fn hash(folder: &Path, ignored: &Ignored, into: &mut Sha256) -> Result<()> {
    let mut files = 0;
    walk(folder, &mut Vec::new(), ignored, &mut files, into)
}

fn walk(
    folder: &Path,
    place: &mut Vec<String>,
    ignored: &Ignored,
    files: &mut u64,
    into: &mut Sha256,
) -> Result<()> {
    let entries = fs::read_dir(folder).map_err(io_error("read the folder", folder))?;
    let mut entries = entries
        .collect::<std::io::Result<Vec<_>>>()
        .map_err(io_error("read the folder", folder))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (path, name) = (entry.path(), entry.file_name());
        // A name that is not text matches no pattern, and is hashed.
        place.push(name.to_string_lossy().into_owned());
        let parts: Vec<&str> = place.iter().map(String::as_str).collect();
        let skipped = name.to_str().is_some() && ignored.has(&parts);
        if !skipped {
            *files += 1;
            if *files > MAX_FILES {
                return Err(Error::new(
                    ErrorKind::Exhausted,
                    "image",
                    format!("the build context has more than {MAX_FILES} files"),
                )
                .hint("name what is not needed in .dockerignore"));
            }
            let found = fs::symlink_metadata(&path).map_err(io_error("examine", &path))?;
            add(into, name.as_bytes());
            into.update(found.mode().to_le_bytes());
            if found.is_dir() {
                walk(&path, place, ignored, files, into)?;
                into.update(b"/");
            } else if found.is_symlink() {
                let target = fs::read_link(&path).map_err(io_error("read the link", &path))?;
                add(into, target.as_os_str().as_bytes());
            } else if found.is_file() {
                content(&path, into)?;
            }
        }
        place.pop();
    }
    Ok(())
}

pub(super) fn content(path: &Path, into: &mut Sha256) -> Result<()> {
    let mut file = File::open(path).map_err(io_error("open", path))?;
    let (mut own, mut buffer) = (Sha256::new(), vec![0; 128 << 10]);
    loop {
        let length = file.read(&mut buffer).map_err(io_error("read", path))?;
        if length == 0 {
            break;
        }
        own.update(&buffer[..length]);
    }
    into.update(own.finalize());
    Ok(())
}

/// With its length, so that no two lists of values are alike.
pub(super) fn add(into: &mut Sha256, value: &[u8]) {
    into.update((value.len() as u64).to_le_bytes());
    into.update(value);
}
