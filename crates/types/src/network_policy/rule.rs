//! One rule, in its one line of text.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{DomainName, IpNetwork, Ports, Protocol, written_as_text};
use crate::ParseError;

/// What may be reached, or not: `TARGET[:PORTS][/PROTOCOL]`.
///
/// | written | means |
/// |---|---|
/// | `registry.npmjs.org` | this name, every port |
/// | `*.npmjs.org:443` | every name below, not the name itself |
/// | `github.com:22,443` | these ports |
/// | `10.0.0.0/8:443/tcp`, `[2001:db8::]/32:443` | addresses |
/// | `*:443` | every name and every public address |
/// | `time.example:123/udp`, `192.0.2.1/icmp` | another protocol |
/// | `preset:npm` | a list of names that the product keeps |
/// | `host:11434` | one service on the host's loopback |
///
/// Without ports a rule means every port. Without a protocol an allowance means TCP, and a denial every
/// protocol: what is left open is always read in the strict way.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NetworkRule {
    pub to: Target,
    /// `None`: every port.
    pub ports: Option<Ports>,
    /// `None`: TCP in an allowance, every protocol in a denial.
    pub protocol: Option<Protocol>,
}

written_as_text!(
    NetworkRule,
    "^(preset:[a-z0-9-]+|[^\\s:/]+(/[0-9]+)?|\\[[^\\]\\s]+\\](/[0-9]+)?|host)(:[0-9][0-9,-]*)?(/(tcp|udp|icmp))?$"
);

/// The far end of a rule.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Target {
    /// Exactly this name.
    Name(DomainName),
    /// Every name below this one, at any depth; not the name itself.
    Below(DomainName),
    /// Every name and every public address.
    Any,
    Network(IpNetwork),
    Preset(PresetName),
    /// The host's loopback, reached inside by the name `host.agentkernel.internal`.
    Host,
}

/// The name of a list of rules that the product keeps: lower-case letters, digits and `-`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PresetName(String);

written_as_text!(PresetName, "^[a-z0-9][a-z0-9-]{0,31}$");

impl PresetName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PresetName {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let valid = text.bytes().next().is_some_and(plain)
            && text.bytes().all(|byte| plain(byte) || byte == b'-')
            && text.len() <= 32;
        if valid {
            return Ok(Self(text.to_owned()));
        }
        Err(ParseError::new(format!(
            "invalid preset name {text:?}: use lower-case letters, digits and '-', as in preset:npm"
        )))
    }
}

impl NetworkRule {
    /// Longer text is no rule: a name has 253 characters and a list of ports at most 64 ranges.
    pub const MAX_LENGTH: usize = 1200;

    /// Every port, and the protocol that an absent one means.
    pub const fn to(to: Target) -> Self {
        Self {
            to,
            ports: None,
            protocol: None,
        }
    }

    #[must_use]
    pub fn on(self, port: u16) -> Self {
        Self {
            ports: Some(port.into()),
            ..self
        }
    }
}

impl FromStr for NetworkRule {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if text.len() > Self::MAX_LENGTH {
            let start: String = text.chars().take(60).collect();
            return Err(ParseError::new(format!(
                "invalid network rule {start:?}...: it is too long; write one target in one rule"
            )));
        }
        parse(text).map_err(|why| ParseError::new(format!("invalid network rule {text:?}: {why}")))
    }
}

fn parse(text: &str) -> Result<NetworkRule, String> {
    refuse_common_mistakes(text)?;
    if let Some(name) = text.strip_prefix("preset:") {
        let name = name.parse().map_err(|error: ParseError| error.0)?;
        return Ok(NetworkRule::to(Target::Preset(name)));
    }
    let (text, protocol) = split_protocol(text)?;
    let (target, ports) = split_ports(text)?;
    let to = parse_target(target)?;
    if to == Target::Host && ports.is_none() {
        return Err("a service of the host needs its port; write host:PORT, as in host:11434".into());
    }
    if protocol == Some(Protocol::Icmp) && (ports.is_some() || to == Target::Host) {
        return Err("icmp has no ports; write TARGET/icmp".into());
    }
    Ok(NetworkRule { to, ports, protocol })
}

/// What people paste from an address bar or another tool, each with its way out.
fn refuse_common_mistakes(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("it is empty; write a name, an address, preset:NAME or host:PORT".into());
    }
    if text.contains("://") {
        return Err("it is a URL; write only its host and port, as in registry.npmjs.org:443".into());
    }
    if text.contains('@') {
        return Err("it has a user in it; write only the host and port".into());
    }
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err("it has a space or a control character in it; write one target in one rule".into());
    }
    Ok(())
}

/// `10.0.0.0/8` ends in a prefix and not in a protocol: only words are one.
fn split_protocol(text: &str) -> Result<(&str, Option<Protocol>), String> {
    match text.rsplit_once('/') {
        Some((rest, word)) if !word.starts_with(|c: char| c.is_ascii_digit()) => {
            let protocol = word
                .parse()
                .map_err(|error: ParseError| format!("{}; a path cannot be part of a rule", error.0))?;
            Ok((rest, Some(protocol)))
        }
        _ => Ok((text, None)),
    }
}

fn split_ports(text: &str) -> Result<(&str, Option<Ports>), String> {
    // Behind the bracket of an IPv6 address, if there is one: what stands inside has colons of its own.
    let from = text.rfind(']').map_or(0, |at| at + 1);
    let Some(at) = text[from..].find(':').map(|at| from + at) else {
        return Ok((text, None));
    };
    let (target, ports) = (&text[..at], &text[at + 1..]);
    if from == 0 && ports.contains(':') {
        return Err("an IPv6 address stands in brackets, as in [2001:db8::1]:443".into());
    }
    let ports = ports.parse().map_err(|error: ParseError| error.0)?;
    Ok((target, Some(ports)))
}

fn parse_target(text: &str) -> Result<Target, String> {
    let name = |text: &str| text.parse::<DomainName>().map_err(|error| error.0);
    match text {
        "*" => return Ok(Target::Any),
        "host" => return Ok(Target::Host),
        "preset" => return Err("a preset has its own ports; write preset:NAME".into()),
        _ => {}
    }
    if let Some(zone) = text.strip_prefix("*.") {
        return Ok(Target::Below(name(zone)?));
    }
    if text.contains('*') {
        return Err("'*' stands only alone or as the first part, as in *.example.org".into());
    }
    let numeric = text.starts_with('[') || text.contains('/') || text.parse::<std::net::Ipv4Addr>().is_ok();
    if numeric {
        let network = text.parse::<IpNetwork>().map_err(|error| error.0)?;
        return Ok(Target::Network(network));
    }
    let name = name(text)?;
    // Written back, it would be read as the word of the grammar.
    if ["host", "preset"].contains(&name.as_str()) {
        return Err("host:PORT and preset:NAME are written in lower case and cannot be names".into());
    }
    Ok(Target::Name(name))
}

impl fmt::Display for PresetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::Below(zone) => write!(f, "*.{zone}"),
            Self::Any => f.write_str("*"),
            Self::Network(network) => network.fmt(f),
            Self::Preset(name) => write!(f, "preset:{name}"),
            Self::Host => f.write_str("host"),
        }
    }
}

impl fmt::Display for NetworkRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to.fmt(f)?;
        if let Some(ports) = &self.ports {
            write!(f, ":{ports}")?;
        }
        match self.protocol {
            Some(protocol) => write!(f, "/{protocol}"),
            None => Ok(()),
        }
    }
}
