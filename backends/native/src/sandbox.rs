//! One native sandbox.

mod facet;

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex as StdMutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use agentkernel_agent_client::AgentConnection;
use agentkernel_backend::{
    Context, DetachedStatus, Error, Files, LogStream, Network, Process, Result, Sandbox, SandboxHandle,
    SandboxState, Stats,
};
use agentkernel_egress::gateway::{Gateway, Setup, is_carried};
use agentkernel_image::Lease;
use agentkernel_types::{ErrorKind, ExecId, ExecSpec, Lifetime, SandboxId, SandboxSpec};
use async_trait::async_trait;
use bytes::Bytes;
use rustix::fd::OwnedFd;
use tokio::sync::{Mutex, mpsc};

use crate::{
    detached::Logs,
    files::SandboxFiles,
    handle::{Handle, ProcessIdentity},
    host::Host,
    image,
    launch::{Launched, plan::Plan},
    limits::{self, Group},
    network, oom,
    start::{self, Folders, Started, Wanted},
};

/// After the grace of a stop the agent has this long to end before PID 1 is killed.
const AFTER_GRACE: Duration = Duration::from_secs(2);

pub(crate) struct NativeSandbox {
    shared: Arc<Shared>,
    files: SandboxFiles,
}

/// What the sandbox and its file facet have in common.
pub(crate) struct Shared {
    host: Arc<Host>,
    spec: SandboxSpec,
    folders: Option<Folders>,
    handle: StdMutex<Handle>,
    live: Mutex<Live>,
    destroyed: AtomicBool,
}

/// What this process holds of a running sandbox.
#[derive(Default)]
struct Live {
    connection: Option<AgentConnection>,
    /// Only in the process that started it.
    launched: Option<Launched>,
    group: Option<Arc<Group>>,
    /// Until the agent has answered: what a failure of the launch is explained with.
    booting: Option<Box<Plan>>,
    /// Of an ephemeral sandbox: it ends with this process.
    gateway: Option<Arc<Gateway>>,
    /// Nobody removes the image as long as this process holds the sandbox.
    lease: Option<Lease>,
}

impl NativeSandbox {
    pub(crate) fn new(
        host: Arc<Host>,
        spec: SandboxSpec,
        folders: Option<Folders>,
        handle: Handle,
        lease: Option<Lease>,
    ) -> Self {
        let shared = Arc::new(Shared {
            host,
            spec,
            folders,
            handle: StdMutex::new(handle),
            live: Mutex::new(Live {
                lease,
                ..Live::default()
            }),
            destroyed: AtomicBool::new(false),
        });
        Self {
            files: SandboxFiles::new(Arc::clone(&shared)),
            shared,
        }
    }
}

impl Shared {
    fn is_kept(&self) -> bool {
        self.spec.lifetime == Lifetime::Kept
    }

    fn handle(&self) -> MutexGuard<'_, Handle> {
        self.handle
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn socket(&self) -> PathBuf {
        self.host.socket(&self.spec.id)
    }

    /// A connection to the running sandbox, made at first need.
    pub(crate) async fn connection(&self, operation: &'static str) -> Result<AgentConnection> {
        let mut live = self.live.lock().await;
        if let Some(connection) = live
            .connection
            .as_ref()
            .filter(|connection| !connection.is_closed())
        {
            return Ok(connection.clone());
        }
        let not_running = || {
            let name = self
                .spec
                .name
                .as_ref()
                .map_or(self.spec.id.as_str(), |name| name.as_str());
            Error::new(
                ErrorKind::Conflict,
                operation,
                format!("sandbox {name} is not running"),
            )
        };
        if !self.is_kept() {
            return Err(not_running());
        }
        let stream = crate::socket::connect(&self.socket()).map_err(|_| not_running())?;
        let connection =
            AgentConnection::open(tokio_stream(stream).map_err(|error| not_running().because(error))?);
        live.connection = Some(connection.clone());
        if live.group.is_none() && limits::any(&self.spec.resources) {
            live.group = Group::open(self.host.limits(), &self.spec.id).map(Arc::new);
        }
        Ok(connection)
    }

