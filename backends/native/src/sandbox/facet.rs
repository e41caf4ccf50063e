//! The network facet: the gateway of this sandbox, wherever it runs.

use std::{net::SocketAddr, sync::Arc};

use agentkernel_backend::{BoundPort, Context, Error, Network, Result};
use agentkernel_egress::gateway::{Gateway, is_carried, read_journal};
use agentkernel_types::{ErrorKind, NetworkEvent, Protocol, PublishedPort, TimedPolicy};
use async_trait::async_trait;

use super::Shared;
use crate::network;

impl Shared {
    /// The gateway of the running sandbox.
    async fn reach_gateway(&self) -> Result<Arc<Gateway>> {
        let mode = self.spec.network.policy.mode;
        if !is_carried(mode) {
            return Err(network::no_gateway(mode));
        }
        // Says that the sandbox does not run, if so.
        self.connection("network").await?;
        if let Some(gateway) = &self.live.lock().await.gateway {
            return Ok(Arc::clone(gateway));
        }
        Ok(Arc::new(network::reach(
            &self.host.gateway_socket(&self.spec.id),
        )?))
    }
}

#[async_trait]
impl Network for Shared {
    async fn policy(&self, cx: &Context) -> Result<TimedPolicy> {
        self.reach_gateway().await?.policy(cx).await
    }

    async fn apply(&self, cx: &Context, policy: &TimedPolicy) -> Result<()> {
        self.reach_gateway().await?.apply(cx, policy).await
    }

    async fn published(&self, cx: &Context) -> Result<Vec<BoundPort>> {
        self.reach_gateway().await?.published(cx).await
    }

    async fn publish(&self, cx: &Context, port: &PublishedPort) -> Result<BoundPort> {
        self.reach_gateway().await?.publish(cx, port).await
    }

    async fn unpublish(&self, cx: &Context, address: SocketAddr, protocol: Protocol) -> Result<()> {
        self.reach_gateway().await?.unpublish(cx, address, protocol).await
    }

    async fn events(&self, cx: &Context, most: usize) -> Result<Vec<NetworkEvent>> {
        match (self.reach_gateway().await, &self.folders) {
            (Ok(gateway), _) => gateway.events(cx, most).await,
            // It does not run, or nobody carries its network any more: what was written is still there.
            (Err(_), Some(folders)) if is_carried(self.spec.network.policy.mode) => {
                read_journal(&folders.journal, most).map_err(|error| {
                    Error::new(
                        ErrorKind::Broken,
                        "why",
                        "cannot read the log of the sandbox's network",
                    )
                    .because(error)
                })
            }
            (Err(error), _) => Err(error),
        }
    }
}
