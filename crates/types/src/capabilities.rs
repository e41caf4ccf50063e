//! What a backend can do on this host.

use serde::{Deserialize, Serialize};

use crate::{Isolation, NetworkMode};

/// One flat declaration. What it says is tested by the conformance suite; what it does not say is
/// refused by name.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Capabilities {
    pub isolation: Isolation,
    /// Sandboxes whose files survive stop, start and a reboot.
    pub kept: bool,
    /// Separate stdout and stderr, stdin, exact exit codes and signals.
    pub terminal: bool,
    pub detached_exec: bool,
    pub files: bool,
    pub mounts: bool,
    pub read_only_root: bool,
    /// The modes that can be had; anything else is refused.
    pub networks: Vec<NetworkMode>,
    /// The policy of a running sandbox can be replaced, and its denials are told.
    pub network_edits: bool,
    /// Ports of the host can lead into a sandbox.
    pub publish_ports: bool,
    pub user: bool,
    pub limit_cpus: bool,
    pub limit_memory: bool,
    pub limit_pids: bool,
    /// For ephemeral sandboxes.
    pub limit_disk: bool,
    /// For kept sandboxes.
    pub limit_disk_kept: bool,
    pub host_image: bool,
    pub registry_images: RegistryImages,
    /// Tells an out-of-memory kill from any other.
    pub oom_reported: bool,
    /// What this host lacks, in sentences for people: a wall that is missing, a limit that cannot be kept.
    pub caveats: Vec<String>,
}

/// Whether images other than the host's can be used, and who sees to it that they are there.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RegistryImages {
    #[default]
    None,
    /// Unpacked layers of our own store: the engine puts the image there before `create`.
    Layers,
    /// The backend fetches them itself, at `create`.
    Own,
}
