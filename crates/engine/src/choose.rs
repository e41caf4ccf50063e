//! Which backend runs it: the one that was named, or the best of those that can.

use std::sync::Arc;

use agentkernel_backend::{Backend, Descriptor, Error, Result};
use agentkernel_control::{Choice, Explanation, RunRequest, SandboxRequest};
use agentkernel_types::{Command, ErrorKind, ImageRef, Isolation, Lifetime, RegistryImages};

use crate::{
    Engine,
    facts::{self, Facts},
    identity,
    images::{Intent, refuse_nothing_to_run},
    plan::{Plan, plan},
};

pub(crate) struct Chosen {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) plan: Plan,
}

impl Engine {
    /// Nothing is made. Connects to as few backends as the answer needs.
    pub(crate) async fn choose(
        &self,
        request: &SandboxRequest,
        command: Option<&Command>,
        lifetime: Lifetime,
        intent: Intent,
    ) -> Result<Chosen> {
        let facts = facts::gather(request, command, self.own_folders())?;
        if let Some(name) = &request.backend {
            return self.named(name.as_str(), request, &facts, lifetime, intent).await;
        }
        let mut refusals = Vec::new();
        for &descriptor in &self.shared.descriptors {
            let attempt = match meets(descriptor, request.isolation) {
                Ok(()) => self.consider(descriptor, request, &facts, lifetime, intent).await,
                Err(error) => Err(error),
            };
            match attempt {
                Ok(mut chosen) => {
                    let grade = descriptor.isolation;
                    let why = match refusals.len() {
                        0 => format!("the best isolation here ({grade})"),
                        _ => format!("the best isolation ({grade}) that can do it"),
                    };
                    chosen.plan.choices.push(backend_choice(descriptor, why));
                    return Ok(chosen);
                }
                // An image that cannot be had can be had on no backend.
                Err(error) if error.field() == Some("image") && error.kind() != ErrorKind::Unsupported => {
                    return Err(error);
                }
                Err(error) => refusals.push((descriptor, error)),
            }
        }
        Err(none_can(request, refusals))
    }

    /// A bad explicit choice fails closed.
    async fn named(
        &self,
        name: &str,
        request: &SandboxRequest,
        facts: &Facts,
        lifetime: Lifetime,
        intent: Intent,
    ) -> Result<Chosen> {
        let descriptor = self.descriptor(name)?;
        meets(descriptor, request.isolation)?;
        let mut chosen = self
            .consider(descriptor, request, facts, lifetime, intent)
            .await?;
        chosen
            .plan
            .choices
            .push(backend_choice(descriptor, "asked for".to_owned()));
        Ok(chosen)
    }

    async fn consider(
        &self,
        descriptor: &'static Descriptor,
        request: &SandboxRequest,
        facts: &Facts,
        lifetime: Lifetime,
        intent: Intent,
    ) -> Result<Chosen> {
        let backend = self.connect(descriptor).await?;
        let has = backend.capabilities();
        let found = self.find_image(request, facts, has, intent).await?;
        let plan = plan(request, facts, has, found, identity::fresh_id(), lifetime)?;
        // An image that is still to be fetched cannot be looked into.
        let unknown = plan.spec.image != ImageRef::Host
            && has.registry_images == RegistryImages::Layers
            && plan.spec.image_id.is_none();
        if !unknown {
            backend.check(&plan.spec)?;
        }
        Ok(Chosen { backend, plan })
    }

    pub(crate) async fn explain_run(&self, request: &RunRequest) -> Result<Explanation> {
        refuse_nothing_to_run(request)?;
        let lifetime = if request.keep {
            Lifetime::Kept
        } else {
            Lifetime::Ephemeral
        };
        let chosen = self
            .choose(
                &request.sandbox,
                request.command.as_ref(),
                lifetime,
                Intent::Explain,
            )
            .await?;
        let command = self.explain_command(request, &chosen)?;
        let Chosen { backend, plan } = chosen;
        let descriptor = backend.descriptor();
        let mut choices = plan.choices;
        choices.extend(command);
        Ok(Explanation {
            choices,
            spec: plan.spec,
            backend: descriptor.name.to_owned(),
            isolation: descriptor.isolation,
        })
    }
}

fn backend_choice(descriptor: &Descriptor, why: String) -> Choice {
    Choice {
        what: "backend",
        value: descriptor.name.to_owned(),
        why,
    }
}

fn meets(descriptor: &Descriptor, minimum: Option<Isolation>) -> Result<()> {
    match minimum {
        Some(minimum) if descriptor.isolation < minimum => {
            let (name, grade) = (descriptor.name, descriptor.isolation);
            let why = format!("{name} isolates by {grade}, and at least {minimum} was asked for");
            Err(Error::unsupported("choose", "isolation", why))
        }
        _ => Ok(()),
    }
}

/// One candidate: its own error. Several: each with its reason, and the kind of the most telling one.
fn none_can(request: &SandboxRequest, mut refusals: Vec<(&'static Descriptor, Error)>) -> Error {
    if refusals.len() == 1 {
        return refusals.remove(0).1;
    }
    if refusals.is_empty() {
        return Error::new(
            ErrorKind::Unavailable,
            "choose",
            "this installation has no backend",
        );
    }
    // A refusal of the request says more than a backend that is not there or too weak.
    let telling = |error: &Error| match error.kind() {
        ErrorKind::Unavailable => 0,
        _ if error.field() == Some("isolation") => 1,
        _ => 2,
    };
    let reasons: Vec<_> = refusals
        .iter()
        .map(|(descriptor, error)| format!("{}: {error}", descriptor.name))
        .collect();
    let what = match request.isolation {
        Some(minimum) => format!("no backend of isolation {minimum} or better can do this"),
        None => "no backend here can do this".to_owned(),
    };
    let (_, best) = refusals
        .into_iter()
        .rev()
        .max_by_key(|(_, error)| telling(error))
        .expect("it has just been seen that there are some");
    let mut error = Error::new(best.kind(), "choose", format!("{what} ({})", reasons.join("; ")));
    if let Some(hint) = best.hint_text() {
        error = error.hint(hint);
    }
    match best.field().map(str::to_owned) {
        Some(field) => error.with("field", field),
        None => error,
    }
}
