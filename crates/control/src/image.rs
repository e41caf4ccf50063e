//! Images: what can be asked of them.

use std::{
    collections::BTreeMap,
    fmt,
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
};

use agentkernel_backend::Result;
use agentkernel_types::{Digest, ImageEvent, PullPolicy};
use async_trait::async_trait;
use serde::Serialize;

/// Everything about images that can be asked.
#[async_trait]
pub trait Images: Send + Sync {
    /// Fetches an image from its registry, whether it is here or not.
    async fn pull(&self, name: &str, access: &ImageAccess) -> Result<ImageInfo>;
    /// The digest that a name stands for in its registry now.
    async fn digest(&self, name: &str, access: &ImageAccess) -> Result<Digest>;
    /// Takes images out of an archive or a folder.
    async fn import(&self, request: ImportRequest) -> Result<Vec<ImageInfo>>;
    /// Writes an image as an archive.
    async fn export(&self, name: &str, format: ArchiveFormat, to: File) -> Result<()>;
    /// Takes an image over from an engine of this machine.
    async fn load(&self, request: LoadRequest) -> Result<Vec<ImageInfo>>;
    /// Builds an image with an engine of this machine, unless the same one has been built before.
    async fn build(&self, request: BuildRequest) -> Result<Built>;
    /// The image that was built from the same inputs before.
    async fn built(&self, request: &BuildRequest) -> Result<Option<Digest>>;
    /// A name as it is written down: `alpine` is `docker.io/library/alpine:latest`.
    fn full_name(&self, name: &str) -> Result<String>;
    /// The image that detection takes for a project, if it is one of a registry.
    fn detected(&self, project_dir: &Path) -> Result<Option<String>>;
    async fn list(&self) -> Result<ImageListing>;
    async fn inspect(&self, name: &str) -> Result<ImageDetails>;
    /// Removes names; with its last name goes the image. One in use is refused.
    async fn remove(&self, name: &str, force: bool) -> Result<ImagesRemoved>;
    async fn prune(&self, request: PruneRequest) -> Result<ImagesRemoved>;
}

/// Is told what happens while an image is fetched.
#[derive(Clone, Default)]
pub struct Progress(Option<Arc<dyn Fn(ImageEvent) + Send + Sync>>);

impl Progress {
    pub fn new(tell: impl Fn(ImageEvent) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(tell)))
    }

    pub fn tell(&self, event: ImageEvent) {
        if let Some(tell) = &self.0 {
            tell(event);
        }
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() {
            "Progress(told)"
        } else {
            "Progress(silent)"
        })
    }
}

/// Who is listening says nothing about what is asked.
impl PartialEq for Progress {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// How images may be got.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImageAccess {
    pub policy: PullPolicy,
    /// By `HOST` or `HOST:PORT`.
    pub registries: BTreeMap<String, RegistryAccess>,
    /// The project's lock file: a name in full, and the manifest that it stands for.
    pub pinned: BTreeMap<String, Digest>,
    /// After a pull the least recently used images go until the store has no more bytes than this.
    pub max_bytes: Option<u64>,
    /// None: a few.
    pub parallel_layers: Option<u32>,
    pub progress: Progress,
}

#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RegistryAccess {
    /// Plain HTTP.
    pub insecure: bool,
    /// A PEM file with authorities that are trusted beside those of the system.
    pub ca: Option<PathBuf>,
    /// Asked first, in this order.
    pub mirrors: Vec<String>,
}

/// Where an import comes from.
#[derive(Debug)]
pub enum ImportSource {
    /// An open file, pipe or socket, and what it is called.
    Stream { file: File, label: String },
    /// An OCI layout.
    Folder(PathBuf),
}

#[derive(Debug)]
pub struct ImportRequest {
    pub source: ImportSource,
    /// None: the names that the archive carries.
    pub name: Option<String>,
    /// For a plain root file system, which says nothing itself.
    pub defaults: ImportDefaults,
}

#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ImportDefaults {
    pub cmd: Vec<String>,
    pub entrypoint: Vec<String>,
    pub env: Vec<(String, String)>,
    pub workdir: Option<String>,
    pub user: Option<String>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ArchiveFormat {
    Docker,
    Oci,
}

#[derive(Clone, Debug)]
pub struct LoadRequest {
    pub name: String,
    /// The engine; None: the first that has the image.
    pub from: Option<String>,
    pub progress: Progress,
}

#[derive(Clone, Debug)]
pub struct BuildRequest {
    /// Absolute.
    pub context: PathBuf,
    /// None: `Dockerfile` or `Containerfile` in the context.
    pub dockerfile: Option<PathBuf>,
    pub name: Option<String>,
    pub target: Option<String>,
    pub args: BTreeMap<String, String>,
    /// The engine; None: the first that there is.
    pub builder: Option<String>,
    /// Even if the same image has been built before.
    pub fresh: bool,
    pub progress: Progress,
}

#[derive(Clone, Debug, Serialize)]
pub struct Built {
    pub image: ImageInfo,
    /// Nothing was built: the same inputs had been built before.
    pub cached: bool,
    /// The engine that built it.
    pub builder: Option<String>,
}

#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct ImageInfo {
    pub id: Digest,
    /// In full.
    pub names: Vec<String>,
    /// Where it came from, in words.
    pub source: String,
    /// Of its layers, shared ones included.
    pub bytes: u64,
    /// Of these, what no other image uses.
    pub own_bytes: u64,
    /// When it came into the store. Milliseconds since 1970.
    pub created_at_ms: u64,
    pub used_at_ms: u64,
    /// By a running sandbox, or by a kept one.
    pub in_use: bool,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct ImageListing {
    pub images: Vec<ImageInfo>,
    /// Ids whose records cannot be read, and why.
    pub damaged: Vec<(Digest, String)>,
}

#[derive(Clone, Debug, Serialize)]
pub struct ImageDetails {
    #[serde(flatten)]
    pub info: ImageInfo,
    pub manifest: Option<Digest>,
    pub platform: String,
    pub env: Vec<String>,
    pub workdir: Option<String>,
    pub user: Option<String>,
    pub entrypoint: Vec<String>,
    pub cmd: Vec<String>,
    pub labels: BTreeMap<String, String>,
    pub exposed_ports: Vec<String>,
    pub volumes: Vec<String>,
    pub stop_signal: Option<String>,
    /// RFC 3339, as the image says.
    pub created: Option<String>,
    pub layers: Vec<LayerDetails>,
}

#[derive(Clone, Debug, Serialize)]
pub struct LayerDetails {
    pub diff_id: Digest,
    pub bytes: u64,
    pub entries: u64,
}

#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PruneRequest {
    /// Every image that is in no use, not only those without a name.
    pub all: bool,
    /// The least recently used ones until no more bytes than this are taken.
    pub keep_bytes: Option<u64>,
    pub dry_run: bool,
}

#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct ImagesRemoved {
    pub images: Vec<Digest>,
    pub names: Vec<String>,
    pub bytes: u64,
}
