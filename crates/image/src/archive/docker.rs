//! What `docker save` writes, old and new: `manifest.json`, configurations and layers.

use serde::Deserialize;

use super::{
    Import,
    files::{Files, missing},
    names, wrong,
};
use crate::{Image, ImageConfig, Reference, Result, Writer};

pub const MANIFEST: &str = "manifest.json";
pub const MAX_BYTES: usize = 4 << 20;
const MAX_IMAGES: usize = 256;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
}

pub fn import(writer: &Writer, files: &dyn Files, manifest: &[u8], import: &Import) -> Result<Vec<Image>> {
    let saved: Vec<Saved> =
        serde_json::from_slice(manifest).map_err(|error| wrong(format!("{MANIFEST}: {error}")))?;
    if saved.is_empty() || saved.len() > MAX_IMAGES {
        let count = saved.len();
        return Err(wrong(format!(
            "it has {count} images, and 1 to {MAX_IMAGES} are allowed"
        )));
    }
    let count = saved.len();
    let image = |saved| import_one(writer, files, saved, import, count);
    saved.into_iter().map(image).collect()
}

fn import_one(
    writer: &Writer,
    files: &dyn Files,
    saved: Saved,
    import: &Import,
    count: usize,
) -> Result<Image> {
    let tags = saved.repo_tags.unwrap_or_default();
    let own = tags
        .iter()
        .map(|tag| tag.parse().map_err(crate::Error::from))
        .collect::<Result<Vec<Reference>>>()?;
    let names = names(import, count, own)?;
    let config = files
        .read(&saved.config, ImageConfig::MAX_BYTES)?
        .ok_or_else(|| missing(&saved.config))?;
    let parsed = ImageConfig::parse(&config)?;
    parsed.config.check_platform()?;
    if claimed_digest(&saved.config).is_some_and(|hex| hex != parsed.id.hex()) {
        return Err(wrong(format!("{} is not what its name says", saved.config)));
    }
    let layers = saved.layers.unwrap_or_default();
    if layers.len() != parsed.diff_ids.len() {
        let (has, says) = (layers.len(), parsed.diff_ids.len());
        return Err(wrong(format!(
            "an image has {has} layers and its configuration says {says}"
        )));
    }
    for (name, diff_id) in layers.iter().zip(&parsed.diff_ids) {
        if writer.layer(diff_id)?.is_none() {
            let (mut layer, _) = files.open(name)?.ok_or_else(|| missing(name))?;
            writer.add_layer(Some(diff_id), &mut layer, &import.limits)?;
        }
    }
    writer.add_image(&config, None, &names, import.source.clone())
}

/// `<hex>.json` or `blobs/sha256/<hex>`.
fn claimed_digest(name: &str) -> Option<&str> {
    let last = name.rsplit('/').next()?;
    let hex = last.strip_suffix(".json").unwrap_or(last);
    (hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(hex)
}
