//! Limits of a whole sandbox through control groups, version 2 or 1, whichever this host really offers.
//!
//! A limit that was asked for is enforced or refused by name; nothing is created when none was asked for.

mod group;
mod offer;

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use agentkernel_types::{Resources, SandboxId};

pub(crate) use self::offer::counts_per_namespace;
pub use self::{
    group::{Group, Usage},
    offer::{Limits, PidsBy},
};

/// What every group of ours is called, followed by the sandbox's id.
const PREFIX: &str = "agentkernel-";

/// Whether these limits may need a group.
pub(crate) fn any(resources: &Resources) -> bool {
    resources.memory.is_some()
        || resources.cpus.is_some()
        || (resources.pids.is_some() && !counts_per_namespace())
}

/// A group found on the host.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Found {
    pub path: PathBuf,
    pub id: SandboxId,
    /// A process is in it, or about to be.
    pub in_use: bool,
}

/// All groups of ours, in every hierarchy that this process may write.
pub fn leftovers() -> Vec<Found> {
    Limits::probe()
        .parents()
        .iter()
        .flat_map(|parent| found_in(parent))
        .collect()
}

fn found_in(parent: &Path) -> Vec<Found> {
    let Ok(entries) = fs::read_dir(parent) else {
        return Vec::new();
    };
    let found = entries.flatten().filter_map(|entry| {
        let id = entry.file_name().to_str()?.strip_prefix(PREFIX)?.parse().ok()?;
        let path = entry.path();
        let locked = File::open(&path).is_ok_and(|folder| folder.try_lock().is_err());
        let processes = fs::read_to_string(path.join("cgroup.procs"));
        let in_use = locked || processes.is_ok_and(|processes| !processes.trim().is_empty());
        Some(Found { path, id, in_use })
    });
    found.collect()
}

/// Removes a group that nobody uses. The gone is a success.
pub fn sweep(path: &Path) -> io::Result<()> {
    let ours = path
        .file_name()
        .and_then(|name| name.to_str())
        .is_some_and(|name| name.starts_with(PREFIX));
    if !ours {
        return Err(io::Error::other("not a group of agentkernel"));
    }
    match fs::remove_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