    async fn group(&self) -> Option<Arc<Group>> {
        self.live.lock().await.group.clone()
    }

    async fn start(&self, cx: &Context) -> Result<()> {
        let mut live = self.live.lock().await;
        let running = match &live.connection {
            Some(connection) => !connection.is_closed(),
            None => self.is_kept() && crate::socket::connect(&self.socket()).is_ok(),
        };
        if running {
            return Ok(());
        }
        let lease = match std::mem::take(&mut *live).lease {
            Some(lease) => Some(lease),
            None => image::layers::lease(&self.host, &self.spec)?,
        };
        self.clear_away();
        let kept = self.handle().clone();
        let kept = self.is_kept().then_some(&kept);
        let Started {
            mut launched,
            plan,
            group,
            boot,
        } = start::start(
            &self.host,
            Wanted {
                spec: &self.spec,
                image: lease.as_ref().map(|lease| &lease.image),
                folders: self.folders.as_ref(),
                kept,
            },
        )?;
        let owner = launched
            .owner
            .try_clone()
            .and_then(tokio_stream)
            .map_err(start::io_failed)?;
        let connection = AgentConnection::open_and_boot(owner, boot);
        let gateway = match self.gateway(cx, &mut launched).await {
            Ok(gateway) => gateway,
            Err(error) => {
                drop(launched);
                remove(group);
                return Err(error);
            }
        };
        let mut booting = Some(Box::new(plan));
        if self.is_kept() {
            if let Err(error) = connection.ready(cx).await {
                let reason = booting.take().map(|plan| launched.failure(&plan));
                drop(launched);
                remove(group);
                return Err(reason.unwrap_or(error));
            }
            booting = None;
            let process = ProcessIdentity::of(launched.pid);
            self.handle().process = process;
            launched.let_go();
        }
        let group = group.map(Arc::new);
        *live = Live {
            connection: Some(connection),
            launched: Some(launched),
            group,
            booting,
            gateway,
            lease,
        };
        Ok(())
    }

    async fn gateway(&self, cx: &Context, launched: &mut Launched) -> Result<Option<Arc<Gateway>>> {
        let Some(setup) = Setup::of(&self.spec) else {
            return Ok(None);
        };
        let places = self.folders.as_ref().map(|folders| network::Places {
            program: &self.host.settings.network_program,
            socket: self.host.gateway_socket(&self.spec.id),
            journal: folders.journal.clone(),
        });
        network::start(cx, launched, setup, places).await
    }

    /// The first command of an ephemeral sandbox goes out with the boot message, without waiting for an answer:
    /// so it may be the first to learn that the sandbox never came up.
    async fn explain(&self, error: Error) -> Error {
        let mut live = self.live.lock().await;
        let closed = live.connection.as_ref().is_some_and(AgentConnection::is_closed);
        let Live {
            launched: Some(launched),
            booting,
            ..
        } = &mut *live
        else {
            return error;
        };
        match booting.take().filter(|_| closed) {
            Some(plan) => launched.failure(&plan),
            None => error,
        }
    }

    /// PID 1, if it still lives.
    fn process(&self, live: &Live) -> Option<OwnedFd> {
        if let Some(launched) = &live.launched {
            return launched.pidfd.try_clone().ok();
        }
        self.handle().process.as_ref()?.open()
    }

