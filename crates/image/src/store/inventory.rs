//! Everything that is in the store, as it is at this moment.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use agentkernel_types::Digest;
use sha2::{Digest as _, Sha256};

use super::{
    Damaged, Inspected, Listed, Listing, Store,
    file::open,
    lease::to_ms,
    lock::{Kind, Lock},
    owner,
    record::{self, ImageRecord, NameRecord},
};
use crate::{Error, Result, failure::io_error};

/// One image's record, readable or not.
pub struct Found {
    pub id: Digest,
    pub record: Result<ImageRecord>,
    pub used_at_ms: u64,
    pub in_use: bool,
}

pub struct Inventory {
    pub images: Vec<Found>,
    /// With their files. A name whose record is damaged stands for nothing.
    pub names: Vec<(PathBuf, Option<NameRecord>)>,
}

impl Store {
    /// All images with their sizes and last use.
    pub fn list(&self) -> Result<Listing> {
        let inventory = self.inventory()?;
        let mut listing = Listing::default();
        for found in &inventory.images {
            match &found.record {
                Ok(record) => listing.images.push(inventory.listed(found, record)),
                Err(error) => listing.damaged.push(Damaged {
                    id: found.id.clone(),
                    names: inventory.names_of(&found.id),
                    why: error.to_string(),
                }),
            }
        }
        listing
            .images
            .sort_by_key(|listed| std::cmp::Reverse(listed.used_at_ms));
        Ok(listing)
    }

    pub fn inspect(&self, id: &Digest) -> Result<Option<Inspected>> {
        let Some(image) = self.get(id)? else {
            return Ok(None);
        };
        let listing = self.list()?;
        let Some(listed) = listing.images.into_iter().find(|listed| listed.id == *id) else {
            return Ok(None);
        };
        let manifest = image.manifest.as_ref();
        Ok(Some(Inspected {
            config_json: self.config_json(id)?,
            manifest_json: manifest
                .map(|digest| read(&self.layout.manifest(digest)))
                .transpose()?,
            listed,
            image,
        }))
    }

    /// The configuration as it came, compared with its digest.
    pub fn config_json(&self, id: &Digest) -> Result<Vec<u8>> {
        let path = self.layout.config(id);
        let bytes = read(&path)?;
        if Digest::from_sha256(Sha256::digest(&bytes).into()) != *id {
            return Err(record::damaged(&path, "it is not what its name says".to_owned()));
        }
        Ok(bytes)
    }

    /// The ids of all images, in order.
    pub(super) fn ids(&self) -> Result<Vec<Digest>> {
        let files = files(&self.layout.images())?;
        let mut ids: Vec<Digest> = files
            .iter()
            .filter_map(|path| digest_of(path.file_name()?.to_str()?.strip_suffix(".json")?))
            .collect();
        ids.sort();
        Ok(ids)
    }

    pub(super) fn inventory(&self) -> Result<Inventory> {
        if let Ok(found) = fs::metadata(self.folder()) {
            use std::os::unix::fs::MetadataExt as _;
            owner::check(&self.layout, found.uid())?;
        }
        let mut images = Vec::new();
        for id in self.ids()? {
            images.extend(self.find(id)?);
        }
        let names = files(&self.layout.names())?
            .into_iter()
            .map(|path| {
                let named = record::read_at(&path).unwrap_or(None);
                (path, named)
            })
            .collect();
        Ok(Inventory { images, names })
    }

    /// None: it has gone meanwhile.
    fn find(&self, id: Digest) -> Result<Option<Found>> {
        let path = self.layout.image(&id);
        let file = match open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            // A link, or something else that is no file: reported as damaged, and removable.
            Err(error) => {
                return Ok(Some(Found {
                    id,
                    record: Err(io_error("open", &path)(error)),
                    used_at_ms: 0,
                    in_use: false,
                }));
            }
            Ok(file) => file,
        };
        let changed = file.metadata().and_then(|found| found.modified());
        let record = record::read_image(&file, &path, &id);
        let lock = Lock::attempt(file, Kind::Exclusive).map_err(io_error("lock", &path))?;
        Ok(Some(Found {
            id,
            record,
            used_at_ms: changed.map_or(0, to_ms),
            in_use: lock.is_none(),
        }))
    }
}

impl Inventory {
    /// The names of an image, in order.
    pub fn names_of(&self, id: &Digest) -> Vec<String> {
        let named = self.names.iter().filter_map(|(_, named)| named.as_ref());
        let mut names: Vec<String> = named
            .filter(|named| named.id == *id)
            .map(|named| named.name.clone())
            .collect();
        names.sort();
        names
    }

    pub fn records(&self) -> impl Iterator<Item = &ImageRecord> {
        self.images.iter().filter_map(|found| found.record.as_ref().ok())
    }

    fn listed(&self, found: &Found, record: &ImageRecord) -> Listed {
        let mut users: BTreeMap<Digest, u32> = BTreeMap::new();
        for diff_id in self.records().flat_map(ImageRecord::diff_ids) {
            *users.entry(diff_id).or_default() += 1;
        }
        let (mut bytes, mut own_bytes) = (0, 0);
        for (diff_id, size) in sizes([record]) {
            bytes += size;
            own_bytes += if users.get(&diff_id) == Some(&1) { size } else { 0 };
        }
        Listed {
            id: found.id.clone(),
            names: self.names_of(&found.id),
            source: record.source.clone(),
            bytes,
            own_bytes,
            created_at_ms: record.created_at_ms,
            used_at_ms: found.used_at_ms,
            in_use: found.in_use,
        }
    }
}

/// Each layer once, with its bytes in the store.
pub fn sizes<'a>(records: impl IntoIterator<Item = &'a ImageRecord>) -> BTreeMap<Digest, u64> {
    let layers = records.into_iter().flat_map(|record| &record.layers);
    layers
        .map(|layer| (layer.diff_id.clone(), layer.stored_bytes))
        .collect()
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(io_error("read", path))
}

/// What lies in a folder; nothing if there is no folder.
pub fn files(folder: &Path) -> Result<BTreeSet<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        entries => entries.map_err(io_error("list", folder))?,
    };
    entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<_>>()
        .map_err(|error: io::Error| -> Error { io_error("list", folder)(error) })
}

pub fn digest_of(hex: &str) -> Option<Digest> {
    format!("sha256:{hex}").parse().ok()
}
