//! The backend: what it is, what it refuses, and its sandboxes.

use std::{collections::HashSet, fs, path::PathBuf, sync::Arc, time::Duration};

use agentkernel_agent_client::AgentConnection;
use agentkernel_backend::{
    Backend, Context, Descriptor, Error, Leftover, Result, Sandbox, SandboxHandle, Settings, Workspace,
};
use agentkernel_egress::gateway::is_carried;
use agentkernel_image::{Image, Lease};
use agentkernel_types::{Capabilities, ErrorKind, Lifetime, SandboxId, SandboxSpec};
use async_trait::async_trait;
use futures_util::future::BoxFuture;

use crate::{
    handle::Handle,
    host::Host,
    image, limits,
    probe::probe,
    sandbox::NativeSandbox,
    start::{self, Folders},
    unfinished,
};

pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "native",
    summary: "the Linux kernel's own walls, nothing to install",
    isolation: agentkernel_types::Isolation::Container,
    connect,
    probe,
};

fn connect(settings: &Settings) -> BoxFuture<'_, Result<Arc<dyn Backend>>> {
    Box::pin(async move { Ok(Arc::new(NativeBackend::new(settings)) as Arc<dyn Backend>) })
}

pub(crate) struct NativeBackend {
    host: Arc<Host>,
}

impl NativeBackend {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            host: Arc::new(Host::new(settings)),
        }
    }

    fn sandbox(
        &self,
        spec: &SandboxSpec,
        workspace: &Workspace,
        handle: Handle,
        lease: Option<Lease>,
    ) -> Arc<dyn Sandbox> {
        let folders = match workspace {
            Workspace::Folder(path) if spec.lifetime == Lifetime::Kept => Some(Folders::of(path)),
            _ => None,
        };
        Arc::new(NativeSandbox::new(
            Arc::clone(&self.host),
            spec.clone(),
            folders,
            handle,
            lease,
        ))
    }
}

impl NativeBackend {
    fn check_on(&self, spec: &SandboxSpec, image: Option<&Image>) -> Result<()> {
        let user = start::user(spec, image)?;
        start::identity(&self.host, spec, image, &user, None)?;
        if let Some(image) = image {
            image::layers::workdir(image, spec)?;
        }
        let carried = is_carried(spec.network.policy.mode);
        if carried && spec.lifetime == Lifetime::Kept && self.host.settings.network_program.is_empty() {
            let message = "this installation has no program to carry the network of a kept sandbox";
            return Err(Error::unsupported("create", "network", message)
                .hint("choose --network none or --network host"));
        }
        let resources = &spec.resources;
        if resources.disk.is_some() && spec.lifetime == Lifetime::Kept {
            let message = "the native backend cannot limit the disk of a kept sandbox";
            return Err(Error::unsupported("create", "resources.disk", message)
                .hint("limit the file system under agentkernel's data folder, or use an ephemeral sandbox"));
        }
        if resources.memory.is_some() {
            self.host.limits().memory()?;
        }
        if resources.cpus.is_some() {
            self.host.limits().cpus()?;
        }
        if resources.pids.is_some() {
            self.host.pids()?;
        }
        Ok(())
    }
}

