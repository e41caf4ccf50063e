//! `agentkernel.lock`: which digests the names of a project's images stand for.
//!
//! It lies beside the project's file and belongs to the repository. It can only make a name stand for one certain
//! content, which is compared when it is fetched.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use agentkernel_control::Error;
use agentkernel_types::{Digest, ErrorKind};
use serde::{Deserialize, Serialize};

use crate::failure::Failure;

const NAME: &str = "agentkernel.lock";
const VERSION: u32 = 1;
/// Longer than any that was written by us.
const MAX_BYTES: u64 = 1 << 20;
const HEAD: &str =
    "# Made by `agentkernel image lock`. Commit it: runs in this project use these digests.\n\n";

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LockFile {
    version: u32,
    #[serde(default, rename = "image")]
    images: Vec<Entry>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// In full.
    name: String,
    digest: Digest,
}

impl LockFile {
    /// Beside the project's file, or in the project's folder.
    pub fn place(project_file: Option<&Path>, project_dir: &Path) -> PathBuf {
        project_file
            .and_then(Path::parent)
            .unwrap_or(project_dir)
            .join(NAME)
    }

    /// None there is an empty one.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let failed = |error: io::Error| Failure::io("lock", format!("cannot read {}", path.display()), error);
        let found = match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            found => found.map_err(failed)?,
        };
        // A fifo or a device in a cloned repository must not hang us.
        if !found.is_file() || found.len() > MAX_BYTES {
            return Err(wrong(path, "it is not a file of ours"));
        }
        let text = fs::read_to_string(path).map_err(failed)?;
        let file: Self = toml::from_str(&text).map_err(|error| wrong(path, error.message()))?;
        if file.version != VERSION {
            return Err(wrong(path, "another version of agentkernel made it"));
        }
        Ok(file)
    }

    pub fn write(&mut self, path: &Path) -> Result<(), Failure> {
        self.version = VERSION;
        self.images.sort_by(|one, other| one.name.cmp(&other.name));
        let text = toml::to_string(self).expect("strings and numbers are TOML");
        let failed =
            |error: io::Error| Failure::io("lock", format!("cannot write {}", path.display()), error);
        let fresh = path.with_extension("lock.new");
        fs::write(&fresh, format!("{HEAD}{text}")).map_err(failed)?;
        fs::rename(&fresh, path).map_err(failed)
    }

    pub fn set(&mut self, name: &str, digest: Digest) {
        match self.images.iter_mut().find(|entry| entry.name == name) {
            Some(entry) => entry.digest = digest,
            None => self.images.push(Entry {
                name: name.to_owned(),
                digest,
            }),
        }
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.images.iter().map(|entry| entry.name.as_str())
    }

    pub fn pinned(self) -> BTreeMap<String, Digest> {
        self.images
            .into_iter()
            .map(|entry| (entry.name, entry.digest))
            .collect()
    }
}

fn wrong(path: &Path, why: &str) -> Failure {
    let message = format!("cannot use {}: {why}", path.display());
    Failure::Error(
        Error::new(ErrorKind::InvalidSpec, "lock", message)
            .hint("remove it and make it again: agentkernel image lock"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_in_order() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = LockFile::place(None, folder.path());
        assert!(LockFile::read(&path).unwrap().pinned().is_empty());
        let (one, two) = (Digest::from_sha256([1; 32]), Digest::from_sha256([2; 32]));
        let mut file = LockFile::default();
        file.set("docker.io/library/b:1", one.clone());
        file.set("docker.io/library/a:1", one.clone());
        file.set("docker.io/library/b:1", two.clone());
        file.write(&path).unwrap();
        let names: Vec<String> = LockFile::read(&path)
            .unwrap()
            .names()
            .map(str::to_owned)
            .collect();
        assert_eq!(names, ["docker.io/library/a:1", "docker.io/library/b:1"]);
        let pinned = LockFile::read(&path).unwrap().pinned();
        assert_eq!(pinned["docker.io/library/b:1"], two);
        assert_eq!(pinned["docker.io/library/a:1"], one);
    }

    #[test]
    fn what_is_not_ours_is_refused_by_name() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = LockFile::place(None, folder.path());
        for text in [
            "x",
            "version = 2\n",
            "version = 1\n[[image]]\nname = \"a\"\ndigest = \"md5:1\"\n",
            "version = 1\nother = 1\n",
        ] {
            fs::write(&path, text).unwrap();
            let Err(Failure::Error(error)) = LockFile::read(&path) else {
                panic!("{text}")
            };
            assert!(error.message().contains("agentkernel.lock"), "{error}");
        }
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
        assert!(LockFile::read(&path).is_err());
    }
}
