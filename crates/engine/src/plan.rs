//! From a request to a specification. Pure: the facts of the host and the capabilities of the backend are given.

use agentkernel_backend::{Capabilities, Error, Result};
use agentkernel_control::{Choice, Notice, SandboxRequest};
use agentkernel_types::{
    EnvVar, ErrorKind, GuestPath, ImageRef, Lifetime, Mount, NetworkMode, Resources, RootAccess, SandboxId,
    SandboxSpec,
};

use crate::{facts::Facts, policy};

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
    id: SandboxId,
    lifetime: Lifetime,
) -> Result<Plan> {
    let mut choices = Vec::new();
    let mut notices = Vec::new();
    let image = image(request, facts, has, &mut choices, &mut notices)?;
    let network = network(request, &mut choices);
    let (mounts, workdir) = mounts(request, facts, &mut choices)?;
    let spec = SandboxSpec {
        id,
        name: request.name.clone(),
        lifetime,
        image,
        profile: request.profile,
        root: if request.grants.read_only {
            RootAccess::ReadOnly
        } else {
            RootAccess::Writable
        },
        network,
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

fn image(
    request: &SandboxRequest,
    facts: &Facts,
    has: &Capabilities,
    choices: &mut Vec<Choice>,
    notices: &mut Vec<Notice>,
) -> Result<ImageRef> {
    if let Some(image) = &request.image {
        choices.push(choice("image", image, "asked for"));
        if matches!(image, ImageRef::Registry(_)) && !has.registry_images {
            return Err(Error::unsupported(
                "plan",
                "image",
                format!("the image {image} cannot be used yet on this backend"),
            )
            .hint("use the host's own programs: --image host"));
        }
        return Ok(image.clone());
    }
    let detected = facts.detected.as_ref().ok_or_else(|| {
        Error::new(
            ErrorKind::InvalidSpec,
            "plan",
            "no image was given and none was looked for",
        )
        .with("field", "image")
    })?;
    if let Some(runtime) = &detected.runtime {
        choices.push(choice("runtime", runtime, detected.why.clone()));
    }
    if detected.image == ImageRef::Host || has.registry_images {
        choices.push(choice("image", &detected.image, detected.why.clone()));
        return Ok(detected.image.clone());
    }
    if !has.host_image {
        let why = format!("the image {} cannot be used yet on this backend", detected.image);
        return Err(Error::unsupported("plan", "image", why));
    }
    let why = format!("{} is not in the store", detected.image);
    choices.push(choice("image", ImageRef::Host, why.clone()));
    let message = format!("using the host's own programs (image host): {why}");
    notices.push(Notice {
        code: "host_image",
        message,
    });
    Ok(ImageRef::Host)
}

fn network(request: &SandboxRequest, choices: &mut Vec<Choice>) -> NetworkMode {
    let profile = request.profile;
    let (mode, why) = match (request.grants.network, request.network) {
        (_, Some(NetworkMode::None)) => (NetworkMode::None, "asked for".to_owned()),
        (false, _) => (
            NetworkMode::None,
            format!("the profile {profile} as it is set grants no network"),
        ),
        (true, _) => (
            NetworkMode::Host,
            format!(
                "the profile {profile} as it is set grants a network, and the host's is the only one there is yet"
            ),
        ),
    };
    choices.push(choice("network", mode, why));
    mode
}

/// The home folder first, as the project may lie in it, then what was asked for by name.
fn mounts(
    request: &SandboxRequest,
    facts: &Facts,
    choices: &mut Vec<Choice>,
) -> Result<(Vec<Mount>, Option<GuestPath>)> {
    let mut mounts = Vec::new();
    let mut workdir = request.workdir.clone();
    if let Some(home) = &facts.home {
        choices.push(choice(
            "mount",
            home.target.clone(),
            "the home folder, read-only, without credentials",
        ));
        mounts.push(home.clone());
    }
    if let Some(project) = &facts.project {
        let target = policy::guest_path(project, "mount_cwd")?;
        choices.push(choice("mount", &target, "the project folder, writable"));
        workdir.get_or_insert_with(|| target.clone());
        mounts.push(Mount::new(project, target, false));
    }
    mounts.extend(facts.mounts.iter().cloned());
    for mount in &mounts {
        policy::check_mount(mount)?;
    }
    Ok((mounts, workdir))
}

/// A later variable wins: what passes from the caller, the home folder, what was asked for.
fn env(request: &SandboxRequest, facts: &Facts) -> Vec<EnvVar> {
    let mut env = if request.grants.pass_env {
        policy::passed_env(&request.caller_env)
    } else {
        Vec::new()
    };
    if let Some(home) = &facts.home {
        env.extend(EnvVar::new("HOME", home.target.as_str()));
    } else {
        // It would name a folder that is not there.
        env.retain(|variable| variable.name() != "HOME");
    }
    env.extend(request.env.iter().cloned());
    env
}

/// What was asked for must be kept or refused; the defaults hold where the backend can keep them.
fn resources(request: &SandboxRequest, has: &Capabilities, choices: &mut Vec<Choice>) -> Resources {
    let asked = request.resources;
    let default = policy::default_limits(request.profile);
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
