//! The network facet of the fake: a policy, ports that are bound for real, and what was refused.

use std::{
    collections::BTreeMap,
    io::Read,
    net::{SocketAddr, TcpListener, TcpStream},
};

use agentkernel_backend::{BoundPort, Context, Error, Network, Result};
use agentkernel_policy::CompiledNetwork;
use agentkernel_types::{
    Attempt, Denial, ErrorKind, NetworkEvent, NetworkEventKind, Protocol, PublishedPort, TimedPolicy,
};
use async_trait::async_trait;

use super::{
    Fault,
    sandbox::FakeSandbox,
    world::{Cell, Inside},
};

/// What a running sandbox has of it.
#[derive(Default)]
pub(super) struct Ways {
    /// None: that of the specification.
    pub(super) policy: Option<TimedPolicy>,
    pub(super) ports: BTreeMap<SocketAddr, (PublishedPort, TcpListener)>,
    pub(super) events: Vec<NetworkEvent>,
}

impl Ways {
    pub(super) fn open(&mut self, port: PublishedPort) -> Result<BoundPort> {
        let failed = |error| {
            Error::new(ErrorKind::Conflict, "publish", format!("cannot publish {port}")).because(error)
        };
        let listener = TcpListener::bind(port.host).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        self.ports.insert(address, (port, listener));
        Ok(BoundPort { port, address })
    }
}

/// What the service of the host says, if the policy lets it be reached.
pub(super) fn fetch(cell: &Cell, port: u16) -> Option<Vec<u8>> {
    let policy = policy(cell, &cell.inside());
    let verdict = CompiledNetwork::new(&policy.policy)
        .expect("it was checked when it came to be")
        .host_service(port, Protocol::Tcp);
    if !verdict.allowed && !cell.has(Fault::PolicyIgnored) {
        if !cell.has(Fault::RefusalsUntold) {
            cell.inside().ways.events.push(NetworkEvent {
                at_ms: 0,
                kind: NetworkEventKind::Denied(Denial {
                    attempt: Attempt::Connect,
                    name: None,
                    to: Some(([127, 0, 0, 1], port).into()),
                    protocol: Protocol::Tcp,
                    method: None,
                    rule: verdict.rule,
                    reason: verdict.reason,
                    remedy: verdict.remedy,
                    times: 1,
                }),
            });
        }
        return None;
    }
    let mut said = Vec::new();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.read_to_end(&mut said).ok()?;
    Some(said)
}

fn policy(cell: &Cell, inside: &Inside) -> TimedPolicy {
    let edited = inside
        .ways
        .policy
        .clone()
        .filter(|_| !cell.has(Fault::EditsIgnored));
    edited.unwrap_or_else(|| cell.spec.network.clone())
}

#[async_trait]
impl Network for FakeSandbox {
    async fn policy(&self, _: &Context) -> Result<TimedPolicy> {
        let inside = self.cell.inside();
        Ok(inside
            .ways
            .policy
            .clone()
            .unwrap_or_else(|| self.cell.spec.network.clone()))
    }

    async fn apply(&self, _: &Context, policy: &TimedPolicy) -> Result<()> {
        self.cell.inside().ways.policy = Some(policy.clone());
        Ok(())
    }

    async fn published(&self, _: &Context) -> Result<Vec<BoundPort>> {
        let inside = self.cell.inside();
        let ports = inside.ways.ports.iter();
        Ok(ports
            .map(|(address, (port, _))| BoundPort {
                port: *port,
                address: *address,
            })
            .collect())
    }

    async fn publish(&self, _: &Context, port: &PublishedPort) -> Result<BoundPort> {
        self.cell.inside().ways.open(*port)
    }

    async fn unpublish(&self, _: &Context, address: SocketAddr, _: Protocol) -> Result<()> {
        let closed = self.cell.inside().ways.ports.remove(&address);
        if let (Some((_, listener)), true) = (closed, self.cell.has(Fault::PortsStayOpen)) {
            // Listens for ever.
            std::mem::forget(listener);
        }
        Ok(())
    }

    async fn events(&self, _: &Context, most: usize) -> Result<Vec<NetworkEvent>> {
        let inside = self.cell.inside();
        let from = inside.ways.events.len().saturating_sub(most);
        Ok(inside.ways.events[from..].to_vec())
    }
}
