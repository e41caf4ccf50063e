//! The home folder inside a sandbox: read-only, and without credential stores that nobody asked for.

mod entries;

use std::path::{Path, PathBuf};

use agentkernel_types::{GuestPath, Mount};

use crate::{Credentials, Denied, HostFacts};

pub use entries::{HomeEntry, home_mounts};

/// The mount of the home folder, at the path where the host has it, read-only. `masked` holds, absolute in the sandbox,
/// every existing store that was not asked for and every folder of our own that lies in it, each where it
/// really lies: a masked link would still show its target.
///
/// For backends that take a copy. A mount that stays connected with the host's folder needs [`home_mounts`]: masks do
/// not survive what the host does later.
///
/// `host.home` is the home folder with all links resolved; `home` is how the user calls it.
pub fn home_mount(home: &Path, asked: &Credentials, host: &HostFacts) -> Result<Mount, Denied> {
    let real = real_home(home, host)?;
    let target = guest_path(home).ok_or_else(|| refused(home, "its path is not absolute, or not UTF-8"))?;

    let hidden_stores = host
        .stores
        .iter()
        .filter(|store| !asked.include(store.name))
        .map(|store| &store.path);
    let mut masked = Vec::new();
    for path in hidden_stores.chain(&host.own) {
        // What lies elsewhere is not in this mount.
        let Ok(relative) = path.strip_prefix(real) else {
            continue;
        };
        if relative.as_os_str().is_empty() {
            return Err(refused(
                home,
                "the whole of it is a credential store or a folder of our own",
            ));
        }
        let hidden = guest_path(&home.join(relative)).ok_or_else(|| {
            refused(
                home,
                &format!("{} cannot be hidden: its path is not UTF-8", path.display()),
            )
        })?;
        masked.push(hidden);
    }
    Ok(Mount {
        source: PathBuf::from(real),
        target,
        read_only: true,
        masked: outermost(masked),
    })
}

fn real_home<'a>(home: &Path, host: &'a HostFacts) -> Result<&'a Path, Denied> {
    let real = host
        .home
        .as_deref()
        .ok_or_else(|| refused(home, "it does not exist"))?;
    if real.parent().is_none() || home.parent().is_none() {
        return Err(refused(home, "it is the root of the file system"));
    }
    match guest_path(home) {
        Some(_) => Ok(real),
        None => Err(refused(home, "its path is not absolute, or not UTF-8")),
    }
}

fn refused(home: &Path, why: &str) -> Denied {
    let way_out = "set HOME to your own folder, or do without mount_home";
    Denied::new(
        format!("mounting the home folder {}", home.display()),
        why,
        way_out,
    )
}

fn guest_path(path: &Path) -> Option<GuestPath> {
    path.to_str()?.parse().ok()
}

/// Sorted, each once, and none beneath another one: what is beneath cannot be mounted over any more.
fn outermost(mut paths: Vec<GuestPath>) -> Vec<GuestPath> {
    paths.sort_by(|one, other| one.as_str().split('/').cmp(other.as_str().split('/')));
    let mut kept: Vec<GuestPath> = Vec::with_capacity(paths.len());
    for path in paths {
        if !kept.last().is_some_and(|last| path.starts_with(last)) {
            kept.push(path);
        }
    }
    kept
}
