//! The network of a running sandbox: its policy, its published ports, and what was refused.

use std::net::SocketAddr;

use agentkernel_types::{NetworkEvent, Protocol, PublishedPort, TimedPolicy};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{Context, Result};

/// A published port with the address that was really bound.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct BoundPort {
    pub port: PublishedPort,
    pub address: SocketAddr,
}

/// The network facet. Every call needs a running sandbox whose mode is neither `none` nor `host`: others are a
/// conflict that says so.
#[async_trait]
pub trait Network: Send + Sync {
    /// The policy in force.
    async fn policy(&self, cx: &Context) -> Result<TimedPolicy>;

    /// Replaces the policy. When this returns the old one allows nothing any more: what it alone allowed is cut.
    async fn apply(&self, cx: &Context, policy: &TimedPolicy) -> Result<()>;

    async fn published(&self, cx: &Context) -> Result<Vec<BoundPort>>;

    async fn publish(&self, cx: &Context, port: &PublishedPort) -> Result<BoundPort>;

    /// Closes a port by the address that was bound. Its connections are cut.
    async fn unpublish(&self, cx: &Context, address: SocketAddr, protocol: Protocol) -> Result<()>;

    /// What happened, of earlier starts too if the sandbox is kept, the oldest first and at most the last `most`.
    /// Also of a sandbox that does not run.
    async fn events(&self, cx: &Context, most: usize) -> Result<Vec<NetworkEvent>>;
}
