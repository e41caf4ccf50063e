//! The whole way from what everybody says to what holds.

use std::path::Path;

use agentkernel_types::{NameServer, NetworkMode, NetworkPolicy, PublishedPort};

use super::{
    NetworkOrigins,
    idle::{List, refuse_idle},
    own::{Own, extend, flagged, listed, values},
    project::Judge,
};
use crate::{Origin, Overrides, Setting, layer::Layer, problem::Problem};

/// Everybody who may say something.
pub(crate) struct Voices<'a> {
    pub flags: &'a Overrides,
    pub environment: &'a Overrides,
    pub user: Option<&'a Layer>,
    pub user_file: Option<&'a Path>,
    pub project: Option<&'a Layer>,
}

#[derive(Clone, Debug)]
pub(crate) struct Laid {
    /// The origin is that of the mode.
    pub policy: Setting<NetworkPolicy>,
    pub ports: Vec<PublishedPort>,
    pub name_servers: Vec<NameServer>,
    pub origins: NetworkOrigins,
}

pub(crate) fn lay(voices: &Voices<'_>, problems: &mut Vec<Problem>) -> Laid {
    let mut rest = Own::default();
    if let Some(user) = voices.user {
        rest.add_file(user);
    }
    let mut own = rest.clone();
    own.add_environment(voices.environment);
    own.add_flags(voices.flags);
    let judge = voices.project.map(|project| Judge {
        project,
        user: voices.user,
        user_file: voices.user_file,
        rest: &rest,
        own: &own,
        flags: voices.flags,
        environment: voices.environment,
    });
    let tightened = match &judge {
        Some(judge) => tighten(judge, problems),
        None => own.clone(),
    };
    let ports = ports(voices, judge.as_ref(), problems);
    let ports = drop_idle(ports, voices, &tightened, problems);
    finish(tightened, ports, voices)
}

fn tighten(judge: &Judge<'_>, problems: &mut Vec<Problem>) -> Own {
    let mut tightened = judge.own.clone();
    judge.refuse_mode(problems);
    if let Some(mode) = judge.mode() {
        tightened.mode = mode;
    }
    if let Some(allow) = judge.allow(problems) {
        tightened.allow = allow;
        extend(&mut tightened.allow, flagged(&judge.flags.allow, "--allow"));
    }
    let denials = listed(judge.project, &judge.project.values.network.deny);
    if let Some(first) = denials.first()
        && !tightened.mode.is_decided_above(&first.origin)
    {
        refuse_idle(List::Deny, judge.project, &tightened.mode, problems);
    }
    extend(&mut tightened.deny, denials);
    tightened
}

/// Those of the strongest source that says any.
fn ports(
    voices: &Voices<'_>,
    judge: Option<&Judge<'_>>,
    problems: &mut Vec<Problem>,
) -> Vec<Setting<PublishedPort>> {
    if !voices.flags.ports.is_empty() {
        return flagged(&voices.flags.ports, "--publish");
    }
    let user = |user: &Layer| listed(user, &user.values.network.ports);
    judge
        .and_then(|judge| judge.ports(problems))
        .unwrap_or_else(|| voices.user.map_or_else(Vec::new, user))
}

/// Where the mode leaves no room for ports, a stronger source than theirs has decided it, or they are refused.
fn drop_idle(
    ports: Vec<Setting<PublishedPort>>,
    voices: &Voices<'_>,
    own: &Own,
    problems: &mut Vec<Problem>,
) -> Vec<Setting<PublishedPort>> {
    let Some(first) = ports
        .first()
        .filter(|_| !List::Ports.has_effect(own.mode.value()))
    else {
        return ports;
    };
    let layer = match first.origin {
        Origin::UserFile { .. } => voices.user,
        Origin::ProjectFile { .. } => voices.project,
        // Those of flags are refused when all is laid.
        _ => return ports,
    };
    if let Some(layer) = layer.filter(|_| !own.mode.is_decided_above(&first.origin)) {
        refuse_idle(List::Ports, layer, &own.mode, problems);
    }
    Vec::new()
}

fn finish(own: Own, ports: Vec<Setting<PublishedPort>>, voices: &Voices<'_>) -> Laid {
    let mode = own.mode.value();
    let Own { allow, deny, .. } = match mode {
        // No policy is applied to it, so none is shown either.
        NetworkMode::Host => Own::default(),
        _ => own.clone(),
    };
    let name_servers = match (mode, voices.flags.name_servers.is_empty()) {
        (_, false) => flagged(&voices.flags.name_servers, "--dns"),
        (NetworkMode::Host, true) => Vec::new(),
        (_, true) => voices
            .user
            .map_or_else(Vec::new, |user| listed(user, &user.values.network.name_servers)),
    };
    let policy = NetworkPolicy {
        mode,
        allow: values(&allow),
        deny: values(&deny),
    };
    Laid {
        policy: Setting::new(policy, own.mode.origin()),
        ports: values(&ports),
        name_servers: values(&name_servers),
        origins: NetworkOrigins {
            allow: origins(allow),
            deny: origins(deny),
            ports: origins(ports),
            name_servers: origins(name_servers),
        },
    }
}

fn origins<T>(list: Vec<Setting<T>>) -> Vec<Origin> {
    list.into_iter().map(|entry| entry.origin).collect()
}
