//! Flags, environment and files to a [`SandboxRequest`]. The only user of the configuration crate.

use std::{
    env,
    path::{Path, PathBuf},
};

use agentkernel_config::{
    BuildSettings, ConfigError, Overrides, ProjectFile, RegistrySettings, Resolved, Setting, Sources,
    VARIABLES,
};
use agentkernel_control::{ImageAccess, InjectedFile, RegistryAccess, SandboxRequest};
use agentkernel_store::Paths;
use agentkernel_types::{EnvVar, Mount, NameServer, NetworkMode, Resources, SandboxName};

use crate::{
    args::{EnvironmentArgs, IsolationArgs, PullArgs},
    engine::cannot_place,
    failure::Failure,
    lock_file::LockFile,
};

/// In the user's configuration folder.
const USER_FILE: &str = "config.toml";

/// What `config show` shows.
pub fn show(config: Option<&Path>) -> Result<Resolved, Failure> {
    let project = current_dir()?;
    resolve(config, &project, Overrides::default())
}

/// The settings of one sandbox, and what the project builds. The name is `name`, or the project file's where `take_name`.
pub fn sandbox(
    isolation: &IsolationArgs,
    environment: &EnvironmentArgs,
    pull: &PullArgs,
    project_dir: Option<&Path>,
    name: Option<&SandboxName>,
    take_name: bool,
) -> Result<(SandboxRequest, Option<BuildSettings>), Failure> {
    let env = environment.resolve()?;
    let here = current_dir()?;
    let project_dir = match project_dir {
        Some(folder) => canonical_folder(&here.join(folder))?,
        None => here.clone(),
    };
    let resolved = resolve(
        isolation.config.as_deref(),
        &project_dir,
        Overrides {
            pull: pull.policy,
            ..overrides(isolation, name)
        },
    )?;
    let images = images(&resolved, &project_dir)?;
    let network_origin = network_origin(isolation, &resolved);
    let name = if take_name || name.is_some() {
        resolved.name.map(value)
    } else {
        None
    };
    let build = resolved.images.build.clone();
    let request = SandboxRequest {
        name,
        image: resolved.image.map(value),
        images,
        runtime: resolved.runtime.map(value),
        backend: resolved.backend.map(value),
        isolation: resolved.isolation.map(value),
        profile: resolved.profile.value,
        grants: resolved.grants,
        network_origin,
        network: resolved.network.value,
        ports: resolved.ports,
        name_servers: resolved
            .name_servers
            .into_iter()
            .map(NameServer::address)
            .collect(),
        project_dir,
        home_dir: env::home_dir().filter(|home| home.is_absolute()),
        credentials: isolation.credentials.clone(),
        caller_env: if resolved.grants.pass_env {
            caller_env()
        } else {
            Vec::new()
        },
        mounts: isolation
            .mounts
            .iter()
            .map(|mount| absolute(mount, &here))
            .collect(),
        env,
        workdir: isolation.workdir.clone(),
        user: isolation.user.clone(),
        resources: resolved.resources,
        files: resolved
            .files
            .into_iter()
            .map(|file| InjectedFile {
                source: file.source,
                dest: file.dest,
                mode: file.mode,
            })
            .collect(),
        agent: resolved.agent.map(value),
    };
    Ok((request, build))
}

/// The settings do not know that there are two ways to write `none`.
fn network_origin(isolation: &IsolationArgs, resolved: &Resolved) -> String {
    match isolation.no_network {
        true => "--no-network".to_owned(),
        false => resolved.network_origin(),
    }
}

fn value<T>(setting: Setting<T>) -> T {
    setting.value
}

fn resolve(config: Option<&Path>, project_dir: &Path, flags: Overrides) -> Result<Resolved, Failure> {
    let sources = Sources {
        user_file: Some(user_file()?),
        project_file: match config {
            Some(file) => ProjectFile::Explicit(file.to_owned()),
            None => ProjectFile::Discover(project_dir.to_owned()),
        },
        environment: documented_variables()?,
        flags,
    };
    Ok(agentkernel_config::resolve(&sources)?)
}

