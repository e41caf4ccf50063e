//! Layers and a configuration, and what a registry needs to know of them.

use std::{fs, path::Path, process::Command};

use serde_json::{Value, json};

use super::{Blob, Compression, Layer, digest};
use crate::{have, tools::in_path};

pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

#[derive(Clone, Debug)]
pub struct Image {
    /// The whole document; `set` changes its part `config`.
    pub config: Value,
    pub layers: Vec<Blob>,
    /// The uncompressed archives of the layers that this process has made, for other formats.
    pub archives: Vec<Vec<u8>>,
}

/// An image as a registry has it: everything that has to be there, the manifest last.
#[derive(Clone, Debug)]
pub struct Manifest {
    pub blobs: Vec<Blob>,
    pub manifest: Blob,
}

impl Default for Image {
    fn default() -> Self {
        Self {
            config: json!({
                "architecture": architecture(),
                "os": "linux",
                "config": {},
                "rootfs": { "type": "layers", "diff_ids": [] },
            }),
            layers: Vec::new(),
            archives: Vec::new(),
        }
    }
}

impl Image {
    /// A small image with a shell and the usual programs. None, and it says why, without a static busybox.
    pub fn busybox() -> Option<Self> {
        if !have(&["busybox"]) {
            return None;
        }
        let program = in_path("busybox").expect("it was there a moment ago");
        Some(Self::default().layer(busybox_layer(&program), Compression::Gzip))
    }

    /// What a dynamic program of this host needs to be started: its loader and libraries, at their places.
    pub fn with_libraries_of(self, program: &Path) -> Self {
        let listed = Command::new("ldd")
            .arg(program)
            .output()
            .expect("every host with a C library has ldd");
        let text = String::from_utf8_lossy(&listed.stdout).into_owned();
        let files = text
            .split_whitespace()
            .filter(|word| word.starts_with('/') && Path::new(word).is_file());
        let layer = files.fold(Layer::new(), |layer, path| {
            let content = fs::read(path).expect("a library can be read");
            layer.file(path.trim_start_matches('/'), 0o755, content)
        });
        self.layer(layer, Compression::Gzip)
    }

    pub fn layer(self, layer: Layer, compression: Compression) -> Self {
        self.archive(layer.finish(), compression)
    }

    /// A layer that may be no archive.
    pub fn archive(self, archive: Vec<u8>, compression: Compression) -> Self {
        let blob = Blob::new(compression.media_type(), compression.apply(&archive));
        let diff_id = digest(&archive);
        let mut image = self.blob(blob, &diff_id);
        image.archives.push(archive);
        image
    }

    /// A layer as it is, with whatever digest it claims to have uncompressed.
    pub fn blob(mut self, blob: Blob, diff_id: &str) -> Self {
        self.layers.push(blob);
        let diff_ids = self.config["rootfs"]["diff_ids"].as_array_mut();
        diff_ids
            .expect("an image has a list of them")
            .push(json!(diff_id));
        self
    }

    /// Sets `Entrypoint`, `Cmd`, `Env`, `WorkingDir`, `User` and their like.
    pub fn set(mut self, key: &str, value: Value) -> Self {
        self.config["config"][key] = value;
        self
    }

    pub fn platform(mut self, architecture: &str, variant: Option<&str>) -> Self {
        self.config["architecture"] = json!(architecture);
        if let Some(variant) = variant {
            self.config["variant"] = json!(variant);
        }
        self
    }

    pub fn config_blob(&self) -> Blob {
        Blob::json(CONFIG, &self.config)
    }

    /// The digest by which the store knows it.
    pub fn id(&self) -> String {
        self.config_blob().digest
    }

    pub fn manifest(&self) -> Manifest {
        let config = self.config_blob();
        let layers: Vec<Value> = self.layers.iter().map(Blob::descriptor).collect();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": config.descriptor(),
            "layers": layers,
        });
        Manifest {
            blobs: self.layers.iter().cloned().chain([config]).collect(),
            manifest: Blob::json(MANIFEST, &manifest),
        }
    }
}

/// One name for several platforms.
pub fn index(images: &[Image]) -> Blob {
    let manifests: Vec<Value> = images
        .iter()
        .map(|image| {
            let mut descriptor = image.manifest().manifest.descriptor();
            descriptor["platform"] = json!({ "os": "linux", "architecture": image.config["architecture"] });
            if let Some(variant) = image.config["variant"].as_str() {
                descriptor["platform"]["variant"] = json!(variant);
            }
            descriptor
        })
        .collect();
    Blob::json(
        INDEX,
        &json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests }),
    )
}

/// The name that image specifications have for this machine.
pub fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

const APPLETS: [&str; 24] = [
    "sh",
    "true",
    "false",
    "echo",
    "cat",
    "ls",
    "id",
    "pwd",
    "env",
    "stat",
    "sleep",
    "test",
    "mkdir",
    "rm",
    "touch",
    "find",
    "sort",
    "grep",
    "head",
    "sha256sum",
    "readlink",
    "wc",
    "whoami",
    "ln",
];

fn busybox_layer(program: &Path) -> Layer {
    let program = fs::read(program).expect("a program can be read");
    let mut layer = Layer::new();
    for (folder, mode) in [
        ("bin/", 0o755),
        ("etc/", 0o755),
        ("tmp/", 0o1777),
        ("root/", 0o700),
        ("srv/", 0o755),
    ] {
        layer = layer.folder(folder, mode);
    }
    layer = layer
        .file("bin/busybox", 0o755, program)
        .file(
            "etc/passwd",
            0o644,
            "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/srv/app:/bin/sh\n",
        )
        .file("etc/group", 0o644, "root:x:0:\napp:x:1000:\nstaff:x:50:app\n")
        .owned("srv/app/", 1000, 0o755, "");
    for name in APPLETS {
        layer = layer.symlink(&format!("bin/{name}"), "busybox");
    }
    layer
}
