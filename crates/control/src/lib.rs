//! The inner API: everything that can be asked of agentkernel, as one trait.
//!
//! The engine implements it in this process; a client of a running server can implement it as well.
//! The CLI, and later the HTTP API and MCP, only parse, call [`Control`] and render.
//! No policy and no I/O here.

mod event;
mod image;
mod network;
mod reply;
mod request;

use std::time::Duration;

pub use agentkernel_backend::{
    DetachedStatus, Error, FileStat, Leftover, LogStream, Output, Process, ProcessSink, Result, SandboxState,
    Stats,
};
use agentkernel_types::{ExecId, ExecSpec, GuestPath, SandboxName};
use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::mpsc;

pub use event::{Event, EventKind, Notice, Run};
pub use image::{
    ArchiveFormat, BuildRequest, Built, ImageAccess, ImageDetails, ImageInfo, ImageListing, Images,
    ImagesRemoved, ImportDefaults, ImportRequest, ImportSource, LayerDetails, LoadRequest, Progress,
    PruneRequest, RegistryAccess,
};
pub use network::{NetworkInfo, Networks, PolicyEdit, PortInfo};
pub use reply::{BackendReport, Choice, Doctor, Explanation, GcReport, SandboxInfo};
pub use request::{InjectedFile, RunRequest, SandboxRequest};

/// A stream of a tar archive (POSIX pax), or of a log.
pub type ByteStream = mpsc::Receiver<Result<Bytes>>;

#[async_trait]
pub trait Control: Send + Sync {
    /// Runs one command in a fresh sandbox. The sandbox is gone when the `Finished` event comes, and also when
    /// the `Run` is dropped, unless `request.keep`.
    async fn run(&self, request: RunRequest) -> Result<Run>;

    /// What `run` would do, and why; nothing is made.
    async fn explain(&self, request: &RunRequest) -> Result<Explanation>;

    /// Makes a kept sandbox and starts it.
    async fn create(&self, request: SandboxRequest) -> Result<SandboxInfo>;
    async fn start(&self, name: &SandboxName) -> Result<SandboxInfo>;
    async fn stop(&self, name: &SandboxName, grace: Duration) -> Result<SandboxInfo>;
    /// A running one only with `force`. With `force` the gone is a success.
    async fn remove(&self, name: &SandboxName, force: bool) -> Result<()>;
    /// Kept sandboxes in the order of their names.
    async fn list(&self) -> Result<Vec<SandboxInfo>>;
    async fn inspect(&self, name: &SandboxName) -> Result<SandboxInfo>;

    /// Runs a command in a kept sandbox, which is started if it is stopped.
    async fn exec(&self, name: &SandboxName, spec: ExecSpec) -> Result<Process>;
    async fn exec_detached(&self, name: &SandboxName, spec: ExecSpec) -> Result<ExecId>;
    async fn detached(&self, name: &SandboxName) -> Result<Vec<DetachedStatus>>;
    async fn kill_detached(&self, name: &SandboxName, id: &ExecId) -> Result<()>;
    /// The output of a detached command, the latest one if `id` is None.
    async fn logs(
        &self,
        name: &SandboxName,
        id: Option<&ExecId>,
        stream: LogStream,
        follow: bool,
    ) -> Result<ByteStream>;
    async fn stats(&self, name: &SandboxName) -> Result<Stats>;

    /// The file or folder at `path` as a tar stream, whose entries begin with its last name.
    async fn copy_out(&self, name: &SandboxName, path: &GuestPath) -> Result<ByteStream>;
    /// Unpacks a tar stream into the folder at `path`, which is made if it is missing.
    async fn copy_in(&self, name: &SandboxName, path: &GuestPath, archive: ByteStream) -> Result<()>;
    async fn stat(&self, name: &SandboxName, path: &GuestPath) -> Result<FileStat>;

    /// Finds and removes whatever belongs to nobody any more.
    async fn gc(&self, dry_run: bool) -> Result<GcReport>;
    /// Probes every backend for real.
    async fn doctor(&self) -> Result<Doctor>;

    /// Everything about images.
    fn images(&self) -> &dyn Images;

    /// Everything about the networks of kept sandboxes.
    fn networks(&self) -> &dyn Networks;
}