fn overrides(isolation: &IsolationArgs, name: Option<&SandboxName>) -> Overrides {
    Overrides {
        name: name.cloned(),
        profile: isolation.profile,
        image: isolation.image.clone(),
        backend: isolation.backend.clone(),
        isolation: isolation.isolation,
        network: if isolation.no_network {
            Some(NetworkMode::None)
        } else {
            isolation.network
        },
        allow: isolation.allow.clone(),
        deny: isolation.deny.clone(),
        ports: isolation.ports.clone(),
        name_servers: isolation.dns.clone(),
        mount_cwd: isolation.mount_cwd,
        mount_home: isolation.mount_home,
        pass_env: isolation.pass_env,
        read_only: isolation.read_only,
        resources: Resources {
            cpus: isolation.cpus,
            memory: isolation.memory,
            pids: isolation.pids,
            disk: isolation.disk,
            timeout: isolation.timeout,
        },
        agent: isolation.agent.clone(),
        pull: None,
    }
}

/// How images are got, for the commands that are about nothing else.
pub fn image_access(config: Option<&Path>) -> Result<(ImageAccess, Resolved), Failure> {
    let project = current_dir()?;
    let resolved = resolve(config, &project, Overrides::default())?;
    Ok((images(&resolved, &project)?, resolved))
}

fn images(resolved: &Resolved, project_dir: &Path) -> Result<ImageAccess, Failure> {
    let settings = &resolved.images;
    let registries = settings.registries.iter().map(|(host, registry)| {
        let RegistrySettings {
            insecure,
            ca,
            mirrors,
        } = registry.value.clone();
        (
            host.clone(),
            RegistryAccess {
                insecure,
                ca,
                mirrors,
            },
        )
    });
    Ok(ImageAccess {
        policy: settings
            .pull
            .as_ref()
            .map_or_else(Default::default, |pull| pull.value),
        registries: registries.collect(),
        pinned: LockFile::read(&LockFile::place(resolved.project_file.as_deref(), project_dir))?.pinned(),
        max_bytes: settings.max_bytes.as_ref().map(|bytes| bytes.value.bytes()),
        parallel_layers: settings.parallel_layers.as_ref().map(|layers| layers.value),
        ..ImageAccess::default()
    })
}

/// Looked up by name: the rest of the environment is nobody's business here.
fn documented_variables() -> Result<Vec<(String, String)>, Failure> {
    let mut variables = Vec::new();
    for variable in VARIABLES {
        match env::var(variable.name) {
            Ok(value) => variables.push((variable.name.to_owned(), value)),
            Err(env::VarError::NotPresent) => {}
            Err(env::VarError::NotUnicode(_)) => {
                let message = format!("the value of {} in this environment is not UTF-8", variable.name);
                return Err(agentkernel_types::ParseError::new(message).into());
            }
        }
    }
    Ok(variables)
}

/// What may pass is decided later; what cannot be passed at all is left out here.
fn caller_env() -> Vec<EnvVar> {
    let utf8 = env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    utf8.filter_map(|(name, value)| EnvVar::new(name, value).ok())
        .collect()
}

fn absolute(mount: &Mount, here: &Path) -> Mount {
    Mount {
        source: here.join(&mount.source),
        ..mount.clone()
    }
}

fn current_dir() -> Result<PathBuf, Failure> {
    env::current_dir().map_err(|error| Failure::io("settings", "cannot find the current folder", error))
}

/// A folder of the caller's, absolute.
pub fn folder(path: &Path) -> Result<PathBuf, Failure> {
    canonical_folder(&current_dir()?.join(path))
}

fn canonical_folder(path: &Path) -> Result<PathBuf, Failure> {
    let failed = |error| {
        Failure::io(
            "settings",
            format!("cannot use the folder {}", path.display()),
            error,
        )
    };
    let folder = path.canonicalize().map_err(failed)?;
    if !folder.is_dir() {
        return Err(failed(std::io::ErrorKind::NotADirectory.into()));
    }
    Ok(folder)
}

