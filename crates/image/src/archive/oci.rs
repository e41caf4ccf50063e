//! OCI layouts: `index.json` leads to manifests, these to configurations and layers, all in `blobs`.

use std::{
    collections::BTreeMap,
    io::{self, Read},
};

use agentkernel_types::Digest;
use sha2::{Digest as _, Sha256};

use super::{
    Import,
    files::{Files, blob_name, missing},
    names, wrong,
};
use crate::{
    Image, ImageConfig, Reference, Result, Writer,
    failure::read_error,
    manifest::{self, Descriptor, Document, Entry, Index, Platform, choose_platform},
};

pub const INDEX: &str = "index.json";
const MAX_IMAGES: usize = 256;
/// An index may lead to an index, but not for long.
const MAX_DEPTH: usize = 4;

pub fn import(writer: &Writer, files: &dyn Files, index: &[u8], import: &Import) -> Result<Vec<Image>> {
    let Document::Index(index) = manifest::parse(index)? else {
        return Err(wrong("index.json is no index"));
    };
    let chosen = choose(index)?;
    if chosen.is_empty() || chosen.len() > MAX_IMAGES {
        let count = chosen.len();
        return Err(wrong(format!(
            "it has {count} images, and 1 to {MAX_IMAGES} are allowed"
        )));
    }
    let count = chosen.len();
    let image = |entry: Entry| {
        let own = entry.name.as_deref().and_then(own_name);
        let names = names(import, count, own.into_iter().collect())?;
        import_one(writer, files, entry.descriptor, &names, import)
    };
    chosen.into_iter().map(image).collect()
}

/// Entries of one name, or without any, are one image for several platforms if each says which.
fn choose(index: Index) -> Result<Vec<Entry>> {
    let mut groups: BTreeMap<Option<String>, Vec<Entry>> = BTreeMap::new();
    for entry in index.manifests {
        if !entry.is_attestation {
            groups.entry(entry.name.clone()).or_default().push(entry);
        }
    }
    let mut chosen = Vec::new();
    for manifests in groups.into_values() {
        if manifests.len() > 1 && manifests.iter().all(|entry| entry.platform.is_some()) {
            chosen.push(choose_platform(&Index { manifests }, &Platform::host())?.clone());
        } else {
            chosen.extend(manifests);
        }
    }
    Ok(chosen)
}

/// `skopeo` writes the whole name, others a tag alone, which is the name of nothing.
fn own_name(text: &str) -> Option<Reference> {
    text.parse().ok().filter(|_| text.contains([':', '/']))
}

fn import_one(
    writer: &Writer,
    files: &dyn Files,
    mut descriptor: Descriptor,
    names: &[Reference],
    import: &Import,
) -> Result<Image> {
    for _ in 0..MAX_DEPTH {
        let bytes = files.blob(&descriptor, manifest::MAX_BYTES)?;
        match manifest::parse(&bytes)? {
            Document::Index(index) => {
                descriptor = choose_platform(&index, &Platform::host())?.descriptor.clone();
            }
            Document::Manifest(manifest) => {
                let config = files.blob(&manifest.config, ImageConfig::MAX_BYTES)?;
                import_layers(writer, files, &config, &manifest.layers, import)?;
                return writer.add_image(&config, Some(&bytes), names, import.source.clone());
            }
        }
    }
    Err(wrong(format!(
        "more than {MAX_DEPTH} indexes lead from one to the next"
    )))
}

fn import_layers(
    writer: &Writer,
    files: &dyn Files,
    config: &[u8],
    layers: &[Descriptor],
    import: &Import,
) -> Result<()> {
    let parsed = ImageConfig::parse(config)?;
    parsed.config.check_platform()?;
    if layers.len() != parsed.diff_ids.len() {
        let (has, says) = (layers.len(), parsed.diff_ids.len());
        return Err(wrong(format!(
            "an image has {has} layers and its configuration says {says}"
        )));
    }
    for (layer, diff_id) in layers.iter().zip(&parsed.diff_ids) {
        if writer.layer(diff_id)?.is_some() {
            continue;
        }
        let name = blob_name(&layer.digest);
        let (from, size) = files.open(&name)?.ok_or_else(|| missing(&name))?;
        if size != layer.size {
            return Err(wrong(format!("{name} has {size} bytes and not {}", layer.size)));
        }
        let mut from = Hashed {
            from,
            hash: Sha256::new(),
        };
        writer.add_layer(Some(diff_id), &mut from, &import.limits)?;
        // Another process may have been faster, and then not all was read.
        io::copy(&mut from, &mut io::sink()).map_err(read_error("import", &name))?;
        if Digest::from_sha256(from.hash.finalize().into()) != layer.digest {
            return Err(wrong(format!("{name} is not what its digest says")));
        }
    }
    Ok(())
}

struct Hashed<R> {
    from: R,
    hash: Sha256,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        self.hash.update(&buffer[..read]);
        Ok(read)
    }
}
