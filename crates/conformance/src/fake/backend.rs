//! The backend of the fake.

use std::sync::{Arc, atomic::Ordering};

use agentkernel_backend::{
    Backend, Capabilities, Context, Descriptor, Error, Leftover, Result, Sandbox, SandboxHandle,
    SandboxState, Workspace,
};
use agentkernel_types::{ErrorKind, SandboxId, SandboxSpec};
use async_trait::async_trait;

use super::{Fault, World, check::check, programs::user_number, sandbox::FakeSandbox, world::Cell};

/// A connection to a [`World`]. Cloning it is what a second process is.
#[derive(Clone)]
pub struct Fake {
    pub descriptor: &'static Descriptor,
    pub capabilities: Capabilities,
    pub faults: Vec<Fault>,
    pub world: Arc<World>,
}

impl Fake {
    fn has(&self, fault: Fault) -> bool {
        self.faults.contains(&fault)
    }

    pub(super) fn trouble(&self, fault: Fault, operation: &'static str) -> Result<()> {
        if self.has(fault) {
            return Err(
                Error::new(ErrorKind::Broken, operation, format!("planted: {fault:?}")).hint("unplant it"),
            );
        }
        Ok(())
    }

    fn sandbox(&self, cell: Arc<Cell>) -> Arc<dyn Sandbox> {
        cell.owners.fetch_add(1, Ordering::SeqCst);
        let handle_state = cell.inside().state;
        Arc::new(FakeSandbox {
            fake: self.clone(),
            cell,
            first_state: handle_state,
        })
    }
}

/// Removes what `create` has made so far when it is dropped.
struct HalfMade<'a> {
    world: &'a World,
    id: Option<SandboxId>,
}

impl Drop for HalfMade<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id.take() {
            self.world.remove(&id);
        }
    }
}

#[async_trait]
impl Backend for Fake {
    fn descriptor(&self) -> &'static Descriptor {
        self.descriptor
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn check(&self, spec: &SandboxSpec) -> Result<()> {
        match check(&self.capabilities, spec) {
            Err(_) if self.has(Fault::AcceptsWhatItCannotDo) => Ok(()),
            Err(_) if self.has(Fault::RefusesWithoutName) => Err(Error::new(
                ErrorKind::Unsupported,
                "create",
                "this cannot be done",
            )),
            verdict => verdict,
        }
    }

    async fn create(
        &self,
        _: &Context,
        spec: &SandboxSpec,
        workspace: &Workspace,
    ) -> Result<Arc<dyn Sandbox>> {
        self.check(spec)?;
        self.trouble(Fault::CreateFails, "create")?;
        if let Some(user) = &spec.user {
            user_number(user.user())?;
        }
        if let Some(mount) = spec.mounts.iter().find(|mount| !mount.source.exists()) {
            return Err(Error::new(
                ErrorKind::NotFound,
                "create",
                format!("no such folder: {}", mount.source.display()),
            ));
        }
        let cell = Cell::new(spec, workspace, &self.faults, SandboxState::Stopped);
        self.world.add(cell.clone());
        let mut half_made = HalfMade {
            world: &self.world,
            id: Some(spec.id.clone()),
        };
        if self.has(Fault::DroppedCreateLeaves) {
            half_made.id = None;
        }
        // A real backend waits here and there: so does the fake, for those who drop it meanwhile.
        for _ in 0..2 {
            tokio::task::yield_now().await;
        }
        if let Workspace::Folder(folder) = workspace {
            std::fs::write(folder.join("marker"), spec.id.as_str()).map_err(|error| {
                Error::new(ErrorKind::Broken, "create", "the workspace cannot be written").because(error)
            })?;
        }
        half_made.id = None;
        Ok(self.sandbox(cell))
    }

    async fn open(
        &self,
        _: &Context,
        spec: &SandboxSpec,
        workspace: &Workspace,
        handle: &SandboxHandle,
    ) -> Result<Arc<dyn Sandbox>> {
        if handle.0.get("id").and_then(|id| id.as_str()) != Some(spec.id.as_str()) {
            return Err(Error::new(
                ErrorKind::Broken,
                "open",
                "the handle is not the one that the sandbox gave",
            ));
        }
        let found = self.world.get(&spec.id).filter(|_| !self.has(Fault::OpenForgets));
        Ok(self
            .sandbox(found.unwrap_or_else(|| Cell::new(spec, workspace, &self.faults, SandboxState::Gone))))
    }

    async fn leftovers(&self, _: &Context, known: &[SandboxId]) -> Result<Vec<Leftover>> {
        if self.has(Fault::LeftoversForgotten) {
            return Ok(Vec::new());
        }
        let leftover = |id: SandboxId| Leftover {
            kind: "sandbox".to_owned(),
            name: id.to_string(),
        };
        Ok(self.world.ownerless(known).into_iter().map(leftover).collect())
    }

    async fn sweep(&self, _: &Context, leftover: &Leftover) -> Result<()> {
        self.world.remove(&leftover.name.parse()?);
        Ok(())
    }
}
