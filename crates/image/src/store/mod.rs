//! The store: images by the digest of their configuration, layers by the digest of their archive, names on top.
//!
//! Shared by all processes of one user. What is there is complete: it was made beside and renamed. A crash leaves
//! only what lies in `incoming`, which nobody takes for an image and `gc` removes.
//!
//! ```text
//! lock              held shared by writers, exclusively by removal
//! store.json        whose store it is
//! names/NAME.json   the image that a name stands for
//! images/ID.json    all that a run needs; a lease is a shared lock on it, its time of change the last use
//! manifests/DIGEST, configs/ID      as they came
//! layers/DIFF_ID/{tree/,recipe,layer.json}
//! incoming/         everything unfinished, locked while somebody works on it
//! ```

mod accounts;
mod file;
mod inventory;
mod layout;
mod lease;
mod leftovers;
mod lock;
mod owner;
mod record;
mod remove;
mod resolve;
mod work;
mod writer;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use agentkernel_types::Digest;
use serde::{Deserialize, Serialize};

use crate::{Image, Result, Source};

pub use lease::Lease;
pub(crate) use work::Work;
pub use writer::Writer;

use layout::Layout;

/// How long a removal waits for writers, and a lease for a removal.
const PATIENCE: Duration = Duration::from_secs(10);

/// Opening one touches nothing.
#[derive(Clone, Debug)]
pub struct Store {
    layout: Layout,
    patience: Duration,
}

/// What `image list` shows.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Listing {
    /// The last used one first.
    pub images: Vec<Listed>,
    /// Images whose record cannot be read. They can be removed by their id.
    pub damaged: Vec<Damaged>,
}

#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Listed {
    pub id: Digest,
    /// In full, in order.
    pub names: Vec<String>,
    pub source: Source,
    /// Bytes in the store of its layers, shared ones included.
    pub bytes: u64,
    /// Of these, bytes that no other image uses.
    pub own_bytes: u64,
    pub created_at_ms: u64,
    pub used_at_ms: u64,
    pub in_use: bool,
}

#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Damaged {
    pub id: Digest,
    pub names: Vec<String>,
    pub why: String,
}

/// What `image inspect` shows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Inspected {
    pub listed: Listed,
    pub image: Image,
    /// As they came, byte for byte.
    pub config_json: Vec<u8>,
    pub manifest_json: Option<Vec<u8>>,
}

#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Removed {
    pub images: Vec<Digest>,
    pub names: Vec<String>,
    /// Bytes that have become free.
    pub bytes: u64,
}

impl Store {
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            layout: Layout::new(folder),
            patience: PATIENCE,
        }
    }

    /// How long a removal waits for writers. 10 seconds if nothing is said.
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    pub fn folder(&self) -> &Path {
        self.layout.folder()
    }

    /// Makes the folder if it is missing. Waits for a removal that is at work.
    pub fn writer(&self) -> Result<Writer> {
        Writer::open(&self.layout)
    }
}
