//! Gets an image into the store: from here, from an engine of this machine, or from its registry.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use agentkernel_backend::{Error, Result};
use agentkernel_control::{ImageAccess, Notice, Progress};
use agentkernel_image::{Image, Reference, engines, unpack::Limits};
use agentkernel_pull::{Pull, Puller, Registries, RegistrySettings};
use agentkernel_types::{Digest, ErrorKind, ImageEvent, PullPolicy};

use super::memory::Memory;
use crate::Engine;

/// For an image that somebody named, and for one that was only guessed.
const PATIENT: Duration = Duration::from_secs(15);
const BRIEF: Duration = Duration::from_secs(3);

/// Who wants it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Wish {
    Explicit,
    /// There is something else that will do.
    Detected,
}

/// An image in the store and what is to be said about how it came there.
#[derive(Debug)]
pub(super) struct Ensured {
    pub(super) id: Digest,
    pub(super) why: String,
    pub(super) notice: Option<Notice>,
}

impl Engine {
    /// With the lock file's digest in place of the tag.
    pub(super) fn pinned(access: &ImageAccess, reference: &Reference) -> Result<Reference> {
        if reference.digest().is_some() {
            return Ok(reference.clone());
        }
        match access.pinned.get(&reference.to_string()) {
            Some(digest) => Ok(reference.pinned(digest)),
            None => Ok(reference.clone()),
        }
    }

    pub(super) async fn ensure(&self, name: &Reference, access: &ImageAccess, wish: Wish) -> Result<Ensured> {
        let reference = Self::pinned(access, name)?;
        let store = self.image_store();
        if access.policy != PullPolicy::Always
            && let Some(id) = store.by_name(&reference)?
        {
            return Ok(Ensured {
                id,
                why: "it is in the store".to_owned(),
                notice: None,
            });
        }
        if access.policy == PullPolicy::Never {
            return Err(absent(&reference, wish));
        }
        let memory = Memory::of(&self.shared.settings.cache_dir, reference.registry());
        if let (Wish::Detected, Some(why)) = (wish, memory.recall()) {
            return Err(Error::new(ErrorKind::Unavailable, "pull", why).with("remembered", "yes"));
        }
        if access.policy == PullPolicy::Missing
            && let Some(ensured) = self.take_over(&reference, access).await
        {
            return Ok(ensured);
        }
        match self.fetch(&reference, name, access, wish).await {
            Ok(image) => {
                memory.forget();
                Ok(Ensured {
                    id: image.id,
                    why: format!("pulled from {}", reference.registry()),
                    notice: None,
                })
            }
            Err(error) => {
                if agentkernel_pull::is_unreachable(&error) {
                    memory.keep(error.message());
                }
                Err(error)
            }
        }
    }

    /// What an engine of this machine holds need not be fetched again. Whatever goes wrong there, a registry is left.
    async fn take_over(&self, reference: &Reference, access: &ImageAccess) -> Option<Ensured> {
        let asked = reference.clone();
        let found = tokio::task::spawn_blocking(move || engines::holding(&asked))
            .await
            .ok()??;
        access.progress.tell(ImageEvent::Asking {
            image: reference.to_string(),
            source: found.name().to_owned(),
        });
        let images = self.load_from(found, reference.clone()).await.ok()?;
        let image = images.into_iter().next()?;
        let (name, shown) = (found.name(), reference.familiar());
        Some(Ensured {
            id: image.id,
            why: format!("taken from {name} on this machine"),
            notice: Some(Notice {
                code: "image_from_engine",
                message: format!("the image {shown} was taken from {name} on this machine"),
            }),
        })
    }

    /// `name` is what the user calls it: it stands for the image afterwards, also where a lock file gave the digest.
    pub(super) async fn fetch(
        &self,
        reference: &Reference,
        name: &Reference,
        access: &ImageAccess,
        wish: Wish,
    ) -> Result<Image> {
        let store = self.image_store();
        let puller = Puller::new(registries(access))?;
        let what = Pull {
            reference,
            platform: None,
            limits: Limits::default(),
            connect_timeout: match wish {
                Wish::Explicit => PATIENT,
                Wish::Detected => BRIEF,
            },
        };
        let progress = access.progress.clone();
        let tell: agentkernel_pull::Progress = match wish {
            Wish::Explicit => Arc::new(move |event| progress.tell(event)),
            Wish::Detected => held_back(progress),
        };
        let image = puller.pull(&store, &what, &tell).await?;
        if name != reference {
            store.writer()?.name(&image.id, name)?;
        }
        if let Some(most) = access.max_bytes {
            self.make_room(&image.id, most);
        }
        Ok(image)
    }

    /// Best effort: the image is here, and what cannot be removed now goes after the next pull.
    fn make_room(&self, newest: &Digest, most: u64) {
        let store = self.image_store();
        // What has just come is in use from here on.
        if let (Ok(_lease), Ok(kept)) = (store.lease(newest), self.kept_images()) {
            let _ = store.prune(&kept, false, Some(most), false);
        }
    }
}

/// That a registry is asked is told once it has answered: if it does not, one line about the fallback is enough.
fn held_back(progress: Progress) -> agentkernel_pull::Progress {
    let held = Mutex::new(None);
    Arc::new(move |event| {
        let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            ImageEvent::Asking { .. } => *held = Some(event),
            ImageEvent::Retry { .. } => {}
            event => {
                if let Some(asking) = held.take() {
                    progress.tell(asking);
                }
                progress.tell(event);
            }
        }
    })
}

fn absent(reference: &Reference, wish: Wish) -> Error {
    let name = reference.familiar();
    let mut way_out = format!("agentkernel image pull {name}");
    if let Wish::Explicit = wish {
        way_out += ", or --image host for this machine's own programs";
    }
    Error::new(
        ErrorKind::NotFound,
        "pull",
        format!("the image {name} is not in the store, and nothing may be pulled (--pull never)"),
    )
    .with("field", "image")
    .hint(way_out)
}

pub(super) fn registries(access: &ImageAccess) -> Registries {
    let hosts: BTreeMap<String, RegistrySettings> = access
        .registries
        .iter()
        .map(|(host, registry)| {
            let settings = RegistrySettings {
                insecure: registry.insecure,
                ca: registry.ca.clone(),
                mirrors: registry.mirrors.clone(),
            };
            (host.clone(), settings)
        })
        .collect();
    let default = Registries::default();
    Registries {
        hosts,
        parallel_layers: access
            .parallel_layers
            .map_or(default.parallel_layers, |layers| layers as usize),
        ..default
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_that_does_not_answer_is_not_spoken_of() {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&heard);
        let tell = held_back(Progress::new(move |event| {
            told.lock().expect("no panic").push(event);
        }));
        let asking = |source: &str| ImageEvent::Asking {
            image: "x".to_owned(),
            source: source.to_owned(),
        };
        tell(asking("mirror"));
        tell(asking("registry"));
        assert!(heard.lock().expect("no panic").is_empty());
        let found = ImageEvent::Found {
            image: "x".to_owned(),
            layers: Vec::new(),
        };
        tell(found.clone());
        tell(found.clone());
        assert_eq!(
            *heard.lock().expect("no panic"),
            [asking("registry"), found.clone(), found]
        );
    }
}
