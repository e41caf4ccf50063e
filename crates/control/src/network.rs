//! The network of kept sandboxes, as it is asked for and shown.

use std::{net::SocketAddr, time::Duration};

use agentkernel_backend::Result;
use agentkernel_types::{
    Effect, NetworkEvent, NetworkMode, NetworkRule, Protocol, PublishedPort, SandboxName, TimedPolicy,
};
use async_trait::async_trait;
use serde::Serialize;

/// A change of a policy. It is in force when the call returns, and kept for the next start.
#[derive(Clone, Debug, PartialEq)]
pub enum PolicyEdit {
    /// Adds rules; equal ones of the other effect go. With a span they end by themselves.
    Add {
        effect: Effect,
        rules: Vec<NetworkRule>,
        span: Option<Duration>,
    },
    /// Replaces all rules. None: the mode stays.
    Set {
        mode: Option<NetworkMode>,
        allow: Vec<NetworkRule>,
        deny: Vec<NetworkRule>,
    },
}

#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct NetworkInfo {
    pub running: bool,
    #[serde(flatten)]
    pub policy: TimedPolicy,
}

/// A port that is open, or will be at the next start.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct PortInfo {
    /// As it was asked for.
    pub port: PublishedPort,
    /// What was bound. None: the sandbox does not run.
    pub address: Option<SocketAddr>,
}

/// Everything about networks.
#[async_trait]
pub trait Networks: Send + Sync {
    async fn policy(&self, name: &SandboxName) -> Result<NetworkInfo>;
    async fn edit_policy(&self, name: &SandboxName, edit: PolicyEdit) -> Result<NetworkInfo>;

    /// What happened on the sandbox's way out, the oldest first, at most the last `most`.
    async fn network_events(&self, name: &SandboxName, most: usize) -> Result<Vec<NetworkEvent>>;

    async fn ports(&self, name: &SandboxName) -> Result<Vec<PortInfo>>;
    async fn publish(&self, name: &SandboxName, port: PublishedPort) -> Result<PortInfo>;
    /// By the port of the host, and the address if several have it.
    async fn unpublish(&self, name: &SandboxName, host: SocketAddr, protocol: Protocol) -> Result<()>;
}