    /// Ends everything that runs. Afterwards nothing of this start is left but files.
    async fn stop(&self, cx: &Context, grace: Duration) -> Result<()> {
        let connection = self.connection("stop").await.ok();
        let mut live = self.live.lock().await;
        let process = self.process(&live);
        // Without its process's identity (its starter was killed before it could be stored) only the agent can end it.
        let must_ask = process.is_none() || !grace.is_zero();
        if let Some(connection) = connection.filter(|_| must_ask) {
            // A hostile sandbox may not answer: the deadline decides.
            let asked = tokio::time::timeout(grace + AFTER_GRACE, connection.shutdown(cx, grace)).await;
            if process.is_none() && !matches!(asked, Ok(Ok(()))) {
                // Its socket stays, so that it is still seen, and found by the next try and by `gc`.
                return Err(Error::new(
                    ErrorKind::TimedOut,
                    "stop",
                    "the sandbox does not answer and goes on",
                ));
            }
        }
        let gateway = self.gateway_connection();
        if let Some(process) = process {
            crate::launch::kill(&process);
            crate::launch::wait_for_end(&process).await;
        }
        network::wait_for_end(gateway).await;
        if let Some(gateway) = &live.gateway {
            gateway.close().await;
        }
        let group = live.group.take();
        *live = Live::default();
        self.handle().process = None;
        if let Some(group) = group {
            group.remove()?;
        }
        self.clear_away();
        Ok(())
    }

    /// What a dead sandbox leaves outside its folder.
    fn clear_away(&self) {
        if self.is_kept() {
            let _ = std::fs::remove_file(self.socket());
            let _ = std::fs::remove_file(self.host.gateway_socket(&self.spec.id));
        }
        if limits::any(&self.spec.resources)
            && let Some(group) = Group::open(self.host.limits(), &self.spec.id)
        {
            let _ = group.remove();
        }
    }

    /// Its end tells that the gateway of a kept sandbox has ended.
    fn gateway_connection(&self) -> Option<std::os::unix::net::UnixStream> {
        let carried = self.is_kept() && is_carried(self.spec.network.policy.mode);
        let socket = carried.then(|| self.host.gateway_socket(&self.spec.id))?;
        crate::socket::connect(&socket).ok()
    }

    fn logs(&self) -> Result<Logs> {
        self.folders.as_ref().map(start::logs).ok_or_else(|| {
            Error::unsupported("exec", "detach", "an ephemeral sandbox has no detached commands")
                .hint("keep the sandbox: `agentkernel create NAME`")
        })
    }

    async fn running_detached(&self) -> Vec<ExecId> {
        match self.connection("exec").await {
            Ok(connection) => connection
                .list_detached(&Context::default())
                .await
                .unwrap_or_default(),
            Err(_) => Vec::new(),
        }
    }
}

/// The same stream for the runtime.
pub(crate) fn tokio_stream(
    stream: std::os::unix::net::UnixStream,
) -> std::io::Result<tokio::net::UnixStream> {
    stream.set_nonblocking(true)?;
    tokio::net::UnixStream::from_std(stream)
}

fn remove(group: Option<Group>) {
    if let Some(group) = group {
        // What cannot be removed now is found by `gc`.
        let _ = group.remove();
    }
}

#[async_trait]
impl Sandbox for NativeSandbox {
    fn id(&self) -> &SandboxId {
        &self.shared.spec.id
    }

    fn handle(&self) -> SandboxHandle {
        self.shared.handle().to_stored()
    }

    async fn start(&self, cx: &Context) -> Result<()> {
        cx.bound("start", self.shared.start(cx)).await
    }

    async fn stop(&self, cx: &Context, grace: Duration) -> Result<()> {
        self.shared.stop(cx, grace).await
    }

    async fn destroy(&self, cx: &Context) -> Result<()> {
        self.shared.stop(cx, Duration::ZERO).await?;
        self.shared.destroyed.store(true, Ordering::Relaxed);
        match &self.shared.folders {
            Some(folders) => folders.remove(),
            None => Ok(()),
        }
    }

