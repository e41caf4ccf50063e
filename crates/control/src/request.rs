//! What is asked: flags, environment, project file and user file, already layered into one.

use std::{net::SocketAddr, path::PathBuf};

use crate::ImageAccess;
use agentkernel_types::{
    BackendName, Command, EnvVar, GuestPath, ImageRef, Isolation, Mount, NetworkPolicy, Profile,
    ProfileGrants, PublishedPort, Resources, SandboxName, StdinMode, TerminalSize, UserSpec,
};

/// A sandbox as it is asked for. The engine plans a `SandboxSpec` from it.
#[derive(Clone, Debug, PartialEq)]
pub struct SandboxRequest {
    /// None: an ephemeral one, or a name is made up for a kept one.
    pub name: Option<SandboxName>,
    /// None: detected from the command and the project.
    pub image: Option<ImageRef>,
    /// How an image that is not here may be got.
    pub images: ImageAccess,
    /// The `runtime` of the project's file (python, node, ...), if it names one and no image.
    pub runtime: Option<String>,
    /// None: chosen among the usable ones.
    pub backend: Option<BackendName>,
    /// The weakest grade that will do.
    pub isolation: Option<Isolation>,
    pub profile: Profile,
    /// The profile's grants with all overrides applied.
    pub grants: ProfileGrants,
    /// What it may reach. The mode is the one in force, whoever said it.
    pub network: NetworkPolicy,
    /// Where the mode came from, for people: `the profile moderate`, `--network`.
    pub network_origin: String,
    /// Ports of the host that lead into the sandbox.
    pub ports: Vec<PublishedPort>,
    /// Who is asked for names. None: who the host asks.
    pub name_servers: Vec<SocketAddr>,
    /// The project: what `mount_cwd` mounts and detection looks at. Absolute.
    pub project_dir: PathBuf,
    /// What `mount_home` mounts. Absolute. None: unknown.
    pub home_dir: Option<PathBuf>,
    /// Credential stores of the home folder that were asked for by name (`.ssh`, `.aws`, ...).
    pub credentials: Vec<String>,
    /// The caller's environment, for `pass_env`; what may pass is the policy's decision.
    pub caller_env: Vec<EnvVar>,
    pub mounts: Vec<Mount>,
    pub env: Vec<EnvVar>,
    pub workdir: Option<GuestPath>,
    pub user: Option<UserSpec>,
    pub resources: Resources,
    pub files: Vec<InjectedFile>,
    /// The agent that the sandbox is meant for (claude, codex, ...): kept in the record.
    pub agent: Option<String>,
}

/// `[[files]]`: a file of the project, put into the sandbox when it is made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InjectedFile {
    /// Absolute, on the host.
    pub source: PathBuf,
    pub dest: GuestPath,
    /// 0 to 0o777.
    pub mode: u32,
}

/// One command in a fresh sandbox.
#[derive(Clone, Debug, PartialEq)]
pub struct RunRequest {
    pub sandbox: SandboxRequest,
    /// None: what the image runs.
    pub command: Option<Command>,
    /// In place of the image's own entrypoint; `[""]` for none.
    pub entrypoint: Option<Vec<String>>,
    pub terminal: Option<TerminalSize>,
    pub stdin: StdinMode,
    /// The sandbox stays afterwards (under `sandbox.name`, or a made-up one).
    pub keep: bool,
}