fn user_file() -> Result<PathBuf, Failure> {
    Ok(Paths::from_env().map_err(cannot_place)?.config.join(USER_FILE))
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Settings {
            kind: error.kind(),
            text: error.to_string(),
            hint: error.hint(),
        }
    }
}

#[cfg(test)]
mod tests {
    use agentkernel_types::NetworkRule;
    use clap::Parser as _;

    use super::*;
    use crate::args::{Arguments, RunArgs, TopCommand, Verb};

    fn run(line: &str) -> RunArgs {
        let words = ["agentkernel", "run"].into_iter().chain(line.split(' '));
        match Arguments::try_parse_from(words).unwrap().command {
            TopCommand::Verb(Verb::Run(args)) => args,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn both_ways_to_say_no_network_are_one() {
        for line in ["--no-network x", "--network none x"] {
            assert_eq!(
                overrides(&run(line).isolation, None).network,
                Some(NetworkMode::None)
            );
        }
        assert_eq!(overrides(&run("x").isolation, None).network, None);
    }

    #[test]
    fn what_is_said_about_the_network_goes_to_its_own_place() {
        let flags = run(
            "--network public --allow 10.0.0.0/8 --allow preset:npm --deny *.example.net -p 8080:80 --dns ::1 x",
        );
        let overrides = overrides(&flags.isolation, None);
        let texts = |list: &[NetworkRule]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(overrides.network, Some(NetworkMode::Public));
        assert_eq!(texts(&overrides.allow), ["10.0.0.0/8", "preset:npm"]);
        assert_eq!(texts(&overrides.deny), ["*.example.net"]);
        assert_eq!(overrides.ports[0].to_string(), "127.0.0.1:8080:80");
        assert_eq!(overrides.name_servers[0].to_string(), "[::1]:53");
    }

    #[test]
    fn the_origin_of_the_mode_is_the_word_that_was_used() {
        let origin = |line: &str| {
            let isolation = run(line).isolation;
            let sources = Sources {
                flags: overrides(&isolation, None),
                ..Sources::default()
            };
            let resolved = agentkernel_config::resolve(&sources).unwrap();
            network_origin(&isolation, &resolved)
        };
        for (line, expected) in [
            ("x", "the profile moderate"),
            ("--profile restrictive x", "the profile restrictive"),
            ("--network open x", "--network"),
            ("--no-network x", "--no-network"),
            ("--allow a.example x", "--allow"),
            ("--deny a.example x", "the profile moderate"),
        ] {
            assert_eq!(origin(line), expected, "{line}");
        }
    }

    #[test]
    fn every_limit_goes_to_its_own_place() {
        let flags = run("-C 2 -m 64m --pids 9 --disk 1g --timeout 3s x");
        let resources = overrides(&flags.isolation, None).resources;
        assert_eq!(resources.cpus.unwrap().millis(), 2000);
        assert_eq!(resources.memory.unwrap().bytes(), 64 << 20);
        assert_eq!(resources.pids, Some(9));
        assert_eq!(resources.disk.unwrap().bytes(), 1 << 30);
        assert_eq!(resources.timeout.unwrap().to_string(), "3s");
    }

    #[test]
    fn a_relative_mount_begins_in_the_current_folder() {
        let mounts = run("-v a/b:/x -v ./c:/y:ro -v /d:/z x").isolation.mounts;
        let sources: Vec<_> = mounts
            .iter()
            .map(|mount| absolute(mount, Path::new("/here")).source)
            .collect();
        assert_eq!(sources, ["/here/a/b", "/here/./c", "/d"].map(PathBuf::from));
        assert!(absolute(&mounts[1], Path::new("/here")).read_only);
    }

    #[test]
    fn a_project_folder_must_be_one() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for path in [file.path(), Path::new("/nowhere/at/all")] {
            let Err(Failure::Error(error)) = canonical_folder(path) else {
                panic!("{}", path.display())
            };
            assert!(error.message().contains(path.to_str().unwrap()));
        }
    }
}
