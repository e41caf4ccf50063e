//! An image that is in the store, ready to be the root of a sandbox.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use agentkernel_types::{Digest, GuestPath};
use serde::{Deserialize, Serialize};

use crate::{ImageConfig, unpack::Ownership};

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Image {
    /// The digest of the configuration.
    pub id: Digest,
    /// The digest of the manifest that it was pulled by.
    pub manifest: Option<Digest>,
    pub source: Source,
    pub config: ImageConfig,
    /// Bottom first. At most 127 (a limit of the store).
    pub layers: Vec<Layer>,
    /// All owners that occur in any layer, and those of its accounts.
    pub owners: Owners,
    /// Whom the files of the layers belong to on disk.
    pub ownership: Ownership,
    pub accounts: Accounts,
    /// Milliseconds since 1970.
    pub created_at_ms: u64,
}

impl Image {
    /// The layers' trees in the order of overlayfs, the uppermost first, each only once: overlayfs refuses a folder
    /// that it has already. Of a layer that an image has twice the lower one adds nothing, since the upper one says
    /// all of it again.
    pub fn trees(&self) -> Vec<&Path> {
        let mut trees: Vec<&Path> = Vec::with_capacity(self.layers.len());
        for layer in self.layers.iter().rev() {
            if !trees.contains(&layer.tree.as_path()) {
                trees.push(&layer.tree);
            }
        }
        trees
    }
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Layer {
    /// The digest of the uncompressed archive.
    pub diff_id: Digest,
    /// The lower folder for overlayfs: whiteouts are 0/0 character devices, opaque folders have
    /// `user.overlay.opaque=y`, so it is to be mounted with `userxattr`.
    pub tree: PathBuf,
    /// Bytes of the uncompressed archive.
    pub archive_bytes: u64,
    /// Bytes of all regular files.
    pub content_bytes: u64,
    /// Bytes that it takes in the store: the content and the recipe.
    pub stored_bytes: u64,
    pub entries: u64,
}

/// Which ids own files. In a store that was filled without privilege everything belongs to the caller on disk, and
/// these are the ids that the archives named.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Owners {
    pub uids: BTreeSet<u32>,
    pub gids: BTreeSet<u32>,
}

/// Where an image came from.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Source {
    Registry {
        host: String,
    },
    /// A file, or `-` for stdin.
    Archive {
        path: String,
    },
    /// `docker`, `podman`.
    Engine {
        name: String,
    },
    Build {
        context: String,
    },
}

/// What /etc/passwd and /etc/group of the image say, read once when it was added.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Accounts {
    pub users: Vec<Account>,
    pub groups: Vec<(String, u32)>,
}

#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Account {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
    pub home: Option<GuestPath>,
}
