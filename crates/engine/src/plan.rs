//! From a request to a specification. Pure: the facts of the host and the capabilities of the backend are given.

use agentkernel_backend::{Capabilities, Error, Result};
use agentkernel_control::{Choice, Notice, SandboxRequest};
use agentkernel_types::{
    EnvVar, GuestPath, Lifetime, Mount, NetworkMode, NetworkPolicy, Resources, RootAccess, SandboxId,
    SandboxSpec,
};

use crate::{facts::Facts, failure::from_policy, images::Found};

/// What is to be made, and why like this.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) spec: SandboxSpec,
    pub(crate) choices: Vec<Choice>,
    pub(crate) notices: Vec<Notice>,
}

pub(crate) fn plan(
    request: &SandboxRequest,
    facts: &Facts,
    has: &Capabilities,
    found: Found,
    id: SandboxId,
    lifetime: Lifetime,
) -> Result<Plan> {
    let Found {
        image,
        id: image_id,
        mut choices,
        notices,
    } = found;
    let network = network(request, &mut choices)?;
    let (mounts, workdir) = mounts(request, facts, &mut choices)?;
    let spec = SandboxSpec {
        id,
        name: request.name.clone(),
        lifetime,
        image,
        image_id,
        profile: request.profile,
        root: if request.grants.read_only {
            RootAccess::ReadOnly
        } else {
            RootAccess::Writable
        },
        network: network.into(),
        ports: request.ports.clone(),
        name_servers: request.name_servers.clone(),
        mounts,
        env: env(request, facts),
        workdir,
        user: request.user.clone(),
        resources: resources(request, has, &mut choices),
    };
    Ok(Plan {
        spec,
        choices,
        notices,
    })
}

fn choice(what: &'static str, value: impl ToString, why: impl Into<String>) -> Choice {
    Choice {
        what,
        value: value.to_string(),
        why: why.into(),
    }
}

fn network(request: &SandboxRequest, choices: &mut Vec<Choice>) -> Result<NetworkPolicy> {
    let policy = &request.network;
    // A rule that no policy can have is told before anything is made.
    agentkernel_policy::CompiledNetwork::new(policy).map_err(from_policy("network"))?;
    choices.push(choice("network", policy.mode, request.network_origin.clone()));
    let rules = [("allow", &policy.allow), ("deny", &policy.deny)];
    for (what, rules) in rules {
        choices.extend(rules.iter().map(|rule| choice(what, rule, "")));
    }
    if !request.ports.is_empty() && matches!(policy.mode, NetworkMode::None | NetworkMode::Host) {
        let (message, hint) = match policy.mode {
            NetworkMode::None => (
                "a sandbox without a network has no ports to publish",
                "pass --network allowlist: it reaches nothing that no rule allows, and can be reached",
            ),
            _ => (
                "a sandbox that shares the host's network has no ports of its own",
                "leave out --publish: what listens inside listens on the host already",
            ),
        };
        return Err(Error::unsupported("create", "ports", message).hint(hint));
    }
    choices.extend(request.ports.iter().map(|port| choice("port", port, "published")));
    Ok(policy.clone())
}

/// Parents before what lies beneath them. What was asked for by name takes the place of a piece of the home folder.
fn mounts(
    request: &SandboxRequest,
    facts: &Facts,
    choices: &mut Vec<Choice>,
) -> Result<(Vec<Mount>, Option<GuestPath>)> {
    let mut mounts = Vec::new();
    for (mount, source) in &facts.mounts {
        agentkernel_policy::check_mount(mount, source, &facts.host, &facts.credentials)
            .map_err(from_policy("mounts"))?;
        let access = if mount.read_only { "read-only" } else { "writable" };
        choices.push(choice(
            "mount",
            &mount.target,
            format!("{}, {access}", mount.source.display()),
        ));
        mounts.push(mount.clone());
    }
    if let Some(home) = &facts.home {
        choices.push(choice(
            "mount",
            home.path.display(),
            "the home folder, read-only, without credentials",
        ));
        let taken = |piece: &&Mount| !facts.mounts.iter().any(|(mount, _)| mount.target == piece.target);
        mounts.extend(home.mounts.iter().filter(taken).cloned());
    }
    let mut workdir = request.workdir.clone();
    if let (None, true, Some((project, _))) = (&workdir, request.grants.mount_cwd, facts.mounts.first()) {
        workdir = Some(project.target.clone());
    }
    Ok((
        agentkernel_policy::order_mounts(mounts).map_err(from_policy("mounts"))?,
        workdir,
    ))
}

/// A later variable wins: what passes from the caller, the home folder, what was asked for.
fn env(request: &SandboxRequest, facts: &Facts) -> Vec<EnvVar> {
    let mut env = match request.grants.pass_env {
        true => agentkernel_policy::passed_env(&request.caller_env, facts.home.is_some()).kept,
        false => Vec::new(),
    };
    if let Some(home) = facts.home.as_ref().and_then(|home| home.path.to_str()) {
        env.extend(EnvVar::new("HOME", home));
    }
    env.extend(request.env.iter().cloned());
    env
}

/// What was asked for must be kept or refused; the defaults hold where the backend can keep them.
fn resources(request: &SandboxRequest, has: &Capabilities, choices: &mut Vec<Choice>) -> Resources {
    let asked = request.resources;
    let default = agentkernel_policy::default_limits(request.profile);
    let mut fill = |what: &'static str, given: bool, value: Option<String>, can: bool| {
        if let (false, Some(value)) = (given, value) {
            let why = if can {
                "the default"
            } else {
                "the default, which this backend cannot keep on this host"
            };
            choices.push(choice(what, if can { value } else { "none".to_owned() }, why));
        }
    };
    fill(
        "cpus",
        asked.cpus.is_some(),
        default.cpus.map(|cpus| cpus.to_string()),
        has.limit_cpus,
    );
    fill(
        "memory",
        asked.memory.is_some(),
        default.memory.map(|memory| memory.to_string()),
        has.limit_memory,
    );
    fill(
        "pids",
        asked.pids.is_some(),
        default.pids.map(|pids| pids.to_string()),
        has.limit_pids,
    );
    Resources {
        cpus: asked.cpus.or(default.cpus.filter(|_| has.limit_cpus)),
        memory: asked.memory.or(default.memory.filter(|_| has.limit_memory)),
        pids: asked.pids.or(default.pids.filter(|_| has.limit_pids)),
        disk: asked.disk,
        timeout: asked.timeout.or(default.timeout),
    }
}
