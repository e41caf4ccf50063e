//! A sandbox, completely planned: what a backend is asked to make.

use std::net::SocketAddr;

use serde::{Deserialize, Deserializer, Serialize};

use crate::{
    Digest, EnvVar, GuestPath, ImageRef, Mount, NetworkMode, Profile, PublishedPort, Resources, SandboxId,
    SandboxName, TimedPolicy, UserSpec,
};

/// Every field is honoured or refused by name; none is a hint.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct SandboxSpec {
    pub id: SandboxId,
    /// None for an ephemeral run without a name.
    pub name: Option<SandboxName>,
    pub lifetime: Lifetime,
    pub image: ImageRef,
    /// The image in our store that the reference was resolved to. None: the host, or the backend resolves it itself.
    #[serde(default)]
    pub image_id: Option<Digest>,
    /// Where the grants came from; the fields below are what counts.
    pub profile: Profile,
    pub root: RootAccess,
    #[serde(deserialize_with = "policy_or_mode")]
    pub network: TimedPolicy,
    /// Ports of the host that lead into the sandbox.
    #[serde(default)]
    pub ports: Vec<PublishedPort>,
    /// Who is asked for names that the policy allows. None: who the host asks.
    #[serde(default)]
    pub name_servers: Vec<SocketAddr>,
    /// In the order in which they are mounted: a later one may lie beneath an earlier one.
    pub mounts: Vec<Mount>,
    /// The environment of every command, on top of what the image sets.
    pub env: Vec<EnvVar>,
    /// None: the image's own, or the user's home.
    pub workdir: Option<GuestPath>,
    /// None: the image's own user.
    pub user: Option<UserSpec>,
    pub resources: Resources,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lifetime {
    /// Ends with its owner and leaves nothing.
    Ephemeral,
    /// Stays until it is removed; its files survive stop, start, crash and reboot.
    Kept,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RootAccess {
    /// A private writable layer over the image.
    Writable,
    /// Nothing but /tmp, /run, /dev/shm and writable mounts can be written.
    ReadOnly,
}

/// A mode alone is a policy without rules: so earlier records have it.
fn policy_or_mode<'de, D: Deserializer<'de>>(from: D) -> Result<TimedPolicy, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Mode(NetworkMode),
        Policy(TimedPolicy),
    }
    Ok(match Written::deserialize(from)? {
        Written::Mode(mode) => mode.into(),
        Written::Policy(policy) => policy,
    })
}
