//! Layers: unpacked beside, compared, and renamed.

use std::{fs, io, os::unix::fs::DirBuilderExt};

use agentkernel_types::Digest;
use rustix::{
    fs::{CWD, RenameFlags, renameat_with},
    io::Errno,
};

use super::{Writer, mismatch};
use crate::{
    Layer, Result,
    failure::io_error,
    store::{
        inventory::sizes,
        layout::LAYER_RECORD,
        record::{self, LayerRecord, SCHEMA_VERSION},
        work::Work,
    },
    unpack::{self, Limits, Rules},
};

impl Writer {
    /// A layer that is there already.
    pub fn layer(&self, diff_id: &Digest) -> Result<Option<Layer>> {
        let found = self.layer_record(diff_id)?;
        Ok(found.map(|record| record.into_layer(&self.layout)))
    }

    pub(super) fn layer_record(&self, diff_id: &Digest) -> Result<Option<LayerRecord>> {
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
}
