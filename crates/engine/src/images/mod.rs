//! Images of our own store: found, fetched, and kept as long as somebody needs them.

mod command;
mod describe;
mod ensure;
mod memory;
mod operations;
mod resolve;

use agentkernel_backend::Result;
use agentkernel_image::Store;
use agentkernel_types::Digest;

pub(crate) use self::{
    command::refuse_nothing_to_run,
    resolve::{Found, Intent},
};
use crate::{Engine, failure::from_store};

impl Engine {
    /// Opening it touches nothing.
    pub(crate) fn image_store(&self) -> Store {
        Store::new(&self.shared.settings.images_dir)
    }

    /// The images of kept sandboxes: they are in use also while nothing runs.
    pub(crate) fn kept_images(&self) -> Result<Vec<Digest>> {
        let entries = self.store()?.list().map_err(from_store)?;
        let mut kept = Vec::new();
        for entry in entries {
            // A record that cannot be read may speak of any image.
            let record = entry.record.map_err(from_store)?;
            kept.extend(record.spec.image_id);
        }
        Ok(kept)
    }
}
