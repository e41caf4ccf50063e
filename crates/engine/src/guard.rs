//! Owns a sandbox that is being made or used once, and destroys it on every way out.

use std::{sync::Arc, time::Duration};

use agentkernel_backend::{Context, Result, Sandbox};
use agentkernel_store::{Claim, Phase, Record};

/// Long enough for any healthy backend; nobody waits for it.
const LIMIT: Duration = Duration::from_secs(30);

/// Dropping it destroys the sandbox in the background; then the claim is let go, which removes its half-made record.
pub(crate) struct Doomed {
    sandbox: Option<Arc<dyn Sandbox>>,
    claim: Option<Box<Claim>>,
}

impl Doomed {
    pub(crate) fn new(sandbox: Arc<dyn Sandbox>, claim: Option<Claim>) -> Self {
        Self {
            sandbox: Some(sandbox),
            claim: claim.map(Box::new),
        }
    }

    pub(crate) fn sandbox(&self) -> &Arc<dyn Sandbox> {
        self.sandbox
            .as_ref()
            .expect("it is taken only by those who consume the guard")
    }

    /// None for an ephemeral one.
    pub(crate) fn record(&self) -> Option<&Record> {
        self.claim.as_ref().map(|claim| claim.record())
    }

    /// It is to stay.
    pub(crate) fn reprieve(mut self) -> (Arc<dyn Sandbox>, Option<Box<Claim>>) {
        let sandbox = self
            .sandbox
            .take()
            .expect("it is taken only by those who consume the guard");
        (sandbox, self.claim.take())
    }

    /// Destroys it and waits for that.
    pub(crate) async fn destroy(mut self) -> Result<()> {
        let sandbox = self.sandbox().clone();
        sandbox.destroy(&Context::within(LIMIT)).await?;
        self.sandbox = None;
        Ok(())
    }
}

impl Drop for Doomed {
    fn drop(&mut self) {
        let Some(sandbox) = self.sandbox.take() else {
            return;
        };
        let claim = self.claim.take();
        // Without a runtime the process is about to end: what is left then is found as after a crash.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let destroyed = sandbox.destroy(&Context::within(LIMIT)).await;
                let Some(mut claim) = claim else { return };
                // If the store fails as well, the next command finds an unfinished sandbox.
                let _ = match (destroyed, claim.record().phase) {
                    // Letting it go removes it.
                    (Ok(()), Phase::Creating) => Ok(()),
                    (Ok(()), _) => claim.remove(),
                    // The record must stay as long as there is something that it speaks of.
                    (Err(_), _) => claim.update(|record| record.phase = Phase::Removing),
                };
            });
        }
    }
}
