//! Commands in kept sandboxes.

use agentkernel_backend::{Context, DetachedStatus, Error, LogStream, Process, Result, Stats};
use agentkernel_control::ByteStream;
use agentkernel_types::{ErrorKind, ExecId, ExecSpec, SandboxName};

use crate::{Engine, identity, timeout};

impl Engine {
    /// The hot path takes no lock and asks nothing first: a record, a connection, the command.
    pub(crate) async fn exec_kept(&self, name: &SandboxName, spec: ExecSpec) -> Result<Process> {
        let cx = Context::default();
        let opened = self.open(&cx, name).await?;
        let detached = spec.detach.is_some();
        let limit = opened.record.spec.resources.timeout.filter(|_| !detached);
        let process = match opened.sandbox.exec(&cx, spec.clone()).await {
            // Not running: start it, under the claim, so that many who come at once start it once.
            Err(error) if error.kind() == ErrorKind::Conflict => {
                drop(opened);
                self.claim_and_start(&cx, name)
                    .await?
                    .sandbox
                    .exec(&cx, spec)
                    .await?
            }
            result => result?,
        };
        Ok(match limit {
            Some(limit) => timeout::limited(process, limit.duration()),
            None => process,
        })
    }

    pub(crate) async fn exec_kept_detached(&self, name: &SandboxName, mut spec: ExecSpec) -> Result<ExecId> {
        let id = spec.detach.get_or_insert_with(identity::fresh_exec_id).clone();
        // Dropping a detached one lets it go on.
        drop(self.exec_kept(name, spec).await?);
        Ok(id)
    }

    pub(crate) async fn detached_of(&self, name: &SandboxName) -> Result<Vec<DetachedStatus>> {
        let cx = Context::default();
        self.open(&cx, name).await?.sandbox.detached(&cx).await
    }

    pub(crate) async fn kill_detached_of(&self, name: &SandboxName, id: &ExecId) -> Result<()> {
        let cx = Context::default();
        self.open(&cx, name).await?.sandbox.kill_detached(&cx, id).await
    }

    pub(crate) async fn logs_of(
        &self,
        name: &SandboxName,
        id: Option<&ExecId>,
        stream: LogStream,
        follow: bool,
    ) -> Result<ByteStream> {
        let cx = Context::default();
        let sandbox = self.open(&cx, name).await?.sandbox;
        let id = match id {
            Some(id) => id.clone(),
            None => latest(name, sandbox.detached(&cx).await?)?,
        };
        sandbox.detached_log(&cx, &id, stream, 0, follow).await
    }

    pub(crate) async fn stats_of(&self, name: &SandboxName) -> Result<Stats> {
        let cx = Context::default();
        self.open(&cx, name).await?.sandbox.stats(&cx).await
    }
}

fn latest(name: &SandboxName, detached: Vec<DetachedStatus>) -> Result<ExecId> {
    let latest = detached.into_iter().max_by_key(|status| status.started_at_ms);
    latest.map(|status| status.id).ok_or_else(|| {
        Error::new(
            ErrorKind::NotFound,
            "logs",
            format!("sandbox {name} has had no detached command"),
        )
        .hint(format!("start one: agentkernel exec --detach {name} CMD"))
    })
}
