//! Policies and ports of kept sandboxes. A running one is changed first, then the record: what is acknowledged is
//! enforced, and what the record says holds at the next start.

use std::{
    net::SocketAddr,
    time::{SystemTime, UNIX_EPOCH},
};

use agentkernel_backend::{Context, Error, Network, Result, SandboxState};
use agentkernel_control::{NetworkInfo, Networks, PolicyEdit, PortInfo};
use agentkernel_policy::CompiledNetwork;
use agentkernel_store::Claim;
use agentkernel_types::{
    Effect, ErrorKind, NetworkEvent, NetworkMode, NetworkRule, Protocol, PublishedPort, SandboxName,
    TemporaryRule, TimedPolicy,
};
use async_trait::async_trait;

use crate::{
    Engine,
    failure::{from_policy, from_store},
    kept::{Opened, conflict},
};

/// A sandbox of which nobody else changes anything now.
struct Held {
    claim: Claim,
    opened: Opened,
    running: bool,
}

impl Held {
    /// None: it does not run, so its record is all there is to change.
    fn network(&self) -> Result<Option<&dyn Network>> {
        if !self.running {
            return Ok(None);
        }
        let network = self.opened.sandbox.network();
        network.map(Some).ok_or_else(|| {
            let backend = self.opened.backend.descriptor().name;
            let message = format!("the backend {backend} cannot change the network of a running sandbox");
            Error::unsupported("policy", "network", message).hint("stop the sandbox first")
        })
    }

    fn info(&self) -> NetworkInfo {
        NetworkInfo {
            running: self.running,
            policy: self.claim.record().spec.network.clone(),
        }
    }
}

impl Engine {
    async fn hold(&self, cx: &Context, name: &SandboxName) -> Result<Held> {
        let claim = self.claim(name).await?;
        let opened = self.open_record(cx, name, claim.record().clone()).await?;
        let running = opened.sandbox.state(cx).await? == SandboxState::Running;
        Ok(Held {
            claim,
            opened,
            running,
        })
    }
}

#[async_trait]
impl Networks for Engine {
    async fn policy(&self, name: &SandboxName) -> Result<NetworkInfo> {
        let cx = Context::default();
        let opened = self.open(&cx, name).await?;
        let running = opened.sandbox.state(&cx).await? == SandboxState::Running;
        let mut recorded = opened.record.spec.network;
        let now = now_ms();
        recorded.temporary.retain(|rule| rule.until_ms > now);
        let policy = match opened
            .sandbox
            .network()
            .filter(|_| running && is_judged(&recorded))
        {
            Some(network) => network.policy(&cx).await?,
            None => recorded,
        };
        Ok(NetworkInfo { running, policy })
    }

    async fn edit_policy(&self, name: &SandboxName, edit: PolicyEdit) -> Result<NetworkInfo> {
        let cx = Context::default();
        let mut held = self.hold(&cx, name).await?;
        let mut policy = held.claim.record().spec.network.clone();
        let network = held.network()?;
        if let (Some(network), true) = (network, is_judged(&policy)) {
            // Rules may have ended by themselves since the record was written.
            policy = network.policy(&cx).await?;
        }
        let before = policy.policy.mode;
        if matches!(edit, PolicyEdit::Add { .. }) && !is_carried(before) {
            return Err(no_rules(name, before));
        }
        change(&mut policy, edit, now_ms());
        CompiledNetwork::new(&policy.at(now_ms())).map_err(from_policy("network"))?;
        let can = &held.opened.backend.capabilities().networks;
        if !can.contains(&policy.policy.mode) {
            let message = format!("the backend cannot give a network of mode {}", policy.policy.mode);
            return Err(Error::unsupported("policy", "mode", message));
        }
        match network {
            Some(_)
                if is_carried(before) != is_judged(&policy)
                    || (before != policy.policy.mode && !is_carried(before)) =>
            {
                return Err(cannot_switch(name, before, policy.policy.mode));
            }
            Some(network) if is_carried(before) => network.apply(&cx, &policy).await?,
            Some(_) | None => {}
        }
        held.claim
            .update(|record| record.spec.network = policy)
            .map_err(from_store)?;
        Ok(held.info())
    }

    async fn network_events(&self, name: &SandboxName, most: usize) -> Result<Vec<NetworkEvent>> {
        let cx = Context::default();
        let opened = self.open(&cx, name).await?;
        match opened.sandbox.network() {
            Some(network) => network.events(&cx, most).await,
            None => Ok(Vec::new()),
        }
    }

    async fn ports(&self, name: &SandboxName) -> Result<Vec<PortInfo>> {
        let cx = Context::default();
        let opened = self.open(&cx, name).await?;
        let running = opened.sandbox.state(&cx).await? == SandboxState::Running;
        let recorded = &opened.record.spec;
        match opened
            .sandbox
            .network()
            .filter(|_| running && is_judged(&recorded.network))
        {
            Some(network) => {
                let ports = network.published(&cx).await?.into_iter();
                Ok(ports
                    .map(|bound| PortInfo {
                        port: bound.port,
                        address: Some(bound.address),
                    })
                    .collect())
            }
            None => Ok(recorded
                .ports
                .iter()
                .map(|port| PortInfo {
                    port: *port,
                    address: None,
                })
                .collect()),
        }
    }

