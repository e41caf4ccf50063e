//! Images as a registry has them.

use std::{collections::BTreeMap, io::Write as _};

use agentkernel_types::Digest;
use flate2::{Compression, write::GzEncoder};
use sha2::{Digest as _, Sha256};

pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

#[derive(Clone, Debug)]
pub struct Layer {
    pub compressed: Vec<u8>,
    pub diff_id: Digest,
}

impl Layer {
    /// One file of `size` bytes that do not compress; another `seed` is another file.
    pub fn new(seed: u64, size: usize) -> Self {
        let mut archive = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_ustar();
        header.set_size(size as u64);
        header.set_mode(0o644);
        header.set_cksum();
        let content = noise(seed, size);
        archive
            .append_data(&mut header, format!("file-{seed}"), &content[..])
            .expect("in memory");
        let archive = archive.into_inner().expect("in memory");
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(&archive).expect("in memory");
        Self {
            compressed: gzip.finish().expect("in memory"),
            diff_id: sha256(&archive),
        }
    }

    pub fn digest(&self) -> Digest {
        sha256(&self.compressed)
    }

    fn descriptor(&self) -> String {
        descriptor(LAYER, &self.digest(), self.compressed.len())
    }
}

/// What a registry serves: by `manifests/NAME` or `blobs/DIGEST`, with its media type.
pub type Content = BTreeMap<String, (String, Vec<u8>)>;

#[derive(Clone, Debug)]
pub struct TestImage {
    pub layers: Vec<Layer>,
    pub config: Vec<u8>,
    pub manifest: Vec<u8>,
}

impl TestImage {
    pub fn new(layers: Vec<Layer>) -> Self {
        Self::for_architecture(layers, agentkernel_image::host_architecture())
    }

    pub fn for_architecture(layers: Vec<Layer>, architecture: &str) -> Self {
        let ids: Vec<_> = layers
            .iter()
            .map(|layer| format!("\"{}\"", layer.diff_id))
            .collect();
        let config = format!(
            r#"{{"architecture":"{architecture}","os":"linux","config":{{"Cmd":["/bin/true"]}},"rootfs":{{"type":"layers","diff_ids":[{}]}}}}"#,
            ids.join(",")
        )
        .into_bytes();
        let descriptors: Vec<_> = layers.iter().map(Layer::descriptor).collect();
        let manifest = Self::manifest_of(&config, &descriptors);
        Self {
            layers,
            config,
            manifest,
        }
    }

    pub fn manifest_of(config: &[u8], layers: &[String]) -> Vec<u8> {
        format!(
            r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{},"layers":[{}]}}"#,
            descriptor(CONFIG, &sha256(config), config.len()),
            layers.join(",")
        )
        .into_bytes()
    }

    /// The same image whose manifest says another size for its first layer.
    pub fn with_first_size(mut self, size: usize) -> Self {
        let mut descriptors: Vec<_> = self.layers.iter().map(Layer::descriptor).collect();
        descriptors[0] = descriptor(LAYER, &self.layers[0].digest(), size);
        self.manifest = Self::manifest_of(&self.config, &descriptors);
        self
    }

    pub fn id(&self) -> Digest {
        sha256(&self.config)
    }

    pub fn digest(&self) -> Digest {
        sha256(&self.manifest)
    }

    pub fn first_layer(&self) -> String {
        format!("blobs/{}", self.layers[0].digest())
    }

    /// Under the tag `latest`.
    pub fn content(&self) -> Content {
        let mut content = Content::new();
        let manifest = (MANIFEST.to_owned(), self.manifest.clone());
        content.insert("manifests/latest".to_owned(), manifest.clone());
        content.insert(format!("manifests/{}", self.digest()), manifest);
        let blob = |bytes: &[u8]| ("application/octet-stream".to_owned(), bytes.to_vec());
        content.insert(format!("blobs/{}", self.id()), blob(&self.config));
        for layer in &self.layers {
            content.insert(format!("blobs/{}", layer.digest()), blob(&layer.compressed));
        }
        content
    }
}

/// The tag `latest` leads to one image per architecture.
pub fn index(images: &[(&str, &TestImage)]) -> (Digest, Content) {
    let mut content = Content::new();
    let mut entries = Vec::new();
    for (architecture, image) in images {
        content.extend(image.content());
        let descriptor = descriptor(MANIFEST, &image.digest(), image.manifest.len());
        let platform = format!(r#","platform":{{"os":"linux","architecture":"{architecture}"}}}}"#);
        entries.push(descriptor.replacen('}', &platform, 1));
    }
    let json = format!(
        r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[{}]}}"#,
        entries.join(",")
    )
    .into_bytes();
    let digest = sha256(&json);
    content.insert(format!("manifests/{digest}"), (INDEX.to_owned(), json.clone()));
    content.insert("manifests/latest".to_owned(), (INDEX.to_owned(), json));
    (digest, content)
}

fn descriptor(media_type: &str, digest: &Digest, size: usize) -> String {
    format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":{size}}}"#)
}

pub fn sha256(bytes: &[u8]) -> Digest {
    Digest::from_sha256(Sha256::digest(bytes).into())
}

fn noise(seed: u64, size: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}
