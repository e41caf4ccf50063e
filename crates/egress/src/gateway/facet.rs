//! The gateway as the contract's network facet.

use std::net::SocketAddr;

use agentkernel_backend::{BoundPort, Context, Error, Network, Result};
use agentkernel_types::{ErrorKind, NetworkEvent, Protocol, PublishedPort, TimedPolicy};
use async_trait::async_trait;

use super::{
    Gateway,
    request::{Answer, Question},
};

impl Gateway {
    async fn within(&self, cx: &Context, question: Question) -> Result<Answer> {
        cx.bound("network", self.ask(question)).await
    }
}

/// It answers something else than it was asked.
fn confused() -> Error {
    Error::new(
        ErrorKind::Broken,
        "network",
        "the gateway of the sandbox does not speak this version's language",
    )
    .hint("stop and start the sandbox")
}

#[async_trait]
impl Network for Gateway {
    async fn policy(&self, cx: &Context) -> Result<TimedPolicy> {
        match self.within(cx, Question::Policy).await? {
            Answer::Policy(policy) => Ok(policy),
            _ => Err(confused()),
        }
    }

    async fn apply(&self, cx: &Context, policy: &TimedPolicy) -> Result<()> {
        match self.within(cx, Question::Apply(policy.clone())).await? {
            Answer::Done => Ok(()),
            _ => Err(confused()),
        }
    }

    async fn published(&self, cx: &Context) -> Result<Vec<BoundPort>> {
        match self.within(cx, Question::Published).await? {
            Answer::Published(ports) => Ok(ports),
            _ => Err(confused()),
        }
    }

    async fn publish(&self, cx: &Context, port: &PublishedPort) -> Result<BoundPort> {
        match self.within(cx, Question::Publish(*port)).await? {
            Answer::Bound(bound) => Ok(bound),
            _ => Err(confused()),
        }
    }

    async fn unpublish(&self, cx: &Context, address: SocketAddr, protocol: Protocol) -> Result<()> {
        match self.within(cx, Question::Unpublish(address, protocol)).await? {
            Answer::Done => Ok(()),
            _ => Err(confused()),
        }
    }

    async fn events(&self, cx: &Context, most: usize) -> Result<Vec<NetworkEvent>> {
        match self.within(cx, Question::Events(most)).await? {
            Answer::Events(events) => Ok(events),
            _ => Err(confused()),
        }
    }
}
