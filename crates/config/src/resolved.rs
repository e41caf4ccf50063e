//! The whole way from the sources to the settings in force.

use std::path::{Path, PathBuf};

use agentkernel_types::{
    BackendName, ErrorKind, ImageRef, Isolation, NameServer, NetworkPolicy, Profile, ProfileGrants,
    PublishedPort, Resources, SandboxName,
};

use crate::{
    FileEntry, GrantOrigins, ImageSettings, NetworkOrigins, Origin, ProjectFile, ResourceOrigins, Setting,
    Sources,
    check::check,
    discover::discover,
    environment,
    error::ConfigError,
    file::{self, Trust},
    inject,
    layer::Layer,
    merge::merge,
    network,
};

/// The settings in force, each with its origin.
#[derive(Clone, Debug)]
pub struct Resolved {
    pub name: Option<Setting<SandboxName>>,
    pub profile: Setting<Profile>,
    /// What holds in the end, whoever said it. `grants.network` is the mode of `network`.
    pub grants: ProfileGrants,
    pub grant_origins: GrantOrigins,
    pub image: Option<Setting<ImageRef>>,
    /// One of [`crate::RUNTIMES`].
    pub runtime: Option<Setting<String>>,
    pub backend: Option<Setting<BackendName>>,
    pub isolation: Option<Setting<Isolation>>,
    /// What may be reached. The origin is that of the mode.
    pub network: Setting<NetworkPolicy>,
    pub ports: Vec<PublishedPort>,
    /// Nothing: those of this machine.
    pub name_servers: Vec<NameServer>,
    pub network_origins: NetworkOrigins,
    pub resources: Resources,
    pub resource_origins: ResourceOrigins,
    pub agent: Option<Setting<String>>,
    pub images: ImageSettings,
    pub files: Vec<FileEntry>,
    pub project_file: Option<PathBuf>,
}

/// Reads the files and lays the sources over each other.
pub fn resolve(sources: &Sources) -> Result<Resolved, ConfigError> {
    let home = etcetera::home_dir().ok();
    resolve_with_home(sources, home.as_deref())
}

pub(crate) fn resolve_with_home(sources: &Sources, home: Option<&Path>) -> Result<Resolved, ConfigError> {
    let environment = environment::read(sources)?;
    let mut problems = Vec::new();
    let user = match &sources.user_file {
        Some(path) => absent_is_fine(file::read(path, Trust::User))?,
        None => None,
    };
    let user = user.map(|file| check(file, Trust::User, &mut problems));
    let project = match project_path(&sources.project_file, home)? {
        Some((path, trust)) => Some(check(file::read(&path, trust)?, trust, &mut problems)),
        None => None,
    };
    // What could not be read is not merged: an error of its own must not cause a second one.
    if !problems.is_empty() {
        return Err(ConfigError::of(problems));
    }
    let files = project
        .as_ref()
        .map_or_else(Vec::new, |layer| inject::entries(layer, home, &mut problems));
    let resolved = merge(
        sources,
        &environment,
        user.as_ref(),
        project.as_ref(),
        &mut problems,
    );
    if !problems.is_empty() {
        return Err(ConfigError::of(problems));
    }
    network::refuse_idle_flags(&sources.flags, &resolved)?;
    Ok(Resolved {
        files,
        project_file: project.map(|layer: Layer| layer.file.path),
        ..resolved
    })
}

impl Resolved {
    /// Where the mode of the network came from, in a few words: `the profile moderate`, `--network`,
    /// `agentkernel.toml:3`.
    pub fn network_origin(&self) -> String {
        let place = |path: &Path, line: &usize| {
            let name = path.file_name().unwrap_or(path.as_os_str());
            format!("{}:{line}", crate::problem::visible(&name.to_string_lossy()))
        };
        match &self.network.origin {
            Origin::Profile => format!("the profile {}", self.profile.value),
            Origin::ProjectFile { path, line } => place(path, line),
            Origin::UserFile { path, line } => format!("your {}", place(path, line)),
            other => other.to_string(),
        }
    }
}

fn absent_is_fine<T>(result: Result<T, ConfigError>) -> Result<Option<T>, ConfigError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn project_path(place: &ProjectFile, home: Option<&Path>) -> Result<Option<(PathBuf, Trust)>, ConfigError> {
    match place {
        ProjectFile::None => Ok(None),
        ProjectFile::Discover(start) => Ok(discover(start, home)?.map(|path| (path, Trust::Found))),
        ProjectFile::Explicit(path) => {
            let path = std::path::absolute(path)
                .map_err(|error| ConfigError::invalid(format!("invalid path {}: {error}", path.display())))?;
            Ok(Some((path, Trust::Named)))
        }
    }
}
