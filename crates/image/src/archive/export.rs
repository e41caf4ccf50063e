//! Images to archives: the same bytes for the same image and names, every time.

use std::io::{self, Write};

use agentkernel_types::{Digest, ErrorKind};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tar::{EntryType, Header};

use super::{Format, files::blob_name};
use crate::{
    Error, Image, Layer, Reference, Result, Store, failure::write_error, manifest::media_type, unpack,
};

/// Writes an image as an archive. `names` are the tags that it carries. The image is in use meanwhile. On an error
/// the archive is not whole.
pub fn export(
    store: &Store,
    id: &Digest,
    names: &[Reference],
    format: Format,
    to: &mut dyn Write,
) -> Result<()> {
    let lease = store.lease(id)?;
    let config = store.config_json(id)?;
    let mut archive = Archive { to };
    match format {
        Format::Docker => docker(&mut archive, &lease.image, &config, names),
        Format::Oci => oci(&mut archive, &lease.image, &config, names),
    }
}

fn docker(archive: &mut Archive<'_>, image: &Image, config: &[u8], names: &[Reference]) -> Result<()> {
    let config_name = format!("{}.json", image.id.hex());
    let name = |layer: &Layer| format!("{}.tar", layer.diff_id.hex());
    let layers: Vec<String> = image.layers.iter().map(name).collect();
    // Docker tells people's names apart from its own by the short form.
    let tags: Vec<String> = names.iter().map(Reference::familiar).collect();
    let manifest = json!([{ "Config": config_name, "RepoTags": tags, "Layers": layers }]);
    archive.file("manifest.json", &json_bytes(&manifest))?;
    archive.file(&config_name, config)?;
    archive.layers(image, name)?;
    archive.end()
}

fn oci(archive: &mut Archive<'_>, image: &Image, config: &[u8], names: &[Reference]) -> Result<()> {
    let layers: Vec<Value> = image
        .layers
        .iter()
        .map(|layer| descriptor(media_type::OCI_LAYER, &layer.diff_id, layer.archive_bytes))
        .collect();
    let manifest = json_bytes(&json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_MANIFEST,
        "config": descriptor(media_type::OCI_CONFIG, &image.id, config.len() as u64),
        "layers": layers,
    }));
    let digest = Digest::from_sha256(Sha256::digest(&manifest).into());
    let plain = descriptor(media_type::OCI_MANIFEST, &digest, manifest.len() as u64);
    let named = |name: &Reference| {
        let mut entry = plain.clone();
        entry["annotations"] = json!({
            "io.containerd.image.name": name.to_string(),
            "org.opencontainers.image.ref.name": name.to_string(),
        });
        entry
    };
    let mut entries: Vec<Value> = names.iter().map(named).collect();
    if entries.is_empty() {
        entries.push(plain.clone());
    }
    let index = json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_INDEX,
        "manifests": entries,
    });
    archive.file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
    archive.file("index.json", &json_bytes(&index))?;
    // Folders that only follow from names are given to root by some tools, which their users may not do.
    archive.folder("blobs/")?;
    archive.folder("blobs/sha256/")?;
    archive.file(&blob_name(&digest), &manifest)?;
    archive.file(&blob_name(&image.id), config)?;
    archive.layers(image, |layer| blob_name(&layer.diff_id))?;
    archive.end()
}

fn descriptor(kind: &str, digest: &Digest, size: u64) -> Value {
    json!({ "mediaType": kind, "digest": digest, "size": size })
}

fn json_bytes(value: &Value) -> Vec<u8> {
    serde_json::to_vec(value).expect("strings and numbers are always JSON")
}

struct Archive<'a> {
    to: &'a mut dyn Write,
}

impl Archive<'_> {
    fn folder(&mut self, name: &str) -> Result<()> {
        self.header(name, EntryType::Directory, 0)
    }

    fn file(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        self.header(name, EntryType::Regular, bytes.len() as u64)?;
        self.write(bytes)?;
        self.pad(bytes.len() as u64)
    }

    /// Each layer once, also where an image has it twice.
    fn layers(&mut self, image: &Image, name: impl Fn(&Layer) -> String) -> Result<()> {
        for (at, layer) in image.layers.iter().enumerate() {
            if image.layers[..at]
                .iter()
                .all(|before| before.diff_id != layer.diff_id)
            {
                self.layer(&name(layer), layer)?;
            }
        }
        Ok(())
    }

    fn layer(&mut self, name: &str, layer: &Layer) -> Result<()> {
        self.header(name, EntryType::Regular, layer.archive_bytes)?;
        let folder = layer.tree.parent().expect("a tree lies in its layer's folder");
        let mut checked = Checked {
            to: &mut *self.to,
            hash: Sha256::new(),
            left: layer.archive_bytes,
        };
        let written = unpack::reassemble(folder, &mut checked);
        let found = Digest::from_sha256(checked.hash.finalize().into());
        let whole = checked.left == 0 && found == layer.diff_id;
        written?;
        if !whole {
            let short = layer.diff_id.short();
            return Err(Error::new(
                ErrorKind::Broken,
                "export",
                format!("the layer {short} of the image has been changed in the store"),
            )
            .hint("remove the image and get it again"));
        }
        self.pad(layer.archive_bytes)
    }

    fn header(&mut self, name: &str, kind: EntryType, size: u64) -> Result<()> {
        let mut header = Header::new_ustar();
        header.set_path(name).expect("names here are short and relative");
        header.set_entry_type(kind);
        header.set_mode(if kind.is_dir() { 0o755 } else { 0o644 });
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(size);
        header.set_cksum();
        self.write(header.as_bytes())
    }

    fn pad(&mut self, size: u64) -> Result<()> {
        let padding = size.next_multiple_of(512) - size;
        self.write(&[0; 512][..usize::try_from(padding).expect("less than a block")])
    }

    /// Two empty blocks.
    fn end(&mut self) -> Result<()> {
        self.write(&[0; 1024])?;
        self.to.flush().map_err(write_error("export", "the archive"))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.to
            .write_all(bytes)
            .map_err(write_error("export", "the archive"))
    }
}

/// Hashes what is written, and takes no more than was announced.
struct Checked<'a> {
    to: &'a mut dyn Write,
    hash: Sha256,
    left: u64,
}

impl Write for Checked<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() as u64 > self.left {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the layer has become longer than it was",
            ));
        }
        let written = self.to.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.left -= written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
