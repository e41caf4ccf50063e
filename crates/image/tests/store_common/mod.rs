//! Stores, layers and images for tests.

#![allow(clippy::unwrap_used, reason = "a test fails with a panic")]
#![allow(dead_code, reason = "each test file takes what it needs")]

use std::io::Read;

use agentkernel_image::{Image, ImageConfig, Reference, Source, Store, Writer, unpack::Limits};
use agentkernel_types::Digest;
use sha2::{Digest as _, Sha256};

pub struct Place {
    pub folder: tempfile::TempDir,
    pub store: Store,
}

/// A store that does not exist yet, in a folder of its own.
pub fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::new(folder.path().join("images")).with_patience(std::time::Duration::from_millis(50));
    Place { folder, store }
}

/// A tar archive of regular files; a name that ends with `/` is a folder.
pub fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        let folder = name.ends_with('/');
        header.set_entry_type(if folder {
            tar::EntryType::Directory
        } else {
            tar::EntryType::Regular
        });
        header.set_mode(if folder { 0o755 } else { 0o644 });
        header.set_size(content.len() as u64);
        archive.append_data(&mut header, name, *content).unwrap();
    }
    archive.into_inner().unwrap()
}

pub fn digest(bytes: &[u8]) -> Digest {
    Digest::from_sha256(Sha256::digest(bytes).into())
}

pub fn name(text: &str) -> Reference {
    text.parse().unwrap()
}

pub fn source() -> Source {
    Source::Archive { path: "-".to_owned() }
}

/// A configuration whose `mark` makes it another one.
pub fn config(mark: &str, layers: &[&[u8]]) -> Vec<u8> {
    let config = ImageConfig {
        labels: vec![("mark".to_owned(), mark.to_owned())],
        cmd: vec!["/bin/true".to_owned()],
        ..ImageConfig::default()
    };
    let diff_ids: Vec<Digest> = layers.iter().map(|layer| digest(layer)).collect();
    config.to_json(&diff_ids)
}

pub fn add_layer(writer: &Writer, layer: &[u8]) -> agentkernel_image::Result<agentkernel_image::Layer> {
    let mut archive: &[u8] = layer;
    writer.add_layer(
        Some(&digest(layer)),
        &mut archive as &mut (dyn Read + Send),
        &Limits::default(),
    )
}

pub fn add(store: &Store, mark: &str, layers: &[&[u8]], names: &[&str]) -> Image {
    let writer = store.writer().unwrap();
    for layer in layers {
        add_layer(&writer, layer).unwrap();
    }
    let names: Vec<Reference> = names.iter().map(|text| name(text)).collect();
    writer
        .add_image(&config(mark, layers), None, &names, source())
        .unwrap()
}
