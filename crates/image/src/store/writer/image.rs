//! Images: the record comes last, when everything else is on the disk.

use std::{collections::BTreeSet, fs, io, path::Path};

use agentkernel_types::{Digest, ErrorKind};
use sha2::{Digest as _, Sha256};

use super::{Writer, mismatch};
use crate::{
    Error, Image, ImageConfig, Layer, Owners, ParsedConfig, Reference, Result, Source,
    failure::io_error,
    manifest,
    store::{
        accounts,
        file::{self, Existing, open},
        lease::{now_ms, touch},
        lock::{Kind, Lock},
        record::{self, ImageRecord, LayerRecord, NameRecord, SCHEMA_VERSION},
    },
    unpack::Ownership,
};

/// The ids of accounts that own no file are only taken up to here: each needs a line in the map of ids.
const MAX_OWNERS: usize = 256;

impl Writer {
    /// Adds an image whose layers are all there. `config` is the raw JSON, `manifest` too. Every name in `names`
    /// stands for this image from now on. An image that is there already stays as it is and gets the names.
    pub fn add_image(
        &self,
        config: &[u8],
        manifest: Option<&[u8]>,
        names: &[Reference],
        source: Source,
    ) -> Result<Image> {
        let parsed = ImageConfig::parse(config)?;
        parsed.config.check_platform()?;
        let id = parsed.id.clone();
        if let Some(bytes) = manifest {
            match manifest::config_of(bytes) {
                Some(config) if config == id => {}
                Some(config) => return Err(mismatch("configuration", Some(&config), &id)),
                None => manifest::parse(bytes).map(drop)?,
            }
        }
        let digest = manifest.map(digest_of);
        if self.kept(&id)?.is_none() {
            let record = self.image_record(parsed, digest.clone(), source)?;
            self.write(&self.layout.config(&id), config, Existing::Replaced)?;
            let layers = self.layout.layers();
            let folder = fs::File::open(&layers).map_err(io_error("open", &layers))?;
            // Thousands of files: one call for all of them.
            rustix::fs::syncfs(&folder).map_err(|errno| io_error("sync", &layers)(errno.into()))?;
            self.write(&self.layout.image(&id), &record::to_json(&record), Existing::Kept)?;
        }
        if let (Some(bytes), Some(digest)) = (manifest, digest) {
            self.write(&self.layout.manifest(&digest), bytes, Existing::Kept)?;
        }
        for name in names {
            self.name(&id, name)?;
        }
        self.kept(&id)?.ok_or_else(|| {
            Error::new(
                ErrorKind::Broken,
                "image",
                format!("the image {} has gone while it was added", id.short()),
            )
        })
    }

    /// Lets a name stand for an image that is there.
    pub fn name(&self, id: &Digest, name: &Reference) -> Result<()> {
        let path = self.layout.name(&name.file_name());
        let named = NameRecord {
            schema_version: SCHEMA_VERSION,
            name: name.to_string(),
            id: id.clone(),
        };
        self.write(&path, &record::to_json(&named), Existing::Replaced)
    }

    /// The image if it is there already; it counts as used now. A damaged record goes, so that it can be written again.
    fn kept(&self, id: &Digest) -> Result<Option<Image>> {
        let path = self.layout.image(id);
        let file = match open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(io_error("open", &path))?,
        };
        match record::read_image(&file, &path, id) {
            Ok(record) => {
                let lock = Lock::wait(file, Kind::Shared).map_err(io_error("lock", &path))?;
                touch(&lock).map_err(io_error("note the use of", &path))?;
                Ok(Some(record.into_image(&self.layout)))
            }
            Err(error) if error.kind() == ErrorKind::Broken => {
                let free = Lock::attempt(file, Kind::Exclusive).map_err(io_error("lock", &path))?;
                if free.is_none() {
                    return Err(error);
                }
                fs::remove_file(&path).map_err(io_error("remove", &path))?;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn image_record(
        &self,
        parsed: ParsedConfig,
        manifest: Option<Digest>,
        source: Source,
    ) -> Result<ImageRecord> {
        let mut owners = Owners::default();
        let mut layers = Vec::with_capacity(parsed.diff_ids.len());
        for diff_id in &parsed.diff_ids {
            let found = self.layer_record(diff_id)?.ok_or_else(|| {
                Error::new(
                    ErrorKind::Conflict,
                    "image",
                    format!("the layer {} of the image is not in the store", diff_id.short()),
                )
            })?;
            owners.uids.extend(&found.owners.uids);
            owners.gids.extend(&found.owners.gids);
            layers.push(LayerRecord {
                owners: Owners::default(),
                boot: String::new(),
                ..found
            });
        }
        let trees: Vec<Layer> = layers
            .iter()
            .map(|layer| layer.clone().into_layer(&self.layout))
            .collect();
        let accounts = accounts::read(&trees);
        for (uid, gid) in accounts.users.iter().map(|account| (account.uid, account.gid)) {
            add(&mut owners.uids, uid);
            add(&mut owners.gids, gid);
        }
        for (_, gid) in &accounts.groups {
            add(&mut owners.gids, *gid);
        }
        Ok(ImageRecord {
            schema_version: SCHEMA_VERSION,
            id: parsed.id,
            manifest,
            source,
            keeps_owners: self.ownership == Ownership::Kept,
            config: parsed.config,
            layers,
            owners,
            accounts,
            created_at_ms: now_ms(),
        })
    }

    fn write(&self, path: &Path, bytes: &[u8], existing: Existing) -> Result<()> {
        file::write(&self.incoming(), path, bytes, existing).map_err(io_error("write", path))?;
        Ok(())
    }
}

fn add(ids: &mut BTreeSet<u32>, id: u32) {
    if ids.len() < MAX_OWNERS {
        ids.insert(id);
    }
}

fn digest_of(bytes: &[u8]) -> Digest {
    Digest::from_sha256(Sha256::digest(bytes).into())
}
