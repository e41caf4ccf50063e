//! A plain root file system: one layer, straight from the stream.

use std::io::Read;

use super::Import;
use crate::{Image, Result, Writer};

pub fn import(writer: &Writer, archive: &mut (dyn Read + Send), import: &Import) -> Result<Image> {
    import.config.check_platform()?;
    let layer = writer.add_layer(None, archive, &import.limits)?;
    let config = import.config.to_json(&[layer.diff_id]);
    writer.add_image(&config, None, import.name.as_slice(), import.source.clone())
}
