//! Lays the sources over each other, weakest first: defaults, user's file, project's file,
//! environment, flags. Pure: nothing is read here.

use agentkernel_types::ProfileGrants;

use crate::{
    GrantOrigins, Origin, Overrides, Resolved, Setting, Sources,
    environment::{BACKEND, IMAGE, ISOLATION, PROFILE},
    images,
    layer::{At, Layer},
    network::{self, Laid, Voices},
    problem::Problem,
    tighten::Judge,
    walls::Walls,
};

pub(crate) fn merge(
    sources: &Sources,
    environment: &Overrides,
    user: Option<&Layer>,
    project: Option<&Layer>,
    problems: &mut Vec<Problem>,
) -> Resolved {
    let flags = &sources.flags;
    let mut walls = Walls::default();
    if let Some(user) = user {
        walls.add(user);
    }
    if let Some(project) = project {
        let user_file = sources.user_file.as_deref();
        let profile_decided = flags.profile.is_some() || environment.profile.is_some();
        let judge = Judge {
            project,
            user_file,
            allowed: walls.clone(),
            flags,
            profile_decided,
        };
        judge.add(&mut walls, problems);
    }
    if let Some(profile) = environment.profile {
        walls.set_profile(profile, Origin::Environment(PROFILE));
    }
    walls.add_flags(flags);
    let voices = Voices {
        flags,
        environment,
        user,
        user_file: sources.user_file.as_deref(),
        project,
    };
    let network = network::lay(&voices, problems);
    resolved(walls, network, &voices)
}

fn resolved(walls: Walls, network: Laid, voices: &Voices<'_>) -> Resolved {
    let Voices {
        flags,
        environment,
        user,
        project,
        ..
    } = *voices;
    let [mount_cwd, mount_home, pass_env, read_only] = walls.grants;
    let grants = ProfileGrants {
        network: network.policy.value.mode,
        mount_cwd: mount_cwd.value,
        mount_home: mount_home.value,
        pass_env: pass_env.value,
        read_only: read_only.value,
    };
    // A runtime that a project asks for is a choice of image too: it beats the user's own image.
    let project_has_runtime = project.is_some_and(|layer| layer.values.runtime.is_some());
    let user_image = user.filter(|_| !project_has_runtime);
    Resolved {
        name: flagged(&flags.name, "--name").or_else(|| from(project, |layer| &layer.values.name)),
        profile: walls.profile,
        grants,
        ports: network.ports,
        name_servers: network.name_servers,
        network_origins: network.origins,
        grant_origins: GrantOrigins {
            network: network.policy.origin.clone(),
            mount_cwd: mount_cwd.origin,
            mount_home: mount_home.origin,
            pass_env: pass_env.origin,
            read_only: read_only.origin,
        },
        network: network.policy,
        image: flagged(&flags.image, "--image")
            .or_else(|| variable(&environment.image, IMAGE))
            .or_else(|| from(project, |layer| &layer.values.image))
            .or_else(|| from(user_image, |layer| &layer.values.image)),
        runtime: from(project, |layer| &layer.values.runtime)
            .or_else(|| from(user, |layer| &layer.values.runtime)),
        backend: flagged(&flags.backend, "--backend")
            .or_else(|| variable(&environment.backend, BACKEND))
            .or_else(|| from(user, |layer| &layer.values.backend)),
        isolation: flagged(&flags.isolation, "--isolation")
            .or_else(|| variable(&environment.isolation, ISOLATION))
            .or_else(|| from(user, |layer| &layer.values.isolation)),
        resources: walls.resources,
        resource_origins: walls.resource_origins,
        agent: flagged(&flags.agent, "--agent")
            .or_else(|| from(project, |layer| &layer.values.agent))
            .or_else(|| from(user, |layer| &layer.values.agent)),
        images: images::settings(flags, environment, user, project),
        files: Vec::new(),
        project_file: None,
    }
}

fn flagged<T: Clone>(value: &Option<T>, flag: &'static str) -> Option<Setting<T>> {
    value.clone().map(|value| Setting::new(value, Origin::Flag(flag)))
}

fn variable<T: Clone>(value: &Option<T>, name: &'static str) -> Option<Setting<T>> {
    value
        .clone()
        .map(|value| Setting::new(value, Origin::Environment(name)))
}

fn from<T: Clone>(layer: Option<&Layer>, pick: impl Fn(&Layer) -> &Option<At<T>>) -> Option<Setting<T>> {
    let layer = layer?;
    let at = pick(layer).as_ref()?;
    Some(Setting::new(at.value.clone(), layer.origin(&at.span)))
}
