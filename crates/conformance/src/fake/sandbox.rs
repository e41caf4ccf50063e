//! One sandbox of the fake.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use agentkernel_backend::{
    Context, DetachedStatus, Error, Files, LogStream, Process, Result, Sandbox, SandboxHandle, SandboxState,
    Stats, Workspace,
};
use agentkernel_types::{ErrorKind, ExecId, ExecSpec, Exit, Lifetime, Resources, SandboxId};
use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::mpsc;

use super::{Fake, Fault, process, world::Cell};

pub(super) struct FakeSandbox {
    pub(super) fake: Fake,
    pub(super) cell: Arc<Cell>,
    pub(super) first_state: SandboxState,
}

impl Drop for FakeSandbox {
    fn drop(&mut self) {
        let last = self.cell.owners.fetch_sub(1, Ordering::SeqCst) == 1;
        let leaves = self.cell.has(Fault::DroppedSandboxLeaves);
        if last && !leaves && self.cell.spec.lifetime == Lifetime::Ephemeral {
            self.fake.world.remove(&self.cell.spec.id);
        }
    }
}

fn gone(operation: &'static str) -> Error {
    Error::new(
        ErrorKind::NotFound,
        operation,
        "the sandbox is gone: only its record is left",
    )
}

#[async_trait]
impl Sandbox for FakeSandbox {
    fn id(&self) -> &SandboxId {
        &self.cell.spec.id
    }

    fn handle(&self) -> SandboxHandle {
        SandboxHandle(
            serde_json::json!({ "id": self.cell.spec.id.as_str(), "starts": self.cell.inside().starts }),
        )
    }

    async fn start(&self, _: &Context) -> Result<()> {
        self.fake.trouble(Fault::StartFails, "start")?;
        if self.cell.has(Fault::StartHangs) {
            std::future::pending::<()>().await;
        }
        tokio::task::yield_now().await;
        let mut inside = self.cell.inside();
        match inside.state {
            SandboxState::Gone => Err(gone("start")),
            SandboxState::Running if self.cell.has(Fault::SecondStartFails) => {
                Err(Error::new(ErrorKind::Conflict, "start", "it runs already"))
            }
            SandboxState::Running => Ok(()),
            SandboxState::Stopped => {
                inside.state = SandboxState::Running;
                inside.starts += 1;
                inside.tree.load_mounts();
                Ok(())
            }
        }
    }

    async fn stop(&self, _: &Context, _: Duration) -> Result<()> {
        let state = self.cell.inside().state;
        if state == SandboxState::Running {
            self.cell.halt(SandboxState::Stopped);
            let mut inside = self.cell.inside();
            if self.cell.has(Fault::StopLosesFiles) {
                inside.tree = super::tree::Tree::new(&self.cell.spec, &self.cell.faults);
            }
            if self.cell.has(Fault::DetachedForgottenAfterStop) {
                inside.detached.clear();
            }
        }
        Ok(())
    }

    async fn destroy(&self, _: &Context) -> Result<()> {
        self.fake.trouble(Fault::DestroyFails, "destroy")?;
        if self.cell.has(Fault::SecondDestroyFails) && self.fake.world.get(&self.cell.spec.id).is_none() {
            return Err(gone("destroy"));
        }
        self.cell.halt(SandboxState::Gone);
        self.fake.world.remove(&self.cell.spec.id);
        if let Workspace::Folder(folder) = &self.cell.workspace
            && !self.cell.has(Fault::DestroyLeavesFiles)
        {
            // Gone already is as good.
            let _ = std::fs::remove_file(folder.join("marker"));
        }
        Ok(())
    }

    async fn state(&self, _: &Context) -> Result<SandboxState> {
        if self.cell.has(Fault::StateFromMemory) {
            return Ok(self.first_state);
        }
        Ok(self.cell.inside().state)
    }

