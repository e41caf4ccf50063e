//! What the entries of a home folder show, over imagined homes, now and later.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use agentkernel_policy::{
    CREDENTIAL_STORES, Credentials, FoundStore, HomeEntry, HostFacts, SourceFacts, SourceKind, home_mounts,
};
use agentkernel_types::Mount;
use proptest::prelude::*;

const HOME: &str = "/home/ada";

/// Files by their paths, and links with where they lead.
#[derive(Debug, Default)]
struct Disk {
    files: BTreeSet<PathBuf>,
    links: BTreeMap<PathBuf, PathBuf>,
}

impl Disk {
    fn of(files: &[&str]) -> Self {
        Self {
            files: files.iter().map(|file| Path::new(HOME).join(file)).collect(),
            ..Self::default()
        }
    }

    fn list(&self, folder: &Path) -> Vec<HomeEntry> {
        let below = |path: &PathBuf| Some(folder.join(path.strip_prefix(folder).ok()?.components().next()?));
        let places: BTreeSet<_> = self
            .files
            .iter()
            .chain(self.links.keys())
            .filter_map(below)
            .collect();
        places.iter().map(|place| self.entry(place)).collect()
    }

    fn entry(&self, place: &Path) -> HomeEntry {
        let path = self.links.get(place).map_or(place, PathBuf::as_path).to_owned();
        let kind = match self.files.contains(&path) {
            true if path.extension().is_some_and(|end| end == "sock") => SourceKind::Socket,
            true => SourceKind::File,
            false => SourceKind::Folder,
        };
        HomeEntry {
            name: place.file_name().expect("a name").to_owned(),
            source: SourceFacts { path, kind },
        }
    }

    fn mounts(&self, asked: &[&str], host: &HostFacts) -> Vec<Mount> {
        let asked = Credentials::parse(asked).expect("known names");
        home_mounts(Path::new(HOME), &asked, host, &|folder| self.list(folder)).expect("a home folder")
    }

    fn targets(&self, asked: &[&str], host: &HostFacts) -> Vec<String> {
        self.mounts(asked, host)
            .iter()
            .map(|mount| mount.target.as_str()[HOME.len() + 1..].to_owned())
            .collect()
    }
}

fn host() -> HostFacts {
    HostFacts {
        home: Some(HOME.into()),
        ..HostFacts::default()
    }
}

#[test]
fn folders_that_hold_stores_are_opened_and_all_others_are_mounted_whole() {
    let disk = Disk::of(&[
        "project/src/main.rs",
        ".gitconfig",
        ".ssh/id",
        ".config/nvim/init.lua",
        ".config/gh/hosts.yml",
        ".cargo/bin/rg",
        ".local/share/fonts/x",
        ".local/share/keyrings/login",
        ".local/bin/tool",
        "agent.sock",
    ]);
    let usual = [
        ".cargo/bin",
        ".config/nvim",
        ".gitconfig",
        ".local/bin",
        ".local/share/fonts",
        "project",
    ];
    assert_eq!(disk.targets(&[], &host()), usual);
    assert!(
        disk.mounts(&[], &host())
            .iter()
            .all(|mount| mount.read_only && mount.masked.is_empty())
    );
    let with_gh = disk.targets(&["gh", "ssh"], &host());
    assert_eq!(
        with_gh
            .iter()
            .filter(|path| !usual.contains(&path.as_str()))
            .collect::<Vec<_>>(),
        [".config/gh", ".ssh"]
    );
}

