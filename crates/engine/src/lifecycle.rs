//! Kept sandboxes from made to removed.

use std::{sync::Arc, time::Duration};

use agentkernel_backend::{Context, Result, Sandbox, SandboxState, Workspace};
use agentkernel_control::{SandboxInfo, SandboxRequest};
use agentkernel_store::{Phase, Record};
use agentkernel_types::{ErrorKind, Lifetime, SandboxName};

use crate::{
    Engine,
    choose::Chosen,
    failure::from_store,
    guard::Doomed,
    identity,
    images::Intent,
    inject,
    kept::{Opened, conflict},
    run::after_destroying,
};

impl Engine {
    pub(crate) async fn create_kept(&self, mut request: SandboxRequest) -> Result<SandboxInfo> {
        request.name.get_or_insert_with(identity::fresh_name);
        let chosen = self.choose(&request, None, Lifetime::Kept, Intent::Make).await?;
        let (backend, spec) = (chosen.backend.descriptor(), chosen.plan.spec.clone());
        let doomed = self.make_kept(&Context::default(), &request, chosen).await?;
        let created_at = doomed.record().map_or(0, |record| record.created_at);
        self.settle(doomed, &request)?;
        Ok(SandboxInfo {
            spec,
            backend: backend.name.to_owned(),
            isolation: backend.isolation,
            state: SandboxState::Running,
            created_at,
            agent: request.agent,
            detached: Vec::new(),
        })
    }

    /// Intent first, then the sandbox. It runs and has its files, but is still removed when it is dropped.
    pub(crate) async fn make_kept(
        &self,
        cx: &Context,
        request: &SandboxRequest,
        chosen: Chosen,
    ) -> Result<Doomed> {
        let Chosen { backend, plan } = chosen;
        let name = plan
            .spec
            .name
            .clone()
            .expect("a kept sandbox was given a name before it was planned");
        let mut record = Record::new(plan.spec.clone(), backend.descriptor().name, identity::now());
        record.agent.clone_from(&request.agent);
        let claim = self.reserve(&name, record).await?;
        let workspace = Workspace::Folder(claim.workspace());
        let sandbox = backend.create(cx, &plan.spec, &workspace).await?;
        let doomed = Doomed::new(sandbox, Some(claim));
        let prepared = async {
            doomed.sandbox().start(cx).await?;
            inject::files(cx, doomed.sandbox(), &request.files).await
        };
        match prepared.await {
            Ok(()) => Ok(doomed),
            Err(error) => Err(after_destroying(doomed, error).await),
        }
    }

    /// From now on it stays: the record is complete.
    pub(crate) fn settle(&self, doomed: Doomed, request: &SandboxRequest) -> Result<Arc<dyn Sandbox>> {
        let handle = doomed.sandbox().handle().0;
        let (sandbox, claim) = doomed.reprieve();
        let mut claim = claim.expect("a kept sandbox has a claim");
        let written = claim.update(|record| {
            record.handle = handle;
            record.phase = Phase::Ready;
            record.agent.clone_from(&request.agent);
        });
        match written {
            Ok(()) => Ok(sandbox),
            Err(error) => {
                drop(Doomed::new(sandbox, Some(*claim)));
                Err(from_store(error))
            }
        }
    }

    pub(crate) async fn start_kept(&self, name: &SandboxName) -> Result<SandboxInfo> {
        let opened = self.claim_and_start(&Context::default(), name).await?;
        Ok(info(&opened, SandboxState::Running))
    }

    pub(crate) async fn stop_kept(&self, name: &SandboxName, grace: Duration) -> Result<SandboxInfo> {
        let cx = Context::within(grace.saturating_add(Context::DEFAULT));
        let claim = self.claim(name).await?;
        let opened = self.open_record(&cx, name, claim.record().clone()).await?;
        opened.sandbox.stop(&cx, grace).await?;
        let state = opened.sandbox.state(&cx).await?;
        Ok(info(&opened, state))
    }

    pub(crate) async fn remove_kept(&self, name: &SandboxName, force: bool) -> Result<()> {
        let claim = match self.claim_any(name).await {
            Ok(claim) => claim,
            Err(error) if force => return self.remove_without_record(name, error),
            Err(error) => return Err(error),
        };
        if !force && claim.record().phase == Phase::Ready {
            let cx = Context::default();
            let opened = self.open_record(&cx, name, claim.record().clone()).await?;
            if opened.sandbox.state(&cx).await? == SandboxState::Running {
                return Err(
                    conflict("remove", format!("sandbox {name} is running")).hint(format!(
                        "agentkernel stop {name}, or agentkernel remove --force {name}"
                    )),
                );
            }
        }
        self.finish_removal(claim).await
    }

    /// The gone is a success. A record that cannot be used goes; what it spoke of is then a leftover for `gc`.
    fn remove_without_record(&self, name: &SandboxName, error: agentkernel_backend::Error) -> Result<()> {
        match error.kind() {
            ErrorKind::NotFound => Ok(()),
            ErrorKind::Broken => self.store()?.discard(name).map_err(from_store),
            _ => Err(error),
        }
    }

    pub(crate) async fn list_kept(&self) -> Result<Vec<SandboxInfo>> {
        let cx = Context::default();
        let mut infos = Vec::new();
        for entry in self.store()?.list().map_err(from_store)? {
            // A record that cannot be used is told by `doctor`; what is not whole is no sandbox.
            let Some(record) = entry.record.ok().filter(|record| record.phase == Phase::Ready) else {
                continue;
            };
            infos.push(self.describe(&cx, &entry.name, record).await);
        }
        Ok(infos)
    }

    /// A sandbox whose backend cannot be asked is as good as gone; `doctor` says why.
    async fn describe(&self, cx: &Context, name: &SandboxName, record: Record) -> SandboxInfo {
        let state = async {
            let opened = self.open_record(cx, name, record.clone()).await?;
            opened.sandbox.state(cx).await
        };
        let state = state.await.unwrap_or(SandboxState::Gone);
        let isolation = self
            .descriptor(&record.backend)
            .map_or(agentkernel_types::Isolation::Remote, |d| d.isolation);
        info_of(record, isolation, state)
    }

    pub(crate) async fn inspect_kept(&self, name: &SandboxName) -> Result<SandboxInfo> {
        let cx = Context::default();
        let opened = self.open(&cx, name).await?;
        let state = opened.sandbox.state(&cx).await?;
        let mut info = info(&opened, state);
        if opened.backend.capabilities().detached_exec && state != SandboxState::Gone {
            // Some can tell only while they run; then there is nothing to say.
            info.detached = opened.sandbox.detached(&cx).await.unwrap_or_default();
        }
        Ok(info)
    }
}

fn info(opened: &Opened, state: SandboxState) -> SandboxInfo {
    info_of(
        opened.record.clone(),
        opened.backend.descriptor().isolation,
        state,
    )
}

fn info_of(record: Record, isolation: agentkernel_types::Isolation, state: SandboxState) -> SandboxInfo {
    SandboxInfo {
        spec: record.spec,
        backend: record.backend,
        isolation,
        state,
        created_at: record.created_at,
        agent: record.agent,
        detached: Vec::new(),
    }
}
