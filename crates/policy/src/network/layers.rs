//! Policies of several origins made one: a project may only tighten what the user allows.

use agentkernel_types::{
    DomainName, IpNetwork, NetworkMode, NetworkPolicy, NetworkRule, Ports, Protocol, Target,
};

use super::{
    compiled::preset_rules,
    metadata, resolvers,
    special::{Class, RANGES, range_of},
    walls::is_internal,
};
use crate::Denied;

/// What one origin says. A project may leave the mode open and only deny, say.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct NetworkLayer {
    pub mode: Option<NetworkMode>,
    /// `None`: says nothing. `Some` of nothing allows nothing.
    pub allow: Option<Vec<NetworkRule>>,
    pub deny: Vec<NetworkRule>,
}

/// A policy that a project has narrowed, and what of its wishes would have widened it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tightened {
    pub policy: NetworkPolicy,
    /// One for each; none of them is part of the policy.
    pub refused: Vec<Denied>,
}

/// What a later origin of the user's own says (flags, say) on top: its mode replaces, its rules are added.
pub fn layer_network(mut policy: NetworkPolicy, layer: &NetworkLayer) -> NetworkPolicy {
    policy.mode = layer.mode.unwrap_or(policy.mode);
    add(&mut policy.allow, layer.allow.iter().flatten());
    add(&mut policy.deny, &layer.deny);
    policy
}

/// What a project says: a stricter mode, fewer allowances, more denials. Everything else is refused by name.
pub fn tighten_network(user: &NetworkPolicy, project: &NetworkLayer) -> Tightened {
    let mut refused = Vec::new();
    let mut policy = user.clone();
    match project.mode {
        Some(mode) if mode > user.mode => refused.push(Denied::new(
            format!("the network mode {mode} of a project"),
            format!("it is looser than {}, which the user allows", user.mode),
            format!("pass --network {mode}, or set it in your own configuration file"),
        )),
        Some(mode) => policy.mode = mode,
        None => {}
    }
    if let Some(allow) = &project.allow {
        policy.allow.clear();
        for rule in allow {
            match permits(user, rule) {
                true => add(&mut policy.allow, [rule]),
                false => refused.push(Denied::new(
                    format!("the network rule allow {rule} of a project"),
                    "the user's own policy does not allow all of it",
                    format!("pass --allow {rule}, or add it to your own configuration file"),
                )),
            }
        }
    }
    add(&mut policy.deny, &project.deny);
    Tightened { policy, refused }
}

fn add<'a>(rules: &mut Vec<NetworkRule>, more: impl IntoIterator<Item = &'a NetworkRule>) {
    for rule in more {
        if !rules.contains(rule) {
            rules.push(rule.clone());
        }
    }
}

/// Whether everything that the rule would allow is allowed already.
fn permits(user: &NetworkPolicy, rule: &NetworkRule) -> bool {
    if let Target::Preset(name) = &rule.to {
        let listed = user.allow.contains(rule);
        return listed
            || preset_rules(name.as_str()).is_ok_and(|rules| rules.iter().all(|rule| permits(user, rule)));
    }
    let by_mode = match user.mode {
        NetworkMode::None | NetworkMode::Allowlist => false,
        NetworkMode::Public => is_public(&rule.to) && !names_lookup_port(rule),
        NetworkMode::Open => !names_metadata(&rule.to),
        NetworkMode::Host => true,
    };
    // Only what the mode leaves open counts as the user's rule, too: in `none` nothing is allowed.
    by_mode || (user.mode != NetworkMode::None && user.allow.iter().any(|allowed| covers(allowed, rule)))
}

/// In `public` a rule for an address that writes port 53 opens a foreign resolver.
fn names_lookup_port(rule: &NetworkRule) -> bool {
    let writes = rule.ports.as_ref().is_some_and(|ports| ports.contains(53));
    writes && matches!(rule.to, Target::Network(_))
}

/// Whether the target lies in what `public` allows without any rule.
fn is_public(target: &Target) -> bool {
    match target {
        Target::Any => true,
        // A rule for such a name would also lead into private ranges.
        Target::Name(name) | Target::Below(name) => !is_internal(name) && !names_metadata(target),
        // A single address may be the host's own, which no one knows here, or spell another one.
        Target::Network(block) if is_single(block) => false,
        Target::Network(block) => {
            let around = range_of(block.address());
            let mut within = RANGES.iter().filter(|range| range.class != Class::Public);
            !names_metadata(target)
                && around.is_none_or(|range| range.class == Class::Public)
                && !within.any(|range| block.contains(range.address()))
        }
        Target::Host | Target::Preset(_) => false,
    }
}

fn names_metadata(target: &Target) -> bool {
    match target {
        Target::Name(name) => metadata::is_name(name.as_str()),
        Target::Network(block) => {
            metadata::service(block.address()).is_some()
                || metadata::addresses().any(|address| block.contains(address))
        }
        Target::Host => true,
        Target::Below(_) | Target::Any | Target::Preset(_) => false,
    }
}

fn covers(wide: &NetworkRule, narrow: &NetworkRule) -> bool {
    if let Target::Preset(name) = &wide.to {
        return preset_rules(name.as_str()).is_ok_and(|rules| rules.iter().any(|wide| covers(wide, narrow)));
    }
    let by_target = match (&wide.to, &narrow.to) {
        // Some names and addresses count only where they are written down exactly.
        (wide, narrow) if wide == narrow => true,
        (_, Target::Name(name)) if needs_exact_rule(name) => false,
        (Target::Below(zone), Target::Name(name) | Target::Below(name)) => {
            name != zone && name.is_within(zone)
        }
        (Target::Any, Target::Name(name) | Target::Below(name)) => !is_internal(name),
        (Target::Any, Target::Network(_)) => is_public(&narrow.to),
        (Target::Network(wide), Target::Network(narrow)) => {
            wide.prefix() <= narrow.prefix() && wide.contains(narrow.address()) && same_walls(wide, narrow)
        }
        _ => false,
    };
    by_target
        && allowed_protocol(wide) == allowed_protocol(narrow)
        && covers_ports(wide.ports.as_ref(), narrow.ports.as_ref())
}

fn needs_exact_rule(name: &DomainName) -> bool {
    metadata::is_name(name.as_str()) || resolvers::is_resolver(name.suffixes())
}

/// A narrower block may name a walled range closely that the wider one does not: then it allows more. A single
/// address opens walls that no block does.
fn same_walls(wide: &IpNetwork, narrow: &IpNetwork) -> bool {
    let range = range_of(narrow.address()).filter(|range| range.class != Class::Public);
    range.is_none_or(|range| range.prefix <= wide.prefix()) && !is_single(narrow)
}

fn is_single(block: &IpNetwork) -> bool {
    *block == block.address().into()
}

fn allowed_protocol(rule: &NetworkRule) -> Protocol {
    rule.protocol.unwrap_or(Protocol::Tcp)
}

fn covers_ports(wide: Option<&Ports>, narrow: Option<&Ports>) -> bool {
    match (wide, narrow) {
        (None, None) => true,
        // Some ports are only open where they are written down.
        (None, Some(narrow)) => !narrow.contains(53) && !narrow.contains(853),
        (Some(_), None) => false,
        (Some(wide), Some(narrow)) => narrow.ranges().iter().all(|range| {
            let mut ranges = wide.ranges().iter();
            ranges.any(|wide| wide.first() <= range.first() && range.last() <= wide.last())
        }),
    }
}
