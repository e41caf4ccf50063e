//! An installation, and a registry that it may speak plain HTTP with.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use agentkernel_tests::{
    cli::{Home, Outcome},
    images::{Image, digest},
    registry::Registry,
};

pub struct Setting {
    pub home: Home,
    pub registry: Registry,
}

impl Setting {
    /// None, and it says why, where there is no registry.
    pub fn new() -> Option<Self> {
        Self::of(Home::new())
    }

    /// The same for an unprivileged user; for this one where it is unprivileged already.
    pub fn rootless() -> Option<Self> {
        Self::of(Home::rootless().unwrap_or_default())
    }

    fn of(home: Home) -> Option<Self> {
        let registry = Registry::open()?;
        let home = home.that_pulls();
        home.write_user_settings(&plain(&registry.host()));
        Some(Self { home, registry })
    }

    /// Makes this host a mirror of Docker Hub.
    pub fn mirror_docker_hub(&self) {
        let host = self.registry.host();
        let settings = format!(
            "[registries.\"docker.io\"]\nmirrors = [\"{host}\"]\n\n{}",
            plain(&host)
        );
        self.home.write_user_settings(&settings);
    }

    /// Stores an image and pulls it. The result is its full name.
    #[track_caller]
    pub fn pulled(&self, name: &str, image: &Image) -> String {
        self.registry.push(name, image);
        let name = self.registry.name(name);
        self.pull(&name).success();
        name
    }

    #[track_caller]
    pub fn pull(&self, name: &str) -> Outcome {
        self.home.call(["image", "pull", name])
    }

    #[track_caller]
    pub fn run(&self, name: &str, command: &[&str]) -> Outcome {
        self.home.call([&["run", "--image", name], command].concat())
    }
}

/// Settings by which a registry is spoken to by plain HTTP.
pub fn plain(host: &str) -> String {
    format!("[registries.\"{host}\"]\ninsecure = true\n")
}

/// Where the store of images lies.
pub fn store(home: &Home) -> PathBuf {
    home.state().join("data/images")
}

/// What lies in the folder for everything unfinished, but for empty lock files.
pub fn unfinished(home: &Home) -> Vec<String> {
    let entries = fs::read_dir(store(home).join("incoming"));
    entries
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.metadata().is_ok_and(|data| data.is_dir() || data.len() > 0))
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

/// Everything below a folder: kind, mode, owner, size, target or checksum, by name. Times are left out.
pub fn tree(root: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut open = vec![root.to_path_buf()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).expect("own folder").flatten() {
            let path = entry.path();
            let data = fs::symlink_metadata(&path).expect("it was just listed");
            let content = if data.is_dir() {
                open.push(path.clone());
                String::new()
            } else if data.is_symlink() {
                fs::read_link(&path).expect("own link").display().to_string()
            } else if data.is_file() {
                digest(&fs::read(&path).expect("own file"))
            } else {
                format!("device {}", data.rdev())
            };
            let name = path
                .strip_prefix(root)
                .expect("it is below")
                .display()
                .to_string();
            let owner = format!("{}:{}", data.uid(), data.gid());
            let mode = data.permissions().mode();
            found.insert(name, format!("{mode:o} {owner} {content}"));
        }
    }
    found
}

/// All layers of a store, and the names of all images and their configurations.
pub fn content(home: &Home) -> BTreeMap<String, String> {
    let store = store(home);
    let mut found = BTreeMap::new();
    for folder in ["layers", "configs", "manifests"] {
        for (name, facts) in tree(&store.join(folder)) {
            found.insert(format!("{folder}/{name}"), facts);
        }
    }
    for entry in fs::read_dir(store.join("images"))
        .expect("a store has images")
        .flatten()
    {
        found.insert(
            format!("images/{}", entry.file_name().to_string_lossy()),
            String::new(),
        );
    }
    found
}
