//! Adding layers and images.

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use agentkernel_store::make_private_folder;
use agentkernel_types::{Digest, ErrorKind};
use rustix::{
    fs::{CWD, RenameFlags, renameat_with},
    io::Errno,
};
use sha2::{Digest as _, Sha256};

use super::{
    Store, accounts,
    file::{self, Existing, open, open_or_make},
    inventory::sizes,
    layout::{LAYER_RECORD, Layout},
    lease::{now_ms, touch},
    lock::{Kind, Lock},
    owner,
    record::{self, ImageRecord, LayerRecord, NameRecord, SCHEMA_VERSION},
    work::Work,
};
use crate::{
    Error, Image, ImageConfig, Layer, Owners, ParsedConfig, Reference, Result, Source,
    failure::{from_store, io_error},
    manifest,
    unpack::{self, Limits, Ownership, Rules},
};

/// The ids of accounts that own no file are only taken up to here: each needs a line in the map of ids.
const MAX_OWNERS: usize = 256;

/// The right to add: as long as it lives, nobody removes what it has added or found.
#[derive(Debug)]
pub struct Writer {
    layout: Layout,
    ownership: Ownership,
    boot: String,
    _lock: Lock,
}

impl Writer {
    pub(super) fn open(layout: &Layout) -> Result<Self> {
        make_private_folder(layout.folder()).map_err(from_store)?;
        for folder in [
            layout.names(),
            layout.images(),
            layout.manifests(),
            layout.configs(),
            layout.layers(),
            layout.incoming(),
        ] {
            match fs::DirBuilder::new().mode(0o700).create(&folder) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => made.map_err(io_error("make the folder", &folder))?,
            }
        }
        let path = layout.lock();
        let file = open_or_make(&path).map_err(io_error("open", &path))?;
        let lock = Lock::wait(file, Kind::Shared).map_err(io_error("lock", &path))?;
        Ok(Self {
            layout: layout.clone(),
            ownership: owner::establish(layout)?,
            boot: fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default(),
            _lock: lock,
        })
    }

    /// Whom files belong to in this store.
    pub fn ownership(&self) -> Ownership {
        self.ownership
    }

    /// The store that it adds to.
    pub fn store(&self) -> Store {
        Store::new(self.layout.folder())
    }

    /// A layer that is there already.
    pub fn layer(&self, diff_id: &Digest) -> Result<Option<Layer>> {
        let found = self.layer_record(diff_id)?;
        Ok(found.map(|record| record.into_layer(&self.layout)))
    }

    fn layer_record(&self, diff_id: &Digest) -> Result<Option<LayerRecord>> {
        let path = self.layout.layer_record(diff_id);
        // One that cannot be read is made again.
        let record = record::read_at::<LayerRecord>(&path).unwrap_or(None);
        match record {
            Some(record) if record.diff_id == *diff_id && self.is_durable(&record)? => Ok(Some(record)),
            _ => Ok(None),
        }
    }

    /// A loss of power may have left a layer with empty files, unless all of it was written out: that is so when an
    /// image has it, since an image's record comes after that.
    fn is_durable(&self, layer: &LayerRecord) -> Result<bool> {
        if layer.boot == self.boot {
            return Ok(true);
        }
        let inventory = self.store().inventory()?;
        Ok(sizes(inventory.records()).contains_key(&layer.diff_id))
    }

    /// Unpacks a layer, unless it is there (then nothing is read); waits where another process does it. `expected`:
    /// refused if the archive's digest is another one. None: whatever it is (a plain root file system).
    pub fn add_layer(
        &self,
        expected: Option<&Digest>,
        archive: &mut (dyn io::Read + Send),
        limits: &Limits,
    ) -> Result<Layer> {
        let Some(expected) = expected else {
            let work = Work::fresh(&self.incoming())?;
            let record = self.unpack(&work, None, archive, limits)?;
            let _alone = Work::wait(&self.incoming(), record.diff_id.hex())?;
            return self.publish(&work, record);
        };
        if let Some(layer) = self.layer(expected)? {
            return Ok(layer);
        }
        let work = Work::wait(&self.incoming(), expected.hex())?;
        // The one that we have waited for has made it.
        if let Some(layer) = self.layer(expected)? {
            return Ok(layer);
        }
        let record = self.unpack(&work, Some(expected), archive, limits)?;
        self.publish(&work, record)
    }

    fn unpack(
        &self,
        work: &Work,
        expected: Option<&Digest>,
        archive: &mut (dyn io::Read + Send),
        limits: &Limits,
    ) -> Result<LayerRecord> {
        let folder = work.folder().join("layer");
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&folder)
            .map_err(io_error("make the folder", &folder))?;
        let rules = Rules {
            ownership: self.ownership,
            limits: *limits,
            keep_setuid: false,
        };
        let unpacked = unpack::unpack(archive, &folder, &rules)?;
        if expected.is_some_and(|expected| *expected != unpacked.diff_id) {
            return Err(mismatch("layer", expected, &unpacked.diff_id));
        }
        let recipe = folder.join(unpack::RECIPE);
        let recipe_bytes = fs::metadata(&recipe).map_err(io_error("examine", &recipe))?.len();
        let record = LayerRecord {
            schema_version: SCHEMA_VERSION,
            diff_id: unpacked.diff_id,
            archive_bytes: unpacked.archive_bytes,
            content_bytes: unpacked.content_bytes,
            stored_bytes: unpacked.content_bytes + recipe_bytes,
            entries: unpacked.entries,
            owners: unpacked.owners,
            boot: self.boot.clone(),
        };
        let path = folder.join(LAYER_RECORD);
        fs::write(&path, record::to_json(&record)).map_err(io_error("write", &path))?;
        Ok(record)
    }

    /// Gives a finished layer its name. Only one process is here for one layer.
    fn publish(&self, work: &Work, record: LayerRecord) -> Result<Layer> {
        let (from, to) = (work.folder().join("layer"), self.layout.layer(&record.diff_id));
        let rename = || match renameat_with(CWD, &from, CWD, &to, RenameFlags::NOREPLACE) {
            Err(Errno::EXIST) => Ok(false),
            renamed => renamed
                .map(|()| true)
                .map_err(|errno| io_error("rename", &from)(errno.into())),
        };
        if rename()? {
            return Ok(record.into_layer(&self.layout));
        }
        if let Some(layer) = self.layer(&record.diff_id)? {
            return Ok(layer);
        }
        // What is there is not whole, and no image has it.
        let aside = work.folder().join("broken");
        fs::rename(&to, &aside).map_err(io_error("rename", &to))?;
        rename()?;
        Ok(record.into_layer(&self.layout))
    }

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
            self.write_once(&self.layout.config(&id), config)?;
            let layers = self.layout.layers();
            let folder = fs::File::open(&layers).map_err(io_error("open", &layers))?;
            // Thousands of files: one call for all of them.
            rustix::fs::syncfs(&folder).map_err(|errno| io_error("sync", &layers)(errno.into()))?;
            self.write_once(&self.layout.image(&id), &record::to_json(&record))?;
        }
        if let (Some(bytes), Some(digest)) = (manifest, digest) {
            self.write_once(&self.layout.manifest(&digest), bytes)?;
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
        file::write(
            &self.incoming(),
            &path,
            &record::to_json(&named),
            Existing::Replaced,
        )
        .map_err(io_error("write", &path))?;
        Ok(())
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

    fn write_once(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        file::write(&self.incoming(), path, bytes, Existing::Kept).map_err(io_error("write", path))?;
        Ok(())
    }

    /// Where a download lies until it is unpacked: `incoming/<hex of the compressed digest>.download`. One process
    /// at a time holds it; a second one waits for the first. What is there after a break is the beginning.
    ///
    /// Whoever works on a file here holds an exclusive `flock` on it: without that it is a leftover. The endings
    /// `lock`, `work` and `new` are the store's own.
    pub fn incoming(&self) -> PathBuf {
        self.layout.incoming()
    }
}

fn add(ids: &mut std::collections::BTreeSet<u32>, id: u32) {
    if ids.len() < MAX_OWNERS {
        ids.insert(id);
    }
}

fn digest_of(bytes: &[u8]) -> Digest {
    Digest::from_sha256(Sha256::digest(bytes).into())
}

fn mismatch(what: &str, expected: Option<&Digest>, found: &Digest) -> Error {
    let expected = expected.map_or("another", Digest::as_str);
    Error::new(
        ErrorKind::InvalidSpec,
        "image",
        format!("the {what} is not what the image says: its digest is {found} instead of {expected}"),
    )
    .with("field", "digest")
    .hint("the archive or the registry is damaged: get the image again")
}
