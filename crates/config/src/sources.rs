//! What the caller hands in: the places to look at and what it has itself.

use std::path::PathBuf;

use agentkernel_types::{
    BackendName, ImageRef, Isolation, NameServer, NetworkMode, NetworkRule, Profile, PublishedPort,
    PullPolicy, Resources, SandboxName,
};

/// What the command line says. Whatever is set decides over every other source.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    pub name: Option<SandboxName>,
    pub profile: Option<Profile>,
    pub image: Option<ImageRef>,
    pub backend: Option<BackendName>,
    pub isolation: Option<Isolation>,
    pub network: Option<NetworkMode>,
    /// Rules on top of the user's file. Without `network` the mode is then `allowlist`.
    pub allow: Vec<NetworkRule>,
    pub deny: Vec<NetworkRule>,
    /// In place of the files'.
    pub ports: Vec<PublishedPort>,
    pub name_servers: Vec<NameServer>,
    pub mount_cwd: Option<bool>,
    pub mount_home: Option<bool>,
    pub pass_env: Option<bool>,
    pub read_only: Option<bool>,
    pub resources: Resources,
    pub agent: Option<String>,
    pub pull: Option<PullPolicy>,
}

/// Where the project's file is.
#[derive(Clone, Debug, Default)]
pub enum ProjectFile {
    /// Not looked for.
    #[default]
    None,
    /// Looked for in this folder and the ones above it.
    Discover(PathBuf),
    /// This file, which must exist (`--config FILE`). It has the trust of a project file: it may
    /// have come with the repository.
    Explicit(PathBuf),
}

#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The user's own file; it need not exist.
    pub user_file: Option<PathBuf>,
    pub project_file: ProjectFile,
    /// The `AGENTKERNEL_*` variables. Those that are not in [`crate::VARIABLES`] belong to others.
    pub environment: Vec<(String, String)>,
    pub flags: Overrides,
}
