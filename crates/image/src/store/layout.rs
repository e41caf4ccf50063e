//! Where things lie in the store.

use std::path::{Path, PathBuf};

use agentkernel_types::Digest;

#[derive(Clone, Debug)]
pub struct Layout(PathBuf);

impl Layout {
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self(folder.into())
    }

    pub fn folder(&self) -> &Path {
        &self.0
    }

    /// Shared by writers, exclusive to removal.
    pub fn lock(&self) -> PathBuf {
        self.0.join("lock")
    }

    /// Says whose store it is.
    pub fn marker(&self) -> PathBuf {
        self.0.join("store.json")
    }

    pub fn names(&self) -> PathBuf {
        self.0.join("names")
    }

    pub fn images(&self) -> PathBuf {
        self.0.join("images")
    }

    pub fn manifests(&self) -> PathBuf {
        self.0.join("manifests")
    }

    pub fn configs(&self) -> PathBuf {
        self.0.join("configs")
    }

    pub fn layers(&self) -> PathBuf {
        self.0.join("layers")
    }

    /// Everything that is not finished.
    pub fn incoming(&self) -> PathBuf {
        self.0.join("incoming")
    }

    pub fn name(&self, file_name: &str) -> PathBuf {
        self.names().join(format!("{file_name}.json"))
    }

    pub fn image(&self, id: &Digest) -> PathBuf {
        self.images().join(format!("{}.json", id.hex()))
    }

    pub fn manifest(&self, digest: &Digest) -> PathBuf {
        self.manifests().join(digest.hex())
    }

    pub fn config(&self, id: &Digest) -> PathBuf {
        self.configs().join(id.hex())
    }

    pub fn layer(&self, diff_id: &Digest) -> PathBuf {
        self.layers().join(diff_id.hex())
    }

    pub fn layer_record(&self, diff_id: &Digest) -> PathBuf {
        self.layer(diff_id).join(LAYER_RECORD)
    }

    pub fn tree(&self, diff_id: &Digest) -> PathBuf {
        self.layer(diff_id).join(crate::unpack::TREE)
    }
}

pub const LAYER_RECORD: &str = "layer.json";