    async fn state(&self, _cx: &Context) -> Result<SandboxState> {
        if let Some(folders) = &self.shared.folders {
            if !folders.disk.exists() {
                return Ok(SandboxState::Gone);
            }
            let running = crate::socket::connect(&self.shared.socket()).is_ok();
            return Ok(if running {
                SandboxState::Running
            } else {
                SandboxState::Stopped
            });
        }
        if self.shared.destroyed.load(Ordering::Relaxed) {
            return Ok(SandboxState::Gone);
        }
        let live = self.shared.live.lock().await;
        let running = live
            .connection
            .as_ref()
            .is_some_and(|connection| !connection.is_closed());
        Ok(if running {
            SandboxState::Running
        } else {
            SandboxState::Stopped
        })
    }

    async fn exec(&self, cx: &Context, spec: ExecSpec) -> Result<Process> {
        let connection = match self.shared.connection("exec").await {
            Ok(connection) => connection,
            Err(error) => return Err(self.shared.explain(error).await),
        };
        let Some(id) = spec.detach.clone() else {
            let process = match connection.exec(cx, spec).await {
                Ok(process) => {
                    self.shared.live.lock().await.booting = None;
                    process
                }
                Err(error) => return Err(self.shared.explain(error).await),
            };
            let limited = self.shared.spec.resources.memory.is_some();
            let group = if limited { self.shared.group().await } else { None };
            return Ok(match group {
                Some(group) => oom::watch(process, group),
                None => process,
            });
        };
        let logs = self.shared.logs()?;
        logs.begin(&id, &spec.command).map_err(|error| {
            Error::new(
                ErrorKind::Broken,
                "exec",
                format!("cannot record the detached command {id}"),
            )
            .because(error)
        })?;
        let started = connection.exec(cx, spec).await;
        if started.is_err() {
            logs.forget(&id);
        }
        started
    }

    async fn detached(&self, _cx: &Context) -> Result<Vec<DetachedStatus>> {
        let logs = self.shared.logs()?;
        let running = self.shared.running_detached().await;
        logs.list(&running)
            .map_err(|error| Error::new(ErrorKind::Broken, "list", "cannot read the logs").because(error))
    }

    async fn detached_log(
        &self,
        _cx: &Context,
        id: &ExecId,
        stream: LogStream,
        offset: u64,
        follow: bool,
    ) -> Result<mpsc::Receiver<Result<Bytes>>> {
        let logs = self.shared.logs()?;
        let (shared, asked, id_text) = (Arc::clone(&self.shared), logs.clone(), id.clone());
        let alive = move || -> std::pin::Pin<Box<dyn Future<Output = bool> + Send>> {
            let (shared, logs, id) = (Arc::clone(&shared), asked.clone(), id_text.clone());
            Box::pin(async move {
                follow && !logs.has_ended(&id) && shared.running_detached().await.contains(&id)
            })
        };
        logs.read(id, stream, offset, Box::new(alive))
    }

    async fn kill_detached(&self, cx: &Context, id: &ExecId) -> Result<()> {
        let killed = self.shared.connection("kill").await?.kill_detached(cx, id).await;
        killed.map_err(|error| match error.kind() {
            ErrorKind::NotFound => Error::new(
                ErrorKind::NotFound,
                "kill",
                format!("no detached command {id} runs in this sandbox"),
            )
            .hint("list them with `agentkernel exec-list NAME`"),
            _ => error,
        })
    }

    async fn stats(&self, cx: &Context) -> Result<Stats> {
        let connection = self.shared.connection("stats").await?;
        let report = connection.stats(cx).await?;
        let usage = self.shared.group().await.map(|group| group.usage());
        Ok(Stats {
            memory: usage.as_ref().and_then(|usage| usage.memory),
            cpu_us: usage.as_ref().and_then(|usage| usage.cpu_us),
            processes: report.processes.saturating_add(1),
            limits: self.shared.spec.resources,
        })
    }

    fn files(&self) -> Option<&dyn Files> {
        Some(&self.files)
    }

    fn network(&self) -> Option<&dyn Network> {
        Some(&*self.shared)
    }
}
