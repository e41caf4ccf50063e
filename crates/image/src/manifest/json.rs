//! Manifests and indexes out of JSON.

use std::collections::BTreeMap;

use agentkernel_types::Digest;
use serde::{Deserialize, de::IgnoredAny};

use super::{
    Descriptor, Document, Entry, Index, MAX_BYTES, MAX_ENTRIES, Manifest, Platform, media_type, unsupported,
    wrong,
};
use crate::{ImageConfig, Result};

const NAME: &str = "org.opencontainers.image.ref.name";
const CONTAINERD_NAME: &str = "io.containerd.image.name";
const REFERENCE_TYPE: &str = "vnd.docker.reference.type";

/// A field that occurs twice is an error of the decoder: two readers could choose two values.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    schema_version: Option<u64>,
    media_type: Option<String>,
    artifact_type: Option<String>,
    config: Option<Blob>,
    layers: Option<Vec<Blob>>,
    manifests: Option<Vec<Blob>>,
    /// Of the first schema.
    fs_layers: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Blob {
    media_type: Option<String>,
    digest: String,
    size: u64,
    platform: Option<BlobPlatform>,
    annotations: Option<BTreeMap<String, Option<String>>>,
}

#[derive(Deserialize)]
struct BlobPlatform {
    #[serde(default)]
    os: Option<String>,
    #[serde(default)]
    architecture: Option<String>,
    #[serde(default)]
    variant: Option<String>,
}

pub fn parse(bytes: &[u8]) -> Result<Document> {
    if bytes.len() > MAX_BYTES {
        return Err(wrong(format!("it is longer than {} MiB", MAX_BYTES >> 20)));
    }
    let file: File = serde_json::from_slice(bytes).map_err(|error| wrong(error.to_string()))?;
    if file.schema_version == Some(1) || file.fs_layers.is_some() {
        return Err(unsupported(
            "the image has a manifest of Docker's first schema, which has been out of use since 2017",
        )
        .hint("push it again with a present docker or podman"));
    }
    if file.schema_version != Some(2) {
        return Err(wrong("its schemaVersion is not 2"));
    }
    match (&file.manifests, &file.layers, &file.config) {
        (Some(_), None, None) => index(file),
        (None, _, Some(_)) => manifest(file),
        (Some(_), _, _) => Err(wrong("it is both a manifest and an index")),
        (None, _, None) => Err(wrong("it is neither a manifest nor an index")),
    }
}

fn index(file: File) -> Result<Document> {
    match file.media_type.as_deref() {
        None | Some("" | media_type::OCI_INDEX | media_type::DOCKER_INDEX) => {}
        Some(other) => return Err(wrong(format!("it has manifests and says that it is {other:?}"))),
    }
    let blobs = file.manifests.unwrap_or_default();
    if blobs.len() > MAX_ENTRIES {
        return Err(wrong(format!(
            "it has {} entries, and {MAX_ENTRIES} are allowed",
            blobs.len()
        )));
    }
    let manifests = blobs.into_iter().map(entry).collect::<Result<_>>()?;
    Ok(Document::Index(Index { manifests }))
}

fn entry(mut blob: Blob) -> Result<Entry> {
    let annotations = blob.annotations.take().unwrap_or_default();
    let annotation = |name: &str| annotations.get(name).cloned().flatten();
    let platform = blob.platform.take().map(|platform| Platform {
        os: platform.os.unwrap_or_default(),
        architecture: platform.architecture.unwrap_or_default(),
        variant: platform.variant.filter(|variant| !variant.is_empty()),
    });
    let unknown = platform.as_ref().is_some_and(|platform| platform.os == "unknown");
    Ok(Entry {
        name: annotation(CONTAINERD_NAME).or_else(|| annotation(NAME)),
        is_attestation: unknown || annotations.contains_key(REFERENCE_TYPE),
        platform,
        descriptor: descriptor(blob)?,
    })
}

fn manifest(file: File) -> Result<Document> {
    match file.media_type.as_deref() {
        None | Some("" | media_type::OCI_MANIFEST | media_type::DOCKER_MANIFEST) => {}
        Some(other) => return Err(wrong(format!("it has a config and says that it is {other:?}"))),
    }
    let config = descriptor(file.config.ok_or_else(|| wrong("it has no config"))?)?;
    match config.media_type.as_str() {
        media_type::OCI_CONFIG | media_type::DOCKER_CONFIG => {}
        other => return Err(not_an_image(file.artifact_type.as_deref().unwrap_or(other))),
    }
    if config.size > ImageConfig::MAX_BYTES as u64 {
        return Err(wrong(format!("its configuration has {} bytes", config.size)));
    }
    let layers = file.layers.unwrap_or_default();
    if layers.is_empty() {
        return Err(wrong("it has no layers"));
    }
    if layers.len() > ImageConfig::MAX_LAYERS {
        let (count, most) = (layers.len(), ImageConfig::MAX_LAYERS);
        return Err(wrong(format!(
            "it has {count} layers, and at most {most} can be mounted"
        )));
    }
    let layers = layers.into_iter().map(layer).collect::<Result<_>>()?;
    Ok(Document::Manifest(Manifest { config, layers }))
}

fn layer(blob: Blob) -> Result<Descriptor> {
    let layer = descriptor(blob)?;
    let kind = layer.media_type.as_str();
    if kind.contains("nondistributable") || kind.contains(".foreign.") {
        return Err(unsupported(
            "a layer of the image is not part of it (a foreign layer, as in images for Windows)",
        )
        .hint("use an image for linux"));
    }
    if kind.ends_with("+encrypted") {
        return Err(unsupported("the image's layers are encrypted"));
    }
    let compression = kind
        .strip_prefix(media_type::OCI_LAYER)
        .or_else(|| kind.strip_prefix(media_type::DOCKER_LAYER));
    match compression {
        Some("" | "+gzip" | ".gzip" | "+zstd" | ".zstd") => Ok(layer),
        _ => Err(not_an_image(kind)),
    }
}

fn not_an_image(kind: &str) -> crate::Error {
    let shown: String = kind.chars().take(100).collect();
    let what = match kind.contains("wasm") {
        true => "a WebAssembly module",
        false => "an artifact",
    };
    unsupported(format!("it is {what} ({shown}) and no container image"))
        .hint("only images with a root file system can be the root of a sandbox")
}

fn descriptor(blob: Blob) -> Result<Descriptor> {
    let digest: Digest = blob.digest.parse().map_err(|_| {
        let shown: String = blob.digest.chars().take(100).collect();
        wrong(format!("{shown:?} is no sha256 digest"))
    })?;
    if blob.size > i64::MAX as u64 {
        return Err(wrong(format!("{} has an impossible size", digest.short())));
    }
    Ok(Descriptor {
        media_type: blob.media_type.unwrap_or_default(),
        digest,
        size: blob.size,
    })
}
