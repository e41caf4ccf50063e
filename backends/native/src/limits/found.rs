//! Groups of ours on the host.
//!
//! A group lies beneath the one of the process that made it, and whoever asks later (another shell, another
//! login, `gc`) is in another one. So the whole of each hierarchy is searched, within bounds.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use agentkernel_types::SandboxId;

use super::{
    Limits, PREFIX,
    hierarchy::{Hierarchy, Version},
    offer::is_writable,
};

/// More groups than a busy host has; deeper than anybody nests them.
const MOST_FOLDERS: usize = 20_000;
const DEEPEST: usize = 12;

/// A group found on the host.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Found {
    pub path: PathBuf,
    pub id: SandboxId,
    /// A process is in it, or about to be.
    pub in_use: bool,
}

/// All groups of ours, in every hierarchy that limits use.
pub fn leftovers() -> Vec<Found> {
    leftovers_in(&Limits::probe())
}

pub(super) fn leftovers_in(limits: &Limits) -> Vec<Found> {
    let found = limits.hierarchies.iter().flat_map(search);
    // Those of other users are not ours to look after.
    let removable = found.filter(|(path, _)| path.parent().is_some_and(is_writable));
    removable
        .map(|(path, id)| Found {
            in_use: is_in_use(&path),
            path,
            id,
        })
        .collect()
}

/// The folders of one sandbox, and whether each is of version 2. Where this process would make them, or else
/// anywhere.
pub(super) fn folders_of(limits: &Limits, id: &SandboxId) -> Vec<(PathBuf, bool)> {
    let mut folders = Vec::new();
    for hierarchy in &limits.hierarchies {
        let near = hierarchy.own.iter().flat_map(|own| own.ancestors());
        let near = near.take_while(|folder| folder.starts_with(&hierarchy.mount_point));
        let mut near = near
            .map(|folder| folder.join(format!("{PREFIX}{id}")))
            .filter(|path| path.is_dir());
        let found = near.next().or_else(|| {
            search(hierarchy)
                .into_iter()
                .find_map(|(path, other)| (other == *id).then_some(path))
        });
        folders.extend(found.map(|path| (path, hierarchy.version == Version::Two)));
    }
    folders
}

fn search(hierarchy: &Hierarchy) -> Vec<(PathBuf, SandboxId)> {
    let mut found = Vec::new();
    let mut waiting = vec![(hierarchy.mount_point.clone(), 0)];
    let mut seen = 0;
    while let Some((folder, depth)) = waiting.pop() {
        for path in folders_in(&folder) {
            seen += 1;
            match id_of(&path) {
                Some(id) => found.push((path, id)),
                None if depth < DEEPEST && seen < MOST_FOLDERS => waiting.push((path, depth + 1)),
                None => {}
            }
        }
    }
    found
}

fn folders_in(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
}

fn id_of(path: &Path) -> Option<SandboxId> {
    path.file_name()?.to_str()?.strip_prefix(PREFIX)?.parse().ok()
}

fn is_in_use(path: &Path) -> bool {
    let locked = File::open(path).is_ok_and(|folder| folder.try_lock().is_err());
    let processes = fs::read_to_string(path.join("cgroup.procs"));
    locked || processes.is_ok_and(|processes| !processes.trim().is_empty())
}

/// Removes a group that nobody uses. The gone is a success.
pub fn sweep(path: &Path) -> io::Result<()> {
    if id_of(path).is_none() {
        return Err(io::Error::other("not a group of agentkernel"));
    }
    match fs::remove_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
