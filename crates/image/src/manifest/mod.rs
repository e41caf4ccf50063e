//! Manifests and indexes of OCI and Docker. Pure: bytes in, a judged document out.
//!
//! What we could never run is refused here, before a layer is fetched: artifacts, wasm, encrypted and foreign layers,
//! the first schema. A document that could be read as both kinds is refused as well (CVE-2021-41190).

mod json;
mod platform;

use agentkernel_types::{Digest, ErrorKind};

use crate::{Error, Result};

pub use platform::{Platform, choose_platform};

/// Bytes of a manifest or an index; what registries themselves allow.
pub const MAX_BYTES: usize = 4 << 20;
/// Entries of an index.
pub const MAX_ENTRIES: usize = 1024;

pub mod media_type {
    //! What documents and blobs are, in the words of OCI and Docker.

    pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
    pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
    pub const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
    pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
    pub const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
    pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
    pub const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";
}

/// For the `Accept` header of a registry request.
pub const ACCEPTED: [&str; 4] = [
    media_type::OCI_INDEX,
    media_type::OCI_MANIFEST,
    media_type::DOCKER_INDEX,
    media_type::DOCKER_MANIFEST,
];

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Document {
    Manifest(Manifest),
    Index(Index),
}

/// One image for one platform.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Manifest {
    pub config: Descriptor,
    /// Bottom first: 1 to 127.
    pub layers: Vec<Descriptor>,
}

/// The same image for several platforms.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Index {
    pub manifests: Vec<Entry>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    pub descriptor: Descriptor,
    pub platform: Option<Platform>,
    /// Annotation `org.opencontainers.image.ref.name`, or containerd's full name of it.
    pub name: Option<String>,
    /// A signature or an attestation of another entry, and no image.
    pub is_attestation: bool,
}

/// A blob: what it is, and which bytes it must have.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Descriptor {
    pub media_type: String,
    pub digest: Digest,
    pub size: u64,
}

impl Descriptor {
    /// Whether it leads to an index; otherwise to a manifest or a blob.
    pub fn is_index(&self) -> bool {
        matches!(
            self.media_type.as_str(),
            media_type::OCI_INDEX | media_type::DOCKER_INDEX
        )
    }
}

/// Reads and judges a manifest or an index.
pub fn parse(bytes: &[u8]) -> Result<Document> {
    json::parse(bytes)
}

/// The image's id that a manifest leads to. None: it is no manifest of an image.
pub fn config_of(bytes: &[u8]) -> Option<Digest> {
    match parse(bytes) {
        Ok(Document::Manifest(manifest)) => Some(manifest.config.digest),
        _ => None,
    }
}

fn wrong(why: impl Into<String>) -> Error {
    Error::new(
        ErrorKind::InvalidSpec,
        "image",
        format!("the image's manifest cannot be used: {}", why.into()),
    )
}

fn unsupported(why: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unsupported, "image", why)
}
