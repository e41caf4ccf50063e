//! Finds and removes what belongs to nobody any more: in the store, then at each backend.

use std::sync::Arc;

use agentkernel_backend::{Backend, Context, Leftover, Result};
use agentkernel_control::GcReport;
use agentkernel_store::{Debris, DebrisKind};
use agentkernel_types::SandboxId;

use crate::{Engine, failure::from_store};

impl Engine {
    pub(crate) async fn collect_garbage(&self, dry_run: bool) -> Result<GcReport> {
        let mut report = GcReport {
            dry_run,
            ..GcReport::default()
        };
        for debris in self.store()?.debris().map_err(from_store)? {
            let leftover = Leftover {
                kind: kind_of(&debris).to_owned(),
                name: debris.path.display().to_string(),
            };
            if dry_run {
                report.removed.push(leftover);
                continue;
            }
            match self.sweep_debris(&debris).await {
                Ok(true) => report.removed.push(leftover),
                // Somebody else has taken care of it.
                Ok(false) => {}
                Err(error) => report.failed.push((leftover, error.to_string())),
            }
        }
        self.sweep_images(&mut report);
        for &descriptor in &self.shared.descriptors {
            // What cannot be connected here cannot have left anything that we could reach.
            if let Ok(backend) = self.connect(descriptor).await {
                self.sweep_backend(&backend, &mut report).await;
            }
        }
        Ok(report)
    }

    /// Half-fetched and half-unpacked images that nobody works on.
    fn sweep_images(&self, report: &mut GcReport) {
        let store = self.image_store();
        let leftover = |path: &std::path::Path| Leftover {
            kind: "unfinished image".to_owned(),
            name: path.display().to_string(),
        };
        let found = match store.leftovers() {
            Ok(found) => found,
            Err(error) => {
                report.failed.push((leftover(store.folder()), error.to_string()));
                return;
            }
        };
        for path in found {
            if report.dry_run {
                report.removed.push(leftover(&path));
                continue;
            }
            match store.sweep(&path) {
                Ok(true) => report.removed.push(leftover(&path)),
                Ok(false) => {}
                Err(error) => report.failed.push((leftover(&path), error.to_string())),
            }
        }
    }

    /// What its backend may have made goes first: the record is what we know of it.
    async fn sweep_debris(&self, debris: &Debris) -> Result<bool> {
        let DebrisKind::Unfinished { name, .. } = &debris.kind else {
            return self.store()?.sweep(debris).map_err(from_store);
        };
        match self.store()?.try_claim(name) {
            Ok(claim) if claim.record().phase != agentkernel_store::Phase::Ready => {
                self.finish_removal(claim).await.map(|()| true)
            }
            Ok(_)
            | Err(agentkernel_store::Error::Busy { .. } | agentkernel_store::Error::NotFound { .. }) => {
                Ok(false)
            }
            Err(error) => Err(from_store(error)),
        }
    }

    async fn sweep_backend(&self, backend: &Arc<dyn Backend>, report: &mut GcReport) {
        let name = backend.descriptor().name.to_owned();
        let leftovers = match self.ownerless(backend, &[]).await {
            Ok(leftovers) => leftovers,
            Err(error) => {
                report.failed.push((
                    Leftover {
                        kind: "backend".to_owned(),
                        name,
                    },
                    error.to_string(),
                ));
                return;
            }
        };
        for leftover in leftovers {
            if report.dry_run {
                report.removed.push(leftover);
                continue;
            }
            match backend.sweep(&Context::default(), &leftover).await {
                Ok(()) => report.removed.push(leftover),
                Err(error) => report.failed.push((leftover, error.to_string())),
            }
        }
    }

    /// What a backend has and no record speaks of. Asked twice: what was made between the look at the records and the
    /// look at the backend has a record by the second time.
    pub(crate) async fn ownerless(
        &self,
        backend: &Arc<dyn Backend>,
        without: &[SandboxId],
    ) -> Result<Vec<Leftover>> {
        let cx = Context::default();
        let mut found = backend.leftovers(&cx, &self.known_but(without)?).await?;
        if !found.is_empty() {
            let again = backend.leftovers(&cx, &self.known_but(without)?).await?;
            found.retain(|leftover| again.contains(leftover));
        }
        Ok(found)
    }

    /// Every sandbox that a record speaks of, whole or not. A record that cannot be read is an error: what it speaks of
    /// must not be taken for a leftover.
    fn known_but(&self, without: &[SandboxId]) -> Result<Vec<SandboxId>> {
        let entries = self.store()?.list().map_err(from_store)?;
        let ids: Result<Vec<_>, _> = entries
            .into_iter()
            .map(|entry| entry.record.map(|record| record.spec.id))
            .collect();
        let mut ids = ids.map_err(from_store)?;
        ids.retain(|id| !without.contains(id));
        Ok(ids)
    }
}

fn kind_of(debris: &Debris) -> &'static str {
    match debris.kind {
        DebrisKind::HalfMade => "half-made folder",
        DebrisKind::HalfRemoved => "half-removed folder",
        DebrisKind::Unfinished { .. } => "unfinished sandbox",
        DebrisKind::UnfinishedRecord { .. } => "unfinished record",
    }
}
