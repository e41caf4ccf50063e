//! Names of things that are being written: nobody takes them for the finished ones, and `gc` finds what a crash left.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// The beginning of every such name.
const PREFIX: &str = ".unfinished-";
/// Writing takes milliseconds: what is older has no writer any more.
const ABANDONED: Duration = Duration::from_secs(60);

/// A path in `folder` that no other thread or process uses.
pub(crate) fn path_in(folder: &Path) -> PathBuf {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    folder.join(format!("{PREFIX}{}-{number}", std::process::id()))
}

/// What a crash has left in `folder`.
pub(crate) fn abandoned(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let is_old = |path: &PathBuf| {
        let modified = fs::symlink_metadata(path).and_then(|found| found.modified());
        modified.is_ok_and(|modified| modified.elapsed().is_ok_and(|age| age > ABANDONED))
    };
    let ours = entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX));
    ours.map(|entry| entry.path()).filter(is_old).collect()
}

/// Removes one of them.
pub(crate) fn remove(path: &Path) -> std::io::Result<()> {
    let ours = path
        .file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with(PREFIX));
    if !ours {
        return Err(std::io::Error::other("not an unfinished thing of agentkernel"));
    }
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(_) => Ok(()),
    }
}
