//! The two things that can be asked: fetch an image, and what a name stands for.

use std::{sync::Arc, time::Duration};

use agentkernel_image::{Image, Reference, Result, Source, Store, manifest::Platform, unpack::Limits};
use agentkernel_types::{Digest, ImageEvent};

use crate::{
    Patience, Progress, Registries,
    failure::{Failure, Outcome, Reason},
    layer::{Layers, Wanted, blocking, stored},
    manifest::{Question, Resolved},
    registry::{Clients, Session, endpoints},
};

/// One request.
#[derive(Clone, Debug)]
pub struct Pull<'a> {
    pub reference: &'a Reference,
    /// None: this machine's.
    pub platform: Option<Platform>,
    pub limits: Limits,
    /// After so long without a connection a registry counts as unreachable. Not repeated: an offline machine knows
    /// it after this time for each mirror and the registry itself.
    pub connect_timeout: Duration,
}

/// Fetches images. Cheap to keep: connections are reused.
#[derive(Debug)]
pub struct Puller {
    registries: Registries,
    clients: Clients,
    patience: Patience,
}

impl Puller {
    /// Nothing is read and nobody is asked before the first pull.
    pub fn new(registries: Registries) -> Result<Self> {
        Ok(Self {
            registries,
            clients: Clients::default(),
            patience: Patience::default(),
        })
    }

    pub fn with_patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// Fetches an image into the store and lets its name stand for it. Layers that are there already are not fetched.
    /// Dropping the future stops everything; what is there by then is gone on with by the next pull.
    pub async fn pull(&self, store: &Store, what: &Pull<'_>, progress: &Progress) -> Result<Image> {
        Ok(self.fetch(store, what, progress).await?)
    }

    /// The digest that the image's name stands for in its registry at present: of the index, where there is one. A
    /// name with a digest stands for that digest, and nobody is asked.
    pub async fn digest(&self, what: &Pull<'_>) -> Result<Digest> {
        if let Some(digest) = what.reference.digest() {
            return Ok(digest);
        }
        let progress: Progress = Arc::new(|_| ());
        let platform = what.platform.clone().unwrap_or_else(Platform::host);
        let question = question(what, &platform, &progress);
        let mut failed = None;
        for session in self.sessions(what)? {
            match question.digest(&session).await {
                Ok(digest) => return Ok(digest),
                Err(failure) => failed = Some(failure),
            }
        }
        Err(failed.unwrap_or_else(nobody).into())
    }

    async fn fetch(&self, store: &Store, what: &Pull<'_>, progress: &Progress) -> Outcome<Image> {
        let sessions = self.sessions(what)?;
        let platform = what.platform.clone().unwrap_or_else(Platform::host);
        let (first, resolved) = resolve(&sessions, &question(what, &platform, progress)).await?;
        let image = what.reference.familiar();
        let wanted = wanted(&resolved);
        progress(ImageEvent::Found {
            image: image.clone(),
            layers: wanted
                .iter()
                .map(|layer| (layer.descriptor.digest.clone(), layer.descriptor.size))
                .collect(),
        });
        check_size(&image, &wanted, &what.limits)?;
        let writer = {
            let store = store.clone();
            Arc::new(blocking(move || store.writer().map_err(stored)).await?)
        };
        Layers::new(
            &sessions[first..],
            Arc::clone(&writer),
            what.limits,
            image.clone(),
            progress,
        )
        .parallel(self.registries.parallel_layers)
        .fetch(&wanted)
        .await?;
        let reference = what.reference.clone();
        let added = blocking(move || {
            let source = Source::Registry {
                host: reference.registry().to_owned(),
            };
            let names = [reference];
            let Resolved {
                config_json,
                manifest_json,
                ..
            } = resolved;
            writer
                .add_image(&config_json, Some(&manifest_json), &names, source)
                .map_err(stored)
        })
        .await?;
        progress(ImageEvent::Ready {
            image,
            id: added.id.clone(),
        });
        Ok(added)
    }

    /// In the order in which they are asked.
    fn sessions(&self, what: &Pull<'_>) -> Outcome<Vec<Session<'_>>> {
        endpoints(&self.registries.hosts, what.reference)
            .into_iter()
            .map(|endpoint| {
                Session::new(
                    endpoint,
                    &self.registries,
                    &self.clients,
                    self.patience,
                    what.connect_timeout,
                )
            })
            .collect()
    }
}

fn question<'a>(what: &'a Pull<'_>, platform: &'a Platform, progress: &'a Progress) -> Question<'a> {
    Question {
        reference: what.reference,
        platform,
        progress,
    }
}

/// The first source that has the image, and what it is. A mirror that fails in whatever way is not the end.
async fn resolve(sessions: &[Session<'_>], question: &Question<'_>) -> Outcome<(usize, Resolved)> {
    let mut failed = None;
    for (at, session) in sessions.iter().enumerate() {
        (question.progress)(ImageEvent::Asking {
            image: question.reference.familiar(),
            source: session.name().to_owned(),
        });
        match question.resolve(session).await {
            Ok(resolved) => return Ok((at, resolved)),
            Err(failure) => {
                if session.endpoint.is_mirror {
                    (question.progress)(ImageEvent::Retry {
                        what: format!(
                            "{} instead of the mirror {}",
                            question.reference.registry(),
                            session.name()
                        ),
                        reason: failure.to_string(),
                        pause_ms: 0,
                    });
                }
                failed = Some(failure);
            }
        }
    }
    Err(failed.unwrap_or_else(nobody))
}

fn nobody() -> Failure {
    Failure::new(Reason::Protocol, "there is no registry to ask")
}

/// Each layer once, also if an image has it several times.
fn wanted(resolved: &Resolved) -> Vec<Wanted> {
    let mut wanted: Vec<Wanted> = Vec::new();
    for (descriptor, diff_id) in resolved.manifest.layers.iter().zip(&resolved.config.diff_ids) {
        if !wanted.iter().any(|layer| layer.diff_id == *diff_id) {
            wanted.push(Wanted {
                descriptor: descriptor.clone(),
                diff_id: diff_id.clone(),
            });
        }
    }
    wanted
}

fn check_size(image: &str, wanted: &[Wanted], limits: &Limits) -> Outcome<()> {
    let total = wanted
        .iter()
        .fold(0_u64, |total, layer| total.saturating_add(layer.descriptor.size));
    if total <= limits.bytes {
        return Ok(());
    }
    Err(Failure::new(
        Reason::Storage,
        format!(
            "{image} has {total} bytes of layers, and {} are allowed",
            limits.bytes
        ),
    ))
}
