//! Kept sandboxes: from a name to something that can be spoken to, and the repair of what a crash has left.

use std::{sync::Arc, time::Duration};

use agentkernel_backend::{Backend, Context, Error, Result, Sandbox, SandboxHandle, SandboxState, Workspace};
use agentkernel_store::{Claim, Phase, Record};
use agentkernel_types::{ErrorKind, SandboxName};
use tokio::time::Instant;

use crate::{
    Engine,
    failure::{from_store, gone, not_found},
};

/// How long a command waits for another one that works on the same sandbox.
const PATIENCE: Duration = Duration::from_secs(30);

/// A kept sandbox, opened.
pub(crate) struct Opened {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) sandbox: Arc<dyn Sandbox>,
    pub(crate) record: Record,
}

impl Engine {
    /// Takes no lock: the record, then the backend. What is half-made or half-removed is no sandbox.
    pub(crate) async fn open(&self, cx: &Context, name: &SandboxName) -> Result<Opened> {
        match self.store()?.read(name).map_err(from_store)? {
            Some(record) if record.phase == Phase::Ready => self.open_record(cx, name, record).await,
            Some(_) => {
                // Somebody is at work on it, or has died: the claim tells.
                let claim = self.claim(name).await?;
                let record = claim.record().clone();
                drop(claim);
                self.open_record(cx, name, record).await
            }
            None => Err(not_found(name)),
        }
    }

    pub(crate) async fn open_record(
        &self,
        cx: &Context,
        name: &SandboxName,
        record: Record,
    ) -> Result<Opened> {
        let backend = self.connect_named(&record.backend).await?;
        let workspace = Workspace::Folder(self.store()?.workspace(name));
        let handle = SandboxHandle(record.handle.clone());
        let sandbox = backend.open(cx, &record.spec, &workspace, &handle).await?;
        Ok(Opened {
            backend,
            sandbox,
            record,
        })
    }

    /// The right to change a sandbox that is whole. One whose maker or remover has died is removed instead.
    pub(crate) async fn claim(&self, name: &SandboxName) -> Result<Claim> {
        let claim = self.claim_any(name).await?;
        if claim.record().phase == Phase::Ready {
            return Ok(claim);
        }
        self.finish_removal(claim).await?;
        Err(not_found(name))
    }

    /// Waits without blocking the thread: the owner may be another task of it.
    pub(crate) async fn claim_any(&self, name: &SandboxName) -> Result<Claim> {
        let deadline = Instant::now() + PATIENCE;
        let mut pause = Duration::from_millis(1);
        loop {
            match self.store()?.try_claim(name) {
                Err(agentkernel_store::Error::Busy { .. }) if Instant::now() < deadline => {}
                claimed => return claimed.map_err(from_store),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }

    /// Destroys what the record speaks of, then the record.
    pub(crate) async fn finish_removal(&self, mut claim: Claim) -> Result<()> {
        let cx = Context::default();
        if claim.record().phase != Phase::Removing {
            match claim
                .update(|record| record.phase = Phase::Removing)
                .map_err(from_store)
            {
                // On a full disk nothing can be written, and removing is the cure.
                Err(error) if error.kind() == ErrorKind::Exhausted => {}
                updated => updated?,
            }
        }
        let (name, record) = (claim.name().clone(), claim.record().clone());
        let id = record.spec.id.clone();
        if record.handle.is_null() {
            // It was never told how to open it: what there may be is found by its number.
            let backend = self.connect_named(&record.backend).await?;
            for leftover in self.ownerless(&backend, &[id]).await? {
                backend.sweep(&cx, &leftover).await?;
            }
        } else {
            self.open_record(&cx, &name, record)
                .await?
                .sandbox
                .destroy(&cx)
                .await?;
        }
        claim.remove().map_err(from_store)
    }

    /// A running sandbox; a stopped one is started, once, however many ask.
    pub(crate) async fn running(&self, cx: &Context, name: &SandboxName) -> Result<Opened> {
        let opened = self.open(cx, name).await?;
        if opened.sandbox.state(cx).await? == SandboxState::Running {
            return Ok(opened);
        }
        drop(opened);
        self.claim_and_start(cx, name).await
    }

    pub(crate) async fn claim_and_start(&self, cx: &Context, name: &SandboxName) -> Result<Opened> {
        let mut claim = self.claim(name).await?;
        let opened = self.open_record(cx, name, claim.record().clone()).await?;
        self.start_claimed(cx, &mut claim, opened).await
    }

    pub(crate) async fn start_claimed(
        &self,
        cx: &Context,
        claim: &mut Claim,
        mut opened: Opened,
    ) -> Result<Opened> {
        match opened.sandbox.state(cx).await? {
            SandboxState::Gone => return Err(gone(claim.name())),
            SandboxState::Running => {}
            SandboxState::Stopped => opened
                .sandbox
                .start(cx)
                .await
                .map_err(|error| self.without_its_image(&opened.record.spec, error))?,
        }
        let handle = opened.sandbox.handle().0;
        if handle != claim.record().handle {
            claim
                .update(|record| record.handle = handle)
                .map_err(from_store)?;
        }
        opened.record = claim.record().clone();
        Ok(opened)
    }

    /// Takes the name. If a dead process has left something half-made under it, that is removed first.
    pub(crate) async fn reserve(&self, name: &SandboxName, record: Record) -> Result<Claim> {
        use agentkernel_store::Error as StoreError;
        let store = self.store()?;
        match store.reserve(name, record.clone()) {
            Err(StoreError::AlreadyExists { .. }) => {}
            reserved => return reserved.map_err(from_store),
        }
        let taken = || from_store(StoreError::AlreadyExists { name: name.clone() });
        match store.try_claim(name) {
            Ok(claim) if claim.record().phase != Phase::Ready => self.finish_removal(claim).await?,
            Err(StoreError::NotFound { .. }) => {}
            _ => return Err(taken()),
        }
        store.reserve(name, record).map_err(from_store)
    }
}

pub(crate) fn conflict(operation: &'static str, message: String) -> Error {
    Error::new(ErrorKind::Conflict, operation, message)
}
