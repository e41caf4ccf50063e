//! From what was asked for, or detected, to the image of a specification.

use agentkernel_backend::{Capabilities, Error, Result};
use agentkernel_control::{Choice, Notice, SandboxRequest};
use agentkernel_image::Reference;
use agentkernel_types::{Digest, ErrorKind, ImageRef, PullPolicy, RegistryImages};

use super::ensure::{Ensured, Wish};
use crate::{
    Engine,
    facts::{Detected, Facts},
};

/// What it is asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Intent {
    Make,
    /// Nothing is fetched.
    Explain,
}

/// The image of a sandbox.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) image: ImageRef,
    /// In our store. None: the host's, or the backend's own affair, or not fetched yet.
    pub(crate) id: Option<Digest>,
    pub(crate) choices: Vec<Choice>,
    pub(crate) notices: Vec<Notice>,
}

impl Engine {
    pub(crate) async fn find_image(
        &self,
        request: &SandboxRequest,
        facts: &Facts,
        has: &Capabilities,
        intent: Intent,
    ) -> Result<Found> {
        match (&request.image, &facts.detected) {
            (Some(image), _) => self.explicit(request, image, has, intent).await,
            (None, Some(detected)) => self.detected(request, detected, has, intent).await,
            (None, None) => Err(Error::new(
                ErrorKind::InvalidSpec,
                "plan",
                "no image was given and none was looked for",
            )
            .with("field", "image")),
        }
    }

    async fn explicit(
        &self,
        request: &SandboxRequest,
        image: &ImageRef,
        has: &Capabilities,
        intent: Intent,
    ) -> Result<Found> {
        let mut found = Found::new(image.clone(), "asked for".to_owned());
        let ImageRef::Registry(name) = image else {
            return Ok(found);
        };
        match has.registry_images {
            RegistryImages::None => {
                return Err(Error::unsupported(
                    "plan",
                    "image",
                    format!("the image {image} cannot be used on this backend"),
                )
                .hint("use the host's own programs: --image host"));
            }
            RegistryImages::Own => {}
            // An id is never fetched: it is here or nowhere.
            RegistryImages::Layers if name.parse::<Digest>().is_ok() => {
                found.take(Got::Ensured(self.by_id(name)?));
            }
            RegistryImages::Layers => {
                let reference = self.reference(name, request, &mut found)?;
                let got = self.get(&reference, request, Wish::Explicit, intent).await;
                found.take(got.map_err(about_the_image)?);
            }
        }
        Ok(found)
    }

    fn by_id(&self, id: &str) -> Result<Ensured> {
        let found = self.image_store().resolve(id)?;
        let why = "it is in the store".to_owned();
        match found {
            Some(id) => Ok(Ensured {
                id,
                why,
                notice: None,
            }),
            None => Err(Error::new(
                ErrorKind::NotFound,
                "plan",
                format!("there is no image {id} in the store"),
            )
            .with("field", "image")
            .hint("list them: agentkernel image list")),
        }
    }

    /// A name with a digest is in the lock file's hand, or in the user's.
    fn reference(&self, name: &str, request: &SandboxRequest, found: &mut Found) -> Result<Reference> {
        let reference: Reference = name.parse()?;
        let pinned = Self::pinned(&request.images, &reference)?;
        if let (None, Some(digest)) = (reference.digest(), pinned.digest()) {
            found.choose(
                "digest",
                digest.to_string(),
                "pinned by the project's lock file".to_owned(),
            );
        }
        Ok(reference)
    }

    async fn detected(
        &self,
        request: &SandboxRequest,
        detected: &Detected,
        has: &Capabilities,
        intent: Intent,
    ) -> Result<Found> {
        let mut found = Found::new(detected.image.clone(), detected.why.clone());
        if let Some(runtime) = &detected.runtime {
            found
                .choices
                .insert(0, choice("runtime", runtime, detected.why.clone()));
        }
        let ImageRef::Registry(name) = &detected.image else {
            return Ok(found);
        };
        let reason = match has.registry_images {
            RegistryImages::Own => return Ok(found),
            RegistryImages::None => format!("{name}: this backend has the host's programs only"),
            RegistryImages::Layers => {
                let reference = self.reference(name, request, &mut found)?;
                match self.get(&reference, request, Wish::Detected, intent).await {
                    Ok(got) => {
                        found.take(got);
                        return Ok(found);
                    }
                    Err(error) if !has.host_image => return Err(error),
                    Err(_) if request.images.policy == PullPolicy::Never => {
                        format!("{name} is not in the store; get it: agentkernel image pull {name}")
                    }
                    Err(error) => {
                        let why = error.message();
                        format!("{name}: {why}; try again: agentkernel image pull {name}")
                    }
                }
            }
        };
        if !has.host_image {
            let why = format!("the image {} cannot be used on this backend", detected.image);
            return Err(Error::unsupported("plan", "image", why));
        }
        found.fall_back(reason);
        Ok(found)
    }

    async fn get(
        &self,
        reference: &Reference,
        request: &SandboxRequest,
        wish: Wish,
        intent: Intent,
    ) -> Result<Got> {
        let access = &request.images;
        if intent == Intent::Make {
            return self.ensure(reference, access, wish).await.map(Got::Ensured);
        }
        let pinned = Self::pinned(access, reference)?;
        Ok(match self.image_store().by_name(&pinned)? {
            Some(id) => Got::Ensured(Ensured {
                id,
                why: match access.policy {
                    PullPolicy::Always => format!("in the store; {} would be asked", pinned.registry()),
                    _ => "it is in the store".to_owned(),
                },
                notice: None,
            }),
            None if access.policy == PullPolicy::Never && wish == Wish::Detected => {
                return Err(Error::new(ErrorKind::NotFound, "plan", "it is not in the store"));
            }
            None if access.policy == PullPolicy::Never => {
                Got::Later("it is not in the store: this run would fail".to_owned())
            }
            None => Got::Later(format!(
                "it would be taken from an engine of this machine that has it, or pulled from {}",
                pinned.registry()
            )),
        })
    }
}

/// Whatever a registry or an engine said of it.
fn about_the_image(error: Error) -> Error {
    match error.field() {
        None => error.with("field", "image"),
        Some(_) => error,
    }
}

enum Got {
    Ensured(Ensured),
    Later(String),
}

impl Found {
    fn new(image: ImageRef, why: String) -> Self {
        let choices = vec![choice("image", &image, why)];
        Self {
            image,
            id: None,
            choices,
            notices: Vec::new(),
        }
    }

    fn choose(&mut self, what: &'static str, value: String, why: String) {
        self.choices.push(choice(what, value, why));
    }

    fn take(&mut self, got: Got) {
        match got {
            Got::Ensured(ensured) => {
                self.choose("image id", ensured.id.to_string(), ensured.why);
                self.id = Some(ensured.id);
                self.notices.extend(ensured.notice);
            }
            Got::Later(why) => self.choose("image id", "not known yet".to_owned(), why),
        }
    }

    fn fall_back(&mut self, reason: String) {
        self.image = ImageRef::Host;
        let message = format!("using the host's own programs (image host): {reason}");
        self.choose("image", ImageRef::Host.to_string(), reason);
        self.notices.push(Notice {
            code: "host_image",
            message,
        });
    }
}

fn choice(what: &'static str, value: impl ToString, why: String) -> Choice {
    Choice {
        what,
        value: value.to_string(),
        why,
    }
}
