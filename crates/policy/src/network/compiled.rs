//! A policy made ready for many questions.

use std::net::{IpAddr, SocketAddr};

use agentkernel_types::{DomainName, IpNetwork, NetworkMode, NetworkPolicy, NetworkRule, Protocol, Target};

use super::{
    Verdict,
    presets::{PRESETS, find_preset},
    rules::{Effect, Rules},
    special::{Class, range_of},
};
use crate::Denied;

/// A policy in the form that is fast to ask: a lookup costs as many steps as a name has labels.
#[derive(Clone, Debug)]
pub struct CompiledNetwork {
    pub(super) mode: NetworkMode,
    pub(super) allow: Rules,
    pub(super) deny: Rules,
    pub(super) own: Vec<IpNetwork>,
    remedy: String,
}

impl CompiledNetwork {
    /// The name under which the services of `host:PORT` rules are reached.
    pub const HOST_NAME: &'static str = "host.agentkernel.internal";

    /// Refuses a preset that does not exist and an allowance that nothing could ever honour.
    pub fn new(policy: &NetworkPolicy) -> Result<Self, Denied> {
        Ok(Self {
            mode: policy.mode,
            allow: compile(Effect::Allow, &policy.allow)?,
            deny: compile(Effect::Deny, &policy.deny)?,
            own: Vec::new(),
            remedy: "agentkernel policy allow NAME".to_owned(),
        })
    }

    /// The name of the sandbox, for the commands in remedies. Without it they say `NAME`.
    #[must_use]
    pub fn for_sandbox(self, name: &str) -> Self {
        Self {
            remedy: format!("agentkernel policy allow {name}"),
            ..self
        }
    }

    /// For one run that leaves nothing behind: the remedies say the flag that allows it the next time.
    #[must_use]
    pub fn for_run(self) -> Self {
        Self {
            remedy: "agentkernel run --allow".to_owned(),
            ..self
        }
    }

    /// The host's own addresses, which are no public ones whatever their range.
    #[must_use]
    pub fn with_own_addresses(self, own: impl IntoIterator<Item = IpNetwork>) -> Self {
        Self {
            own: own.into_iter().collect(),
            ..self
        }
    }

    pub const fn mode(&self) -> NetworkMode {
        self.mode
    }

    /// May this port of the host's loopback be reached by [`Self::HOST_NAME`]?
    pub fn host_service(&self, port: u16, protocol: Protocol) -> Verdict {
        let what = format!("port {port}/{protocol} of the host");
        if let Some(verdict) = self.by_mode_alone(&what) {
            return verdict;
        }
        let mut everything = self.deny.for_host().chain(self.deny.for_anything());
        if let Some(entry) = everything.find(|entry| entry.covers(port, protocol)) {
            return Verdict::denied_by(entry, &what);
        }
        match self.allow.for_host().find(|entry| entry.covers(port, protocol)) {
            Some(entry) => Verdict::allowed_by(entry, &what),
            None => Verdict::denied("host services", format!("no rule opens {what}"))
                .with_remedy(self.command(&format!("host:{port}"), None, protocol)),
        }
    }

    /// The modes that need no look at any rule.
    pub(super) fn by_mode_alone(&self, what: &str) -> Option<Verdict> {
        match self.mode {
            NetworkMode::None => Some(Verdict::denied(
                "mode none",
                format!("this sandbox has no network, so {what} cannot be reached"),
            )),
            NetworkMode::Host => Some(Verdict::allowed(
                "mode host",
                "this sandbox shares the host's network and no policy is applied to it",
            )),
            NetworkMode::Allowlist | NetworkMode::Public | NetworkMode::Open => None,
        }
    }

    /// The command that allows a target, written as a rule.
    pub(super) fn command(&self, target: &str, port: Option<u16>, protocol: Protocol) -> String {
        let port = port.filter(|_| protocol != Protocol::Icmp);
        let port = port.map_or(String::new(), |port| format!(":{port}"));
        let protocol = match protocol {
            Protocol::Tcp => String::new(),
            other => format!("/{other}"),
        };
        format!("{} {target}{port}{protocol}", self.remedy)
    }

    pub(super) fn command_for_address(&self, to: SocketAddr, protocol: Protocol) -> String {
        self.command(&written(to.ip()), Some(to.port()), protocol)
    }

    pub(super) fn is_host_name(name: &DomainName) -> bool {
        name.as_str() == Self::HOST_NAME
    }
}

/// An address as a rule writes it. A mapped one has no rule of its own: its IPv4 form is the one to name.
pub(super) fn written(address: IpAddr) -> String {
    IpNetwork::from(address.to_canonical()).to_string()
}

fn compile(effect: Effect, rules: &[NetworkRule]) -> Result<Rules, Denied> {
    let mut compiled = Rules::new(effect);
    for rule in rules {
        match &rule.to {
            Target::Preset(name) => {
                for rule in preset_rules(name.as_str())? {
                    compiled.add(&rule, Some(name.as_str()));
                }
            }
            Target::Network(block) if effect == Effect::Allow => {
                refuse_unreachable(*block)?;
                compiled.add(rule, None);
            }
            _ => compiled.add(rule, None),
        }
    }
    Ok(compiled)
}

pub(super) fn preset_rules(name: &str) -> Result<Vec<NetworkRule>, Denied> {
    let preset = find_preset(name).ok_or_else(|| {
        let known: Vec<&str> = PRESETS.iter().map(|preset| preset.name).collect();
        let nearest = known
            .iter()
            .min_by_key(|candidate| strsim::damerau_levenshtein(candidate, name))
            .expect("there are presets");
        Denied::new(
            format!("the rule preset:{name}"),
            "there is no such preset",
            format!("did you mean preset:{nearest}? there are: {}", known.join(", ")),
        )
        .invalid()
    })?;
    let rules = preset.rules.iter();
    Ok(rules
        .map(|rule| rule.parse().expect("a test reads every preset"))
        .collect())
}

fn refuse_unreachable(block: IpNetwork) -> Result<(), Denied> {
    let range = range_of(block.address());
    let Some(range) = range.filter(|range| range.class == Class::Never && range.prefix <= block.prefix())
    else {
        return Ok(());
    };
    Err(Denied::new(
        format!("the rule allow {block}"),
        format!(
            "it is in {range}, {}, where nothing outside of a machine can be",
            range.what
        ),
        "write host:PORT to open a service of the host, as in host:11434",
    )
    .invalid())
}
