//! The engine itself: its options, and the inner API as one line a use case.

use std::{
    ffi::OsString,
    path::Path,
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use agentkernel_backend::{Backend, Descriptor, Settings};
use agentkernel_control::{
    ByteStream, Control, DetachedStatus, Doctor, Explanation, FileStat, GcReport, Images, LogStream,
    Networks, Process, Result, Run, RunRequest, SandboxInfo, SandboxRequest, Stats,
};
use agentkernel_store::{Paths, Store};
use agentkernel_types::{ExecId, ExecSpec, GuestPath, SandboxName};
use async_trait::async_trait;

use crate::failure::from_store;

/// What an engine is made of.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    pub paths: Paths,
    /// In the order of preference among backends of the same isolation grade.
    pub descriptors: Vec<&'static Descriptor>,
    /// See [`Settings::network_program`].
    pub network_program: Vec<OsString>,
}

/// Runs in the process of whoever asks; cloning it is cheap. Making one touches nothing.
#[derive(Clone)]
pub struct Engine {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) settings: Settings,
    /// Best isolation first.
    pub(crate) descriptors: Vec<&'static Descriptor>,
    pub(crate) connected: Mutex<Vec<Arc<dyn Backend>>>,
    paths: Paths,
    store: OnceLock<Store>,
}

impl Engine {
    pub fn new(options: EngineOptions) -> Self {
        let EngineOptions {
            paths,
            mut descriptors,
            network_program,
        } = options;
        // Stable: the order of registration decides among equals.
        descriptors.sort_by_key(|descriptor| std::cmp::Reverse(descriptor.isolation));
        let settings = Settings {
            runtime_dir: paths.runtime.clone(),
            cache_dir: paths.cache.clone(),
            images_dir: paths.images(),
            network_program,
        };
        let (connected, store) = (Mutex::default(), OnceLock::new());
        Self {
            shared: Arc::new(Shared {
                settings,
                descriptors,
                connected,
                paths,
                store,
            }),
        }
    }

    pub(crate) fn own_folders(&self) -> [&Path; 4] {
        let Paths {
            data,
            cache,
            runtime,
            config,
        } = &self.shared.paths;
        [data, cache, runtime, config]
    }

    /// Opened at the first need: an ephemeral run never looks at it.
    pub(crate) fn store(&self) -> Result<&Store> {
        if let Some(store) = self.shared.store.get() {
            return Ok(store);
        }
        let store = Store::open(&self.shared.paths).map_err(from_store)?;
        Ok(self.shared.store.get_or_init(|| store))
    }
}

#[async_trait]
impl Control for Engine {
    async fn run(&self, request: RunRequest) -> Result<Run> {
        self.run_command(request).await
    }

    async fn explain(&self, request: &RunRequest) -> Result<Explanation> {
        self.explain_run(request).await
    }

    async fn create(&self, request: SandboxRequest) -> Result<SandboxInfo> {
        self.create_kept(request).await
    }

    async fn start(&self, name: &SandboxName) -> Result<SandboxInfo> {
        self.start_kept(name).await
    }

    async fn stop(&self, name: &SandboxName, grace: Duration) -> Result<SandboxInfo> {
        self.stop_kept(name, grace).await
    }

    async fn remove(&self, name: &SandboxName, force: bool) -> Result<()> {
        self.remove_kept(name, force).await
    }

    async fn list(&self) -> Result<Vec<SandboxInfo>> {
        self.list_kept().await
    }

    async fn inspect(&self, name: &SandboxName) -> Result<SandboxInfo> {
        self.inspect_kept(name).await
    }

    async fn exec(&self, name: &SandboxName, spec: ExecSpec) -> Result<Process> {
        self.exec_kept(name, spec).await
    }

    async fn exec_detached(&self, name: &SandboxName, spec: ExecSpec) -> Result<ExecId> {
        self.exec_kept_detached(name, spec).await
    }

    async fn detached(&self, name: &SandboxName) -> Result<Vec<DetachedStatus>> {
        self.detached_of(name).await
    }

    async fn kill_detached(&self, name: &SandboxName, id: &ExecId) -> Result<()> {
        self.kill_detached_of(name, id).await
    }

    async fn logs(
        &self,
        name: &SandboxName,
        id: Option<&ExecId>,
        stream: LogStream,
        follow: bool,
    ) -> Result<ByteStream> {
        self.logs_of(name, id, stream, follow).await
    }

    async fn stats(&self, name: &SandboxName) -> Result<Stats> {
        self.stats_of(name).await
    }

    async fn copy_out(&self, name: &SandboxName, path: &GuestPath) -> Result<ByteStream> {
        self.copy_out_of(name, path).await
    }

    async fn copy_in(&self, name: &SandboxName, path: &GuestPath, archive: ByteStream) -> Result<()> {
        self.copy_into(name, path, archive).await
    }

    async fn stat(&self, name: &SandboxName, path: &GuestPath) -> Result<FileStat> {
        self.stat_in(name, path).await
    }

    async fn gc(&self, dry_run: bool) -> Result<GcReport> {
        self.collect_garbage(dry_run).await
    }

    async fn doctor(&self) -> Result<Doctor> {
        self.examine().await
    }

    fn images(&self) -> &dyn Images {
        self
    }

    fn networks(&self) -> &dyn Networks {
        self
    }
}
