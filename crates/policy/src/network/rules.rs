//! Rules, indexed by what they are for: finding the ones for a name costs a step for each of its labels, for an
//! address a step for each length of prefix in use.

use std::{
    collections::{BTreeSet, HashMap},
    net::IpAddr,
    sync::Arc,
};

use agentkernel_types::{DomainName, IpNetwork, NetworkRule, Ports, Protocol, Target};

/// Whether a rule's silence about the protocol means TCP (an allowance) or everything (a denial).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Effect {
    Allow,
    Deny,
}

/// How narrowly a rule says what it is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Breadth {
    /// The user wrote exactly this name or this address.
    Exact,
    /// The user wrote a zone or a block.
    Zone,
    /// A preset has it.
    Preset,
    /// `*`.
    Any,
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub breadth: Breadth,
    /// As events show it: `allow *.npmjs.org:443`.
    pub text: Arc<str>,
    effect: Effect,
    ports: Option<Ports>,
    protocol: Option<Protocol>,
}

#[derive(Clone, Debug)]
pub(super) struct Rules {
    effect: Effect,
    names: HashMap<Box<str>, Vec<Entry>>,
    below: HashMap<Box<str>, Vec<Entry>>,
    any: Vec<Entry>,
    networks: HashMap<IpNetwork, Vec<Entry>>,
    /// Lengths of prefixes that occur in `networks`, longest first in use; IPv4 and IPv6 together.
    prefixes: BTreeSet<u8>,
    host: Vec<Entry>,
}

impl Entry {
    /// Whether the rule is about this port and protocol. ICMP has no ports: a rule with some is not about it.
    pub fn covers(&self, port: u16, protocol: Protocol) -> bool {
        let by_protocol = match (self.protocol, self.effect) {
            (Some(wanted), _) => wanted == protocol,
            (None, Effect::Allow) => protocol == Protocol::Tcp,
            (None, Effect::Deny) => true,
        };
        let by_port = match &self.ports {
            None => true,
            Some(ports) => protocol != Protocol::Icmp && ports.contains(port),
        };
        by_protocol && by_port
    }

    /// Whether the rule writes this port down, and does not only leave it open.
    pub fn names_port(&self, port: u16) -> bool {
        self.ports.as_ref().is_some_and(|ports| ports.contains(port))
    }

    /// Whether it is about everything at its target, so that a denial of it also denies to look it up.
    pub fn is_whole(&self) -> bool {
        self.ports.is_none() && self.protocol.is_none()
    }
}

impl Rules {
    pub fn new(effect: Effect) -> Self {
        Self {
            effect,
            names: HashMap::new(),
            below: HashMap::new(),
            any: Vec::new(),
            networks: HashMap::new(),
            prefixes: BTreeSet::new(),
            host: Vec::new(),
        }
    }

    /// Adds a rule that is no preset. `preset` is the name of the list that it is from.
    pub fn add(&mut self, rule: &NetworkRule, preset: Option<&str>) {
        let word = match self.effect {
            Effect::Allow => "allow",
            Effect::Deny => "deny",
        };
        let text = match preset {
            Some(preset) => format!("{word} preset:{preset} ({rule})"),
            None => format!("{word} {rule}"),
        };
        let breadth = match (&rule.to, preset) {
            (_, Some(_)) => Breadth::Preset,
            (Target::Name(_), _) => Breadth::Exact,
            (Target::Network(block), _) if *block == block.address().into() => Breadth::Exact,
            (Target::Any, _) => Breadth::Any,
            _ => Breadth::Zone,
        };
        let entry = Entry {
            breadth,
            text: text.into(),
            effect: self.effect,
            ports: rule.ports.clone(),
            protocol: rule.protocol,
        };
        match &rule.to {
            Target::Name(name) => self.names.entry(name.as_str().into()).or_default().push(entry),
            Target::Below(zone) => self.below.entry(zone.as_str().into()).or_default().push(entry),
            Target::Any => self.any.push(entry),
            Target::Network(block) => {
                self.prefixes.insert(block.prefix());
                self.networks.entry(*block).or_default().push(entry);
            }
            Target::Host => self.host.push(entry),
            Target::Preset(name) => unreachable!("preset {name} is expanded before its rules are added"),
        }
    }

    /// The rules for a name, the most specific first: its own, those of the zones above it, `*`.
    pub fn for_name<'a>(&'a self, name: &'a DomainName) -> impl Iterator<Item = &'a Entry> {
        let own = self.names.get(name.as_str());
        let zones = name.suffixes().skip(1).filter_map(|zone| self.below.get(zone));
        own.into_iter().chain(zones).flatten().chain(&self.any)
    }

    /// The rules for an address, the most specific first, with the length of the prefix. Without `*`.
    pub fn for_address(&self, address: IpAddr) -> impl Iterator<Item = (u8, &Entry)> {
        self.prefixes.iter().rev().flat_map(move |&prefix| {
            let block = IpNetwork::containing(address, prefix);
            let entries = block.and_then(|block| self.networks.get(&block));
            entries.into_iter().flatten().map(move |entry| (prefix, entry))
        })
    }

    /// The rules written as `*`.
    pub fn for_anything(&self) -> impl Iterator<Item = &Entry> {
        self.any.iter()
    }

    pub fn has_names(&self) -> bool {
        !self.names.is_empty() || !self.below.is_empty()
    }

    pub fn for_host(&self) -> impl Iterator<Item = &Entry> {
        self.host.iter()
    }
}
