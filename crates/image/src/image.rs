//! An image that is in the store, ready to be the root of a sandbox.

use std::{collections::BTreeSet, path::PathBuf};

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