#[async_trait]
impl Backend for NativeBackend {
    fn descriptor(&self) -> &'static Descriptor {
        &DESCRIPTOR
    }

    fn capabilities(&self) -> &Capabilities {
        self.host.capabilities()
    }

    fn check(&self, spec: &SandboxSpec) -> Result<()> {
        let lease = image::layers::lease(&self.host, spec)?;
        self.check_on(spec, lease.as_ref().map(|lease| &lease.image))
    }

    async fn create(
        &self,
        _cx: &Context,
        spec: &SandboxSpec,
        workspace: &Workspace,
    ) -> Result<Arc<dyn Sandbox>> {
        let lease = image::layers::lease(&self.host, spec)?;
        let image = lease.as_ref().map(|lease| &lease.image);
        self.check_on(spec, image)?;
        if spec.lifetime == Lifetime::Ephemeral {
            return Ok(self.sandbox(spec, workspace, Handle::default(), lease));
        }
        let Workspace::Folder(path) = workspace else {
            return Err(Error::new(
                ErrorKind::InvalidSpec,
                "create",
                "a kept sandbox needs a workspace",
            ));
        };
        let identity = start::identity(&self.host, spec, image, &start::user(spec, image)?, None)?;
        let folders = Folders::of(path);
        folders.make(&identity).map_err(|error| {
            let _ = folders.remove();
            Error::new(
                ErrorKind::Broken,
                "create",
                format!("cannot make the sandbox's folders in {}", path.display()),
            )
            .because(error)
        })?;
        Ok(self.sandbox(spec, workspace, Handle::of(&identity), lease))
    }

    async fn open(
        &self,
        _cx: &Context,
        spec: &SandboxSpec,
        workspace: &Workspace,
        handle: &SandboxHandle,
    ) -> Result<Arc<dyn Sandbox>> {
        Ok(self.sandbox(spec, workspace, Handle::parse(handle), None))
    }

    async fn leftovers(&self, _cx: &Context, known: &[SandboxId]) -> Result<Vec<Leftover>> {
        let known: HashSet<&str> = known.iter().map(SandboxId::as_str).collect();
        let mut found = Vec::new();
        for group in limits::leftovers() {
            if !group.in_use && !known.contains(group.id.as_str()) {
                found.push(Leftover {
                    kind: "cgroup".to_owned(),
                    name: group.path.display().to_string(),
                });
            }
        }
        let cache = &self.host.settings.cache_dir;
        for path in [cache.clone(), cache.join("host-image")]
            .iter()
            .flat_map(|folder| unfinished::abandoned(folder))
        {
            found.push(Leftover {
                kind: "cache".to_owned(),
                name: path.display().to_string(),
            });
        }
        for socket in self.sockets() {
            let id = socket
                .file_stem()
                .map(|stem| sandbox_of(&stem.to_string_lossy()).to_owned())
                .unwrap_or_default();
            if crate::socket::connect(&socket).is_err() || !known.contains(id.as_str()) {
                found.push(Leftover {
                    kind: "socket".to_owned(),
                    name: socket.display().to_string(),
                });
            }
        }
        Ok(found)
    }

    async fn sweep(&self, _cx: &Context, leftover: &Leftover) -> Result<()> {
        let path = PathBuf::from(&leftover.name);
        let failed = |error: std::io::Error| {
            Error::new(
                ErrorKind::Broken,
                "gc",
                format!("cannot remove {}", leftover.name),
            )
            .because(error)
        };
        match leftover.kind.as_str() {
            "cgroup" => limits::sweep(&path).map_err(failed),
            "socket" => self.sweep_socket(&path).await.map_err(failed),
            "cache" => unfinished::remove(&path).map_err(failed),
            other => Err(Error::new(
                ErrorKind::InvalidSpec,
                "gc",
                format!("unknown kind of leftover {other:?}"),
            )),
        }
    }
}

/// `ID.sock` is the sandbox's agent, `ID.net.sock` its gateway.
fn sandbox_of(stem: &str) -> &str {
    stem.strip_suffix(".net").unwrap_or(stem)
}

impl NativeBackend {
    fn sockets(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(&self.host.settings.runtime_dir) else {
            return Vec::new();
        };
        let is_ours = |path: &PathBuf| {
            let stem = path.file_stem().and_then(|stem| stem.to_str());
            path.extension().is_some_and(|extension| extension == "sock")
                && stem.is_some_and(|stem| sandbox_of(stem).parse::<SandboxId>().is_ok())
        };
        entries
            .flatten()
            .map(|entry| entry.path())
            .filter(is_ours)
            .collect()
    }

    /// A sandbox that nobody knows any more may still run behind its socket: it is ended, too.
    async fn sweep_socket(&self, path: &std::path::Path) -> std::io::Result<()> {
        let is_gateway = path.to_string_lossy().ends_with(".net.sock");
        if !is_gateway
            && let Ok(stream) = crate::socket::connect(path)
            && let Ok(stream) = crate::sandbox::tokio_stream(stream)
        {
            let cx = Context::within(Duration::from_secs(5));
            if AgentConnection::open(stream)
                .shutdown(&cx, Duration::ZERO)
                .await
                .is_err()
            {
                return Err(std::io::Error::other("the sandbox behind it does not end"));
            }
        }
        match fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}
