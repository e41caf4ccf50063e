//! What lies in the store about images, layers and names, as JSON.
//!
//! An image's record is written once and never changed: a lease is a lock on the very file. It says all that a run
//! needs, so that one read is enough.

use std::{collections::BTreeSet, fs::File, path::Path};

use agentkernel_types::{Digest, ErrorKind};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{file, layout::Layout};
use crate::{Accounts, Error, Image, ImageConfig, Layer, Owners, Result, Source, unpack::Ownership};

/// Written into every file. A reader refuses newer ones.
pub const SCHEMA_VERSION: u32 = 1;
/// A record has the configuration (8 MiB at most) and the accounts in it.
const MAX_BYTES: u64 = 32 << 20;

#[derive(Debug, Serialize, Deserialize)]
pub struct ImageRecord {
    pub schema_version: u32,
    pub id: Digest,
    pub manifest: Option<Digest>,
    pub source: Source,
    pub keeps_owners: bool,
    pub config: ImageConfig,
    pub layers: Vec<LayerRecord>,
    pub owners: Owners,
    pub accounts: Accounts,
    pub created_at_ms: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LayerRecord {
    #[serde(default = "newest")]
    pub schema_version: u32,
    pub diff_id: Digest,
    pub archive_bytes: u64,
    pub content_bytes: u64,
    pub stored_bytes: u64,
    pub entries: u64,
    /// Of the layer alone. In an image's record they are empty: those of all its layers are counted once.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub owners: Owners,
    /// When it was unpacked; until an image has it, another start of the machine may have lost some of it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub boot: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct NameRecord {
    pub schema_version: u32,
    pub name: String,
    pub id: Digest,
}

/// `store.json`: whose store it is, and whose the files of its layers are.
#[derive(Debug, Serialize, Deserialize)]
pub struct Marker {
    pub schema_version: u32,
    pub owner: u32,
    pub keeps_owners: bool,
}

fn newest() -> u32 {
    SCHEMA_VERSION
}

fn is_empty(owners: &Owners) -> bool {
    owners.uids.is_empty() && owners.gids.is_empty()
}

impl LayerRecord {
    pub fn into_layer(self, layout: &Layout) -> Layer {
        Layer {
            tree: layout.tree(&self.diff_id),
            diff_id: self.diff_id,
            archive_bytes: self.archive_bytes,
            content_bytes: self.content_bytes,
            stored_bytes: self.stored_bytes,
            entries: self.entries,
        }
    }
}

impl ImageRecord {
    pub fn into_image(self, layout: &Layout) -> Image {
        let layers = self.layers.into_iter();
        Image {
            id: self.id,
            manifest: self.manifest,
            source: self.source,
            config: self.config,
            layers: layers.map(|layer| layer.into_layer(layout)).collect(),
            owners: self.owners,
            ownership: ownership(self.keeps_owners),
            accounts: self.accounts,
            created_at_ms: self.created_at_ms,
        }
    }

    pub fn diff_ids(&self) -> BTreeSet<Digest> {
        self.layers.iter().map(|layer| layer.diff_id.clone()).collect()
    }
}

pub fn ownership(keeps_owners: bool) -> Ownership {
    if keeps_owners {
        Ownership::Kept
    } else {
        Ownership::Caller
    }
}

/// The image's record out of its open file. Its id must be the one of its file name.
pub fn read_image(file: &File, path: &Path, id: &Digest) -> Result<ImageRecord> {
    let record: ImageRecord = read(file, path)?;
    if record.id != *id {
        return Err(damaged(
            path,
            format!("it is the record of {}", record.id.short()),
        ));
    }
    Ok(record)
}

/// None: there is no such file.
pub fn read_at<T: DeserializeOwned + Versioned>(path: &Path) -> Result<Option<T>> {
    match file::open(path) {
        Ok(file) => read(&file, path).map(Some),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(crate::failure::io_error("open", path)(error)),
    }
}

fn read<T: DeserializeOwned + Versioned>(file: &File, path: &Path) -> Result<T> {
    let bytes = file::read_bounded(file, MAX_BYTES).map_err(|error| damaged(path, error.to_string()))?;
    match serde_json::from_slice::<T>(&bytes) {
        Ok(record) if record.version() <= SCHEMA_VERSION => Ok(record),
        Ok(record) => Err(newer(path, record.version())),
        Err(error) => match serde_json::from_slice::<VersionOnly>(&bytes) {
            Ok(found) if found.schema_version > SCHEMA_VERSION => Err(newer(path, found.schema_version)),
            _ => Err(damaged(path, error.to_string())),
        },
    }
}

pub trait Versioned {
    fn version(&self) -> u32;
}

macro_rules! versioned {
    ($($record:ty),*) => {$(
        impl Versioned for $record {
            fn version(&self) -> u32 {
                self.schema_version
            }
        }
    )*};
}

versioned!(ImageRecord, LayerRecord, NameRecord, Marker, VersionOnly);

/// What can be read of a record of any version.
#[derive(Deserialize)]
pub struct VersionOnly {
    schema_version: u32,
}

fn newer(path: &Path, version: u32) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "image",
        format!(
            "{} was written by a newer agentkernel: it has schema version {version}, this one knows {SCHEMA_VERSION}",
            path.display()
        ),
    )
    .hint("use the newer agentkernel, or set AGENTKERNEL_HOME to another folder")
}

pub fn damaged(path: &Path, why: String) -> Error {
    Error::new(
        ErrorKind::Broken,
        "image",
        format!("the record {} is damaged: {why}", path.display()),
    )
    .hint("remove the image by its id and get it again: agentkernel image remove ID")
}

pub fn to_json<T: Serialize>(record: &T) -> Vec<u8> {
    serde_json::to_vec(record).expect("records have nothing that JSON cannot say")
}