    async fn exec(&self, _: &Context, spec: ExecSpec) -> Result<Process> {
        self.fake.trouble(Fault::ExecFails, "exec")?;
        let has = &self.fake.capabilities;
        let accepts = self.cell.has(Fault::AcceptsWhatItCannotDo);
        if spec.terminal.is_some() && !has.terminal && !accepts {
            return Err(Error::unsupported(
                "exec",
                "terminal",
                "the fake backend does not declare terminals",
            ));
        }
        if spec.detach.is_some() && !has.detached_exec && !accepts {
            return Err(Error::unsupported(
                "exec",
                "detach",
                "the fake backend does not declare detached commands",
            ));
        }
        let state = self.cell.inside().state;
        match state {
            SandboxState::Running => process::start(&self.cell, spec),
            SandboxState::Stopped if self.cell.has(Fault::ExecStartsTheStopped) => {
                process::start(&self.cell, spec)
            }
            SandboxState::Stopped => Err(Error::new(ErrorKind::Conflict, "exec", "the sandbox is stopped")),
            SandboxState::Gone => Err(gone("exec")),
        }
    }

    async fn detached(&self, _: &Context) -> Result<Vec<DetachedStatus>> {
        self.needs_detached()?;
        let inside = self.cell.inside();
        let status = |(id, detached): (&ExecId, &super::world::Detached)| DetachedStatus {
            id: id.clone(),
            command: detached.command.clone(),
            started_at_ms: 0,
            exit: detached.exit,
            stdout_bytes: detached.stdout.len() as u64,
            stderr_bytes: detached.stderr.len() as u64,
        };
        Ok(inside.detached.iter().map(status).collect())
    }

    async fn detached_log(
        &self,
        _: &Context,
        id: &ExecId,
        stream: LogStream,
        offset: u64,
        follow: bool,
    ) -> Result<mpsc::Receiver<Result<Bytes>>> {
        self.needs_detached()?;
        if !self.cell.inside().detached.contains_key(id) {
            return Err(unknown(id));
        }
        let (sender, receiver) = mpsc::channel(4);
        let offset = if self.cell.has(Fault::LogIgnoresOffset) {
            0
        } else {
            offset
        };
        tokio::spawn(process::send_log(
            self.cell.clone(),
            id.clone(),
            stream,
            offset,
            follow,
            sender,
        ));
        Ok(receiver)
    }

    async fn kill_detached(&self, _: &Context, id: &ExecId) -> Result<()> {
        self.needs_detached()?;
        if !self.cell.inside().detached.contains_key(id) {
            return Err(unknown(id));
        }
        process::end_detached(&self.cell, id, Exit::signal(9));
        Ok(())
    }

    async fn stats(&self, _: &Context) -> Result<Stats> {
        let inside = self.cell.inside();
        if inside.state != SandboxState::Running {
            return Err(Error::new(ErrorKind::Conflict, "stats", "the sandbox is stopped"));
        }
        let limits = if self.cell.has(Fault::LimitsIgnored) {
            Resources::default()
        } else {
            self.cell.spec.resources
        };
        Ok(Stats {
            memory: None,
            cpu_us: None,
            processes: 1 + inside.processes.len() as u32,
            limits,
        })
    }

    fn files(&self) -> Option<&dyn Files> {
        (self.fake.capabilities.files || self.cell.has(Fault::AcceptsWhatItCannotDo))
            .then_some(self as &dyn Files)
    }

    fn network(&self) -> Option<&dyn agentkernel_backend::Network> {
        None
    }
}

impl FakeSandbox {
    fn needs_detached(&self) -> Result<()> {
        if self.fake.capabilities.detached_exec || self.cell.has(Fault::AcceptsWhatItCannotDo) {
            return Ok(());
        }
        Err(Error::unsupported(
            "exec",
            "detach",
            "the fake backend does not declare detached commands",
        ))
    }
}

fn unknown(id: &ExecId) -> Error {
    Error::new(
        ErrorKind::NotFound,
        "logs",
        format!("there is no detached command {id}"),
    )
}
