//! The backend and its sandboxes.

use std::{path::PathBuf, sync::Arc, time::Duration};

use agentkernel_types::{Capabilities, ExecId, ExecSpec, Exit, Resources, SandboxId, SandboxSpec};
use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::{Context, Descriptor, Files, Network, Process, Result};

/// Makes sandboxes of one kind.
#[async_trait]
pub trait Backend: Send + Sync {
    fn descriptor(&self) -> &'static Descriptor;

    fn capabilities(&self) -> &Capabilities;

    /// Refuses by name what it cannot honour, before anything is made: pure but for looking at the host.
    fn check(&self, spec: &SandboxSpec) -> Result<()>;

    /// Makes a stopped sandbox. Dropping the future, or an error, leaves nothing behind.
    async fn create(
        &self,
        cx: &Context,
        spec: &SandboxSpec,
        workspace: &Workspace,
    ) -> Result<Arc<dyn Sandbox>>;

    /// Opens one that was made before, by any process. `handle` is what [`Sandbox::handle`] gave then.
    async fn open(
        &self,
        cx: &Context,
        spec: &SandboxSpec,
        workspace: &Workspace,
        handle: &SandboxHandle,
    ) -> Result<Arc<dyn Sandbox>>;

    /// What exists on this host and belongs to none of `known` and to no living process.
    async fn leftovers(&self, cx: &Context, known: &[SandboxId]) -> Result<Vec<Leftover>>;

    /// Removes one of them. Removing the gone is a success.
    async fn sweep(&self, cx: &Context, leftover: &Leftover) -> Result<()>;
}

/// One sandbox. All calls may be made from any number of tasks at once.
#[async_trait]
pub trait Sandbox: Send + Sync {
    fn id(&self) -> &SandboxId;

    /// What the store must remember to open it again; asked for after `create` and after `start`.
    fn handle(&self) -> SandboxHandle;

    /// Starting the running is a success.
    async fn start(&self, cx: &Context) -> Result<()>;

    /// Asks the commands to end (SIGTERM), waits at most `grace`, then kills everything. Files stay.
    /// Stopping the stopped is a success.
    async fn stop(&self, cx: &Context, grace: Duration) -> Result<()>;

    /// Stops at once and removes everything that the backend made, the workspace's content included.
    /// Destroying the gone is a success.
    async fn destroy(&self, cx: &Context) -> Result<()>;

    /// Asks the thing itself, not a record.
    async fn state(&self, cx: &Context) -> Result<SandboxState>;

    /// Runs a command in a running sandbox. A command that cannot be executed is an error of kind
    /// `CommandNotFound` or `NotExecutable`.
    async fn exec(&self, cx: &Context, spec: ExecSpec) -> Result<Process>;

    /// The detached commands of this sandbox, running or ended, also of earlier starts.
    async fn detached(&self, cx: &Context) -> Result<Vec<DetachedStatus>>;

    /// The kept output of a detached command from `offset` on; with `follow` until it ends.
    async fn detached_log(
        &self,
        cx: &Context,
        id: &ExecId,
        stream: LogStream,
        offset: u64,
        follow: bool,
    ) -> Result<mpsc::Receiver<Result<Bytes>>>;

    async fn kill_detached(&self, cx: &Context, id: &ExecId) -> Result<()>;

    async fn stats(&self, cx: &Context) -> Result<Stats>;

    /// None where the capabilities do not declare `files`.
    fn files(&self) -> Option<&dyn Files>;

    /// None where the capabilities declare no mode but `none` and `host`.
    fn network(&self) -> Option<&dyn Network>;
}

/// Where a sandbox may keep its files: made by the engine, empty at `create`, removed by the engine after `destroy`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Workspace {
    /// An ephemeral sandbox: nothing on disk.
    None,
    /// A folder of its own that survives a reboot; mode 0700.
    Folder(PathBuf),
}

/// Opaque to everyone but the backend that gave it.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SandboxHandle(pub serde_json::Value);

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SandboxState {
    Running,
    Stopped,
    /// Its resources are gone: only the record is left.
    Gone,
}

/// A resource without an owner, found by [`Backend::leftovers`].
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Leftover {
    /// `process`, `cgroup`, `folder`, `container`, ...
    pub kind: String,
    /// Enough to find it again: a path or an identifier.
    pub name: String,
}

#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct DetachedStatus {
    pub id: ExecId,
    /// For people: not exact where an argument is not UTF-8.
    pub command: Vec<String>,
    /// Milliseconds since 1970.
    pub started_at_ms: u64,
    /// None while it runs.
    pub exit: Option<Exit>,
    pub stdout_bytes: u64,
    pub stderr_bytes: u64,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogStream {
    Stdout,
    Stderr,
}

/// What a running sandbox uses now.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    /// Bytes; None where the host cannot say.
    pub memory: Option<u64>,
    /// Processor time used since the start, in microseconds.
    pub cpu_us: Option<u64>,
    /// Processes, PID 1 included.
    pub processes: u32,
    pub limits: Resources,
}
