//! The store: images by the digest of their configuration, layers by the digest of their archive, names on top.
//!
//! Shared by all processes of one user. What is there is complete: it was made beside and renamed. A crash leaves
//! only what lies in `incoming`, which nobody takes for an image and `gc` removes.

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use agentkernel_types::{Digest, ErrorKind};
use serde::{Deserialize, Serialize};

use crate::{Error, Image, Layer, Reference, Result, Source, unpack::Limits};

/// Opening one touches nothing.
#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
}

/// An image in use: it cannot be removed as long as this lives.
#[derive(Debug)]
pub struct Lease {
    pub image: Image,
}

/// One line of `image list`.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Listed {
    pub id: Digest,
    pub names: Vec<String>,
    pub source: Source,
    /// Bytes on disk of its layers, shared ones included.
    pub bytes: u64,
    /// Of these, bytes that no other image uses.
    pub own_bytes: u64,
    pub created_at_ms: u64,
    pub used_at_ms: u64,
    pub in_use: bool,
}

#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Removed {
    pub images: Vec<Digest>,
    pub names: Vec<String>,
    pub bytes: u64,
}

/// The right to add: as long as it lives, nobody removes what it has added or found.
#[derive(Debug)]
pub struct Writer {
    folder: PathBuf,
}

impl Store {
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The image that a name, a digest (of the image or of its manifest) or a unique prefix of its id stands for.
    pub fn resolve(&self, _text: &str) -> Result<Option<Digest>> {
        Err(Error::new(ErrorKind::Unsupported, "image", "not yet"))
    }

    pub fn get(&self, _id: &Digest) -> Result<Option<Image>> {
        Err(Error::new(ErrorKind::Unsupported, "image", "not yet"))
    }

    /// Takes an image into use, and notes the time. One small file is read: this is on the path of every run.
    pub fn lease(&self, _id: &Digest) -> Result<Lease> {
        Err(Error::new(ErrorKind::Unsupported, "image", "not yet"))
    }

    pub fn list(&self) -> Result<Vec<Listed>> {
        Err(Error::new(ErrorKind::Unsupported, "image", "not yet"))
    }

    /// Makes the folder if it is missing. Waits for a removal that is at work.
    pub fn writer(&self) -> Result<Writer> {
        Err(Error::new(ErrorKind::Unsupported, "image", "not yet"))
    }

    /// Removes a name, and with its last name the image and the layers that no other one uses. An image that is
    /// leased or in `kept` is refused.
    pub fn remove(&self, _text: &str, _kept: &[Digest], _force: bool) -> Result<Removed> {
        Err(Error::new(ErrorKind::Unsupported, "image", "not yet"))
    }

    /// Removes images that are in no use: those without a name, all with `all`, or the least recently used ones until
    /// at most `keep_bytes` are taken.
    pub fn prune(
        &self,
        _kept: &[Digest],
        _all: bool,
        _keep_bytes: Option<u64>,
        _dry_run: bool,
    ) -> Result<Removed> {
        Err(Error::new(ErrorKind::Unsupported, "image", "not yet"))
    }

    /// What a crash has left in `incoming` and nobody works on.
    pub fn leftovers(&self) -> Result<Vec<PathBuf>> {
        Err(Error::new(ErrorKind::Unsupported, "image", "not yet"))
    }
}

impl Writer {
    /// A layer that is there already.
    pub fn layer(&self, _diff_id: &Digest) -> Result<Option<Layer>> {
        Err(Error::new(ErrorKind::Unsupported, "image", "not yet"))
    }

    /// Unpacks a layer, unless it is there; waits where another process does it. `expected`: refused if the archive's
    /// digest is another one. None: whatever it is (a plain root file system).
    pub fn add_layer(
        &self,
        _expected: Option<&Digest>,
        _archive: &mut (dyn Read + Send),
        _limits: &Limits,
    ) -> Result<Layer> {
        Err(Error::new(ErrorKind::Unsupported, "image", "not yet"))
    }

    /// Adds an image whose layers are all there. `config` is the raw JSON, `manifest` too. Every name in `names`
    /// stands for this image from now on.
    pub fn add_image(
        &self,
        _config: &[u8],
        _manifest: Option<&[u8]>,
        _names: &[Reference],
        _source: Source,
    ) -> Result<Image> {
        Err(Error::new(ErrorKind::Unsupported, "image", "not yet"))
    }

    /// Where a download lies until it is unpacked: `incoming/<hex of the compressed digest>.download`. One process
    /// at a time holds it; a second one waits for the first. What is there after a break is the beginning.
    pub fn incoming(&self) -> PathBuf {
        self.folder.join("incoming")
    }
}