#[test]
fn links_are_shown_only_if_they_lead_to_something_of_the_home_that_may_be_seen() {
    let mut disk = Disk::of(&["dotfiles/vim/vimrc", "dotfiles/ssh/id", "project/file"]);
    let links = [
        (".vimrc", "/home/ada/dotfiles/vim/vimrc"),
        (".ssh", "/home/ada/dotfiles/ssh"),
        ("keys", "/home/ada/dotfiles/ssh"),
        ("all", "/home/ada/dotfiles"),
        ("me", "/home/ada"),
        ("up", "/home"),
        ("shadow", "/etc/shadow"),
    ];
    disk.links = links
        .iter()
        .map(|(link, to)| (Path::new(HOME).join(link), PathBuf::from(to)))
        .collect();
    disk.files.insert("/etc/shadow".into());
    let stores = vec![FoundStore {
        name: "ssh",
        path: "/home/ada/dotfiles/ssh".into(),
    }];
    let host = HostFacts { stores, ..host() };
    assert_eq!(disk.targets(&[], &host), [".vimrc", "dotfiles/vim", "project"]);
    let mounts = disk.mounts(&[], &host);
    assert_eq!(mounts[0].source, Path::new("/home/ada/dotfiles/vim/vimrc"));
    assert_eq!(
        disk.targets(&["ssh"], &host),
        [".ssh", ".vimrc", "all", "dotfiles", "keys", "project"]
    );
}

#[test]
fn our_own_folders_and_a_home_that_is_unknown_are_not_shown() {
    let disk = Disk::of(&["srv/ak/data/record.json", "srv/other/file"]);
    let host = HostFacts {
        own: vec!["/home/ada/srv/ak".into()],
        ..host()
    };
    assert_eq!(disk.targets(&[], &host), ["srv/other"]);
    let nothing = |home: &str, host: HostFacts| {
        home_mounts(Path::new(home), &Credentials::default(), &host, &|_| Vec::new())
    };
    assert!(nothing(HOME, HostFacts::default()).is_err());
    assert!(
        nothing(
            "/",
            HostFacts {
                home: Some("/".into()),
                ..HostFacts::default()
            }
        )
        .is_err()
    );
}

fn any_file() -> impl Strategy<Value = PathBuf> {
    let store = proptest::sample::select(CREDENTIAL_STORES)
        .prop_flat_map(|store| proptest::sample::select(store.paths).prop_map(PathBuf::from));
    let part = proptest::sample::select(vec![
        ".config", ".local", "share", ".cargo", "bin", "project", "a", ".cache", "Library",
    ]);
    let other =
        proptest::collection::vec(part, 1..5).prop_map(|parts| PathBuf::from(parts.join("/")).join("file"));
    let in_store = store.clone().prop_map(|path| path.join("inner/file"));
    prop_oneof![store, in_store, other].prop_map(|path| Path::new(HOME).join(path))
}

proptest! {
    #[test]
    fn everything_but_credentials_is_visible_and_no_credential_ever_becomes_visible(
        mut files in proptest::collection::btree_set(any_file(), 0..40),
        wanted in proptest::collection::btree_set(proptest::sample::select(CREDENTIAL_STORES), 0..6),
    ) {
        // No file is also a folder.
        let all = files.clone();
        files.retain(|file| !all.iter().any(|other| other != file && other.starts_with(file)));
        let disk = Disk { files, ..Disk::default() };
        let asked: Vec<_> = wanted.iter().map(|store| store.name).collect();
        let mounts = disk.mounts(&asked, &host());

        let hidden: Vec<_> = CREDENTIAL_STORES.iter().filter(|store| !asked.contains(&store.name))
            .flat_map(|store| store.paths).map(|path| Path::new(HOME).join(path)).collect();
        for file in &disk.files {
            let is_visible = mounts.iter().any(|mount| file.starts_with(&mount.source));
            let may_be_seen = !hidden.iter().any(|store| file.starts_with(store));
            prop_assert_eq!(is_visible, may_be_seen, "{}", file.display());
        }
        for mount in &mounts {
            prop_assert_eq!(mount.source.to_str(), Some(mount.target.as_str()));
            // Also those that do not exist yet.
            prop_assert!(!hidden.iter().any(|store| store.starts_with(&mount.source)), "{:?}", mount);
        }
    }
}
