//! A store in a temporary folder, records to put in it, and this test binary as a child process.

#![allow(clippy::unwrap_used, reason = "a test fails with a panic")]
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use agentkernel_store::{Paths, Record, Store};
use agentkernel_types::{
    ImageRef, Lifetime, NetworkMode, Profile, Resources, RootAccess, SandboxId, SandboxName, SandboxSpec,
};

pub fn name(text: &str) -> SandboxName {
    text.parse().unwrap()
}

pub fn record() -> Record {
    let spec = SandboxSpec {
        id: SandboxId::from_random(7),
        name: None,
        lifetime: Lifetime::Kept,
        image: ImageRef::Host,
        image_id: None,
        profile: Profile::Moderate,
        root: RootAccess::Writable,
        network: NetworkMode::None.into(),
        ports: Vec::new(),
        name_servers: Vec::new(),
        mounts: Vec::new(),
        env: Vec::new(),
        workdir: None,
        user: None,
        resources: Resources::default(),
    };
    Record::new(spec, "fake", 1_700_000_000)
}

pub fn store_in(base: &Path) -> Store {
    let below = |name| base.join(name);
    let paths = Paths {
        data: below("data"),
        cache: below("cache"),
        runtime: below("run"),
        config: below("config"),
    };
    Store::open(&paths).unwrap()
}

pub fn sandboxes(base: &Path) -> PathBuf {
    base.join("data/sandboxes")
}

/// In memory where the host has that, so that waiting for a disk does not dominate.
pub fn fast_folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}

/// The names and contents of everything below a folder.
pub fn snapshot(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path.clone());
                all.push((path, Vec::new()));
            } else {
                let content = fs::read(&path).unwrap();
                all.push((path, content));
            }
        }
    }
    all.sort();
    all
}

/// Runs the ignored test `test` of this binary in a process of its own.
pub fn child(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", test, "--ignored", "--nocapture", "--test-threads=1"])
        .stdout(Stdio::null());
    command
}