    async fn publish(&self, name: &SandboxName, port: PublishedPort) -> Result<PortInfo> {
        let cx = Context::default();
        let mut held = self.hold(&cx, name).await?;
        let spec = &held.claim.record().spec;
        if !is_judged(&spec.network) {
            let message = format!("sandbox {name} has no network of its own to publish a port of");
            return Err(Error::unsupported("publish", "ports", message)
                .hint("make a sandbox with --network allowlist, public or open"));
        }
        if spec.ports.contains(&port) && port.host.port() != 0 {
            return Err(conflict("publish", format!("{port} is published already")));
        }
        let address = match held.network()? {
            Some(network) => Some(network.publish(&cx, &port).await?.address),
            None => None,
        };
        held.claim
            .update(|record| record.spec.ports.push(port))
            .map_err(from_store)?;
        Ok(PortInfo { port, address })
    }

    async fn unpublish(&self, name: &SandboxName, host: SocketAddr, protocol: Protocol) -> Result<()> {
        let cx = Context::default();
        let mut held = self.hold(&cx, name).await?;
        let port = match held.network()? {
            Some(network) => {
                let bound = network.published(&cx).await?;
                let found = bound
                    .iter()
                    .find(|bound| bound.address == host && bound.port.protocol == protocol);
                let bound = found.ok_or_else(|| not_published(name, host))?;
                network.unpublish(&cx, host, protocol).await?;
                bound.port
            }
            None => {
                let ports = &held.claim.record().spec.ports;
                let found = ports
                    .iter()
                    .find(|port| port.host == host && port.protocol == protocol);
                *found.ok_or_else(|| not_published(name, host))?
            }
        };
        held.claim
            .update(|record| {
                // One of several equal ones: each asked for a free port.
                if let Some(at) = record.spec.ports.iter().position(|known| *known == port) {
                    record.spec.ports.remove(at);
                }
            })
            .map_err(from_store)
    }
}

fn is_judged(policy: &TimedPolicy) -> bool {
    is_carried(policy.policy.mode)
}

/// Whether a sandbox of this mode has a way out that can be judged.
const fn is_carried(mode: NetworkMode) -> bool {
    matches!(
        mode,
        NetworkMode::Allowlist | NetworkMode::Public | NetworkMode::Open
    )
}

fn change(policy: &mut TimedPolicy, edit: PolicyEdit, now_ms: u64) {
    policy.temporary.retain(|rule| rule.until_ms > now_ms);
    policy.version += 1;
    match edit {
        PolicyEdit::Set { mode, allow, deny } => {
            policy.policy.mode = mode.unwrap_or(policy.policy.mode);
            (policy.policy.allow, policy.policy.deny) = (allow, deny);
            policy.temporary.clear();
        }
        PolicyEdit::Add {
            effect,
            rules,
            span: Some(span),
        } => {
            let span = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
            for rule in rules {
                policy.temporary.retain(|known| known.rule != rule);
                policy.temporary.push(TemporaryRule {
                    effect,
                    rule,
                    until_ms: now_ms.saturating_add(span),
                });
            }
        }
        PolicyEdit::Add {
            effect,
            rules,
            span: None,
        } => rules.into_iter().for_each(|rule| add(policy, effect, rule)),
    }
}

fn add(policy: &mut TimedPolicy, effect: Effect, rule: NetworkRule) {
    policy.temporary.retain(|known| known.rule != rule);
    let (to, from) = match effect {
        Effect::Allow => (&mut policy.policy.allow, &mut policy.policy.deny),
        Effect::Deny => (&mut policy.policy.deny, &mut policy.policy.allow),
    };
    from.retain(|known| *known != rule);
    if !to.contains(&rule) {
        to.push(rule);
    }
}

fn cannot_switch(name: &SandboxName, before: NetworkMode, after: NetworkMode) -> Error {
    conflict(
        "policy",
        format!("a running sandbox cannot go from the network mode {before} to {after}"),
    )
    .hint(format!("agentkernel stop {name}, then set the mode again"))
}

fn no_rules(name: &SandboxName, mode: NetworkMode) -> Error {
    let message = match mode {
        NetworkMode::Host => format!("sandbox {name} shares the host's network, to which no rule is applied"),
        _ => format!("sandbox {name} has no network that a rule could open or close"),
    };
    conflict("policy", message).hint(format!(
        "agentkernel stop {name}, then agentkernel policy set {name} --mode allowlist"
    ))
}

fn not_published(name: &SandboxName, host: SocketAddr) -> Error {
    let message = format!("{host} is not a published port of sandbox {name}");
    Error::new(ErrorKind::NotFound, "unpublish", message).hint(format!("agentkernel port list {name}"))
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
