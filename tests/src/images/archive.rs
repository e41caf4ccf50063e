//! Images as files: what `docker save` writes, OCI layouts as folders and as archives.

use std::{fs, path::Path};

use serde_json::{Value, json};

use super::{Blob, Image, Layer};

/// What `docker save` writes: one archive with a list of images, their configurations and uncompressed layers.
pub fn docker(images: &[(&Image, &[&str])]) -> Vec<u8> {
    let mut archive = Layer::new();
    let mut list = Vec::new();
    for (image, names) in images {
        let config = image.config_blob();
        let mut layers = Vec::new();
        for bytes in &image.archives {
            let name = format!("{}/layer.tar", &super::digest(bytes)["sha256:".len()..]);
            archive = archive.file(&name, 0o644, bytes);
            layers.push(name);
        }
        let name = format!("{}.json", config.hex());
        archive = archive.file(&name, 0o644, config.bytes());
        list.push(json!({ "Config": name, "RepoTags": names, "Layers": layers }));
    }
    archive
        .file("manifest.json", 0o644, Value::from(list).to_string())
        .finish()
}

/// An OCI layout as a folder.
pub fn write_layout(image: &Image, name: Option<&str>, folder: &Path) {
    for (path, content) in layout_files(image, name) {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().expect("a file has a folder")).expect("a folder can be made");
        fs::write(path, content).expect("a file can be written");
    }
}

/// An OCI layout as an archive.
pub fn oci(image: &Image, name: Option<&str>) -> Vec<u8> {
    let mut archive = Layer::new();
    for (path, content) in layout_files(image, name) {
        archive = archive.file(&path, 0o644, content);
    }
    archive.finish()
}

fn layout_files(image: &Image, name: Option<&str>) -> Vec<(String, Vec<u8>)> {
    let parts = image.manifest();
    let mut descriptor = parts.manifest.descriptor();
    if let Some(name) = name {
        descriptor["annotations"] = json!({ "org.opencontainers.image.ref.name": name });
    }
    let index = json!({ "schemaVersion": 2, "mediaType": super::image::INDEX, "manifests": [descriptor] });
    let blob = |blob: &Blob| (format!("blobs/sha256/{}", blob.hex()), blob.bytes());
    let mut files: Vec<(String, Vec<u8>)> = parts.blobs.iter().chain([&parts.manifest]).map(blob).collect();
    files.push(("index.json".to_owned(), index.to_string().into_bytes()));
    files.push((
        "oci-layout".to_owned(),
        br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec(),
    ));
    files
}
