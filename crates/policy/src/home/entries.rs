//! The home folder inside a sandbox as the sum of its entries, so that it stays safe while the sandbox runs.
//!
//! A mask over a live mount does not: when a program of the host replaces a masked file by renaming a new one over it
//! (as most do that write credentials), the kernel takes the mask away; and a store that is made later was never masked.
//! Here what may not be seen is simply not there, now or later: folders that hold a known store, whether it
//! exists or not, are never mounted themselves, only their other entries are.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use agentkernel_types::Mount;

use super::{guest_path, real_home};
use crate::{CREDENTIAL_STORES, Credentials, Denied, HostFacts, SourceFacts, SourceKind};

/// An entry of a folder: its name there, and what is behind it with all links resolved.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HomeEntry {
    pub name: OsString,
    pub source: SourceFacts,
}

/// Read-only mounts of what may be seen of the home folder, each at the path where the host has it, in the order of
/// their places, none beneath another. The home folder itself is the sandbox's own.
///
/// `list` gives the entries of a folder of the host; it is asked for the home folder and for those beneath it that hold
/// stores. Left out are sockets and devices, links that lead out of the home folder or to something hidden, and names
/// that are not UTF-8. Where a project is mounted at the place of one of these mounts, the caller drops this one.
pub fn home_mounts(
    home: &Path,
    asked: &Credentials,
    host: &HostFacts,
    list: &dyn Fn(&Path) -> Vec<HomeEntry>,
) -> Result<Vec<Mount>, Denied> {
    let real = real_home(home, host)?;
    let hidden = Hidden::of(real, asked, host);
    let mut mounts = Vec::new();
    let mut open = vec![real.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in list(&folder) {
            let place = folder.join(&entry.name);
            match hidden.judge(real, &place, &entry.source) {
                Sight::None => {}
                Sight::Entries => open.push(place),
                Sight::Whole => {
                    let relative = place
                        .strip_prefix(real)
                        .expect("only folders of the home are open");
                    let target = guest_path(&home.join(relative));
                    mounts.extend(target.map(|target| Mount::new(entry.source.path, target, true)));
                }
            }
        }
    }
    mounts.sort_by(|one, other| one.target.as_str().cmp(other.target.as_str()));
    Ok(mounts)
}

enum Sight {
    None,
    /// Some of its entries.
    Entries,
    Whole,
}

struct Hidden(Vec<PathBuf>);

impl Hidden {
    fn of(real: &Path, asked: &Credentials, host: &HostFacts) -> Self {
        let known = CREDENTIAL_STORES
            .iter()
            .filter(|store| !asked.include(store.name));
        let known = known.flat_map(|store| store.paths.iter().map(|path| real.join(path)));
        // Where links lead: a store may really lie somewhere else.
        let found = host.stores.iter().filter(|store| !asked.include(store.name));
        Self(
            known
                .chain(found.map(|store| store.path.clone()))
                .chain(host.own.iter().cloned())
                .collect(),
        )
    }

    fn judge(&self, home: &Path, place: &Path, source: &SourceFacts) -> Sight {
        let path = source.path.as_path();
        let is_hidden = |path: &Path| self.0.iter().any(|hidden| path.starts_with(hidden));
        let holds_hidden = self.0.iter().any(|hidden| hidden.starts_with(path));
        let is_link = path != place;
        match source.kind {
            SourceKind::Socket | SourceKind::Other | SourceKind::Missing => Sight::None,
            _ if is_hidden(place) || is_hidden(path) || !path.starts_with(home) => Sight::None,
            _ if is_link && (holds_hidden || home.starts_with(path)) => Sight::None,
            SourceKind::Folder if holds_hidden => Sight::Entries,
            SourceKind::File if holds_hidden => Sight::None,
            SourceKind::Folder | SourceKind::File => Sight::Whole,
        }
    }
}
