//! Addresses that stay closed unless a rule names them closely.

use std::net::IpAddr;

use agentkernel_types::{DomainName, NetworkMode, Protocol};

use super::{
    CompiledNetwork, metadata,
    rules::{Breadth, Entry},
    special::{Class, Range, embedded, range_of},
};

/// Why an address is closed, whatever the rules for names say.
pub(super) enum Wall {
    /// Nothing opens it.
    Never(&'static Range),
    Metadata(&'static str),
    /// One of the host's own addresses.
    Own,
    Range(&'static Range),
    /// The address spells an IPv4 address that is closed itself.
    Hidden(&'static Range),
}

/// The last labels of names that nobody can register publicly: RFC 6761, RFC 6762, RFC 8375 and ICANN's
/// reservation of `internal`; `corp`, `home` and the like are blocked from delegation
/// (<https://www.icann.org/en/board-activities-and-meetings/materials/approved-resolutions-special-meeting-of-the-icann-board-04-02-2018-en>).
const INTERNAL_ZONES: [&str; 11] = [
    "corp",
    "home",
    "home.arpa",
    "internal",
    "intranet",
    "lan",
    "local",
    "localdomain",
    "mail",
    "private",
    "test",
];

impl CompiledNetwork {
    /// What stands before this address, for the mode of this policy.
    pub(super) fn wall(&self, address: IpAddr) -> Option<Wall> {
        let hidden = embedded(address).into_iter().map(IpAddr::V4);
        let hidden: Vec<&'static Range> = hidden
            .filter_map(range_of)
            .filter(|range| range.class != Class::Public)
            .collect();
        let open = range_of(address).filter(|range| range.class != Class::Public);
        let mut all = open.into_iter().chain(hidden.iter().copied());
        if let Some(range) = all.find(|range| range.class == Class::Never) {
            return Some(Wall::Never(range));
        }
        if let Some(what) = metadata::service(address) {
            return Some(Wall::Metadata(what));
        }
        if self.mode == NetworkMode::Open {
            return None;
        }
        if let Some(range) = hidden.first() {
            return Some(Wall::Hidden(range));
        }
        if self.is_own(address) {
            return Some(Wall::Own);
        }
        open.map(Wall::Range)
    }

    fn is_own(&self, address: IpAddr) -> bool {
        let hidden = embedded(address).into_iter().map(IpAddr::V4);
        let mut spellings = std::iter::once(address).chain(hidden);
        spellings.any(|address| self.own.iter().any(|own| own.contains(address)))
    }

    /// The rule that names this address closely enough to go through the wall. `port` is `None` for an answer
    /// to a lookup, where any rule for the address will do.
    pub(super) fn allowed_address(
        &self,
        address: IpAddr,
        wall: Option<&Wall>,
        port: Option<(u16, Protocol)>,
    ) -> Option<&Entry> {
        let least = match wall {
            None => 0,
            Some(Wall::Never(_)) => return None,
            Some(Wall::Range(range)) => range.prefix,
            Some(Wall::Metadata(_) | Wall::Own | Wall::Hidden(_)) => width(address),
        };
        let mut entries = self.allow.for_address(address);
        let about = |entry: &Entry| {
            port.is_none_or(|(port, protocol)| {
                let written = !self.must_be_written(port, protocol) || entry.names_port(port);
                entry.covers(port, protocol) && written
            })
        };
        entries
            .find(|(prefix, entry)| *prefix >= least && about(entry))
            .map(|(_, entry)| entry)
    }

    /// Whether a rule for this name leads through the wall, too. Otherwise whoever owns a public name could
    /// point it at the user's own network.
    pub(super) fn name_opens(&self, wall: &Wall, name: &DomainName, entry: &Entry) -> bool {
        match wall {
            Wall::Metadata(_) => metadata::is_name(name.as_str()) && entry.breadth == Breadth::Exact,
            Wall::Range(range) if range.class == Class::Internal => {
                is_internal(name) && matches!(entry.breadth, Breadth::Exact | Breadth::Zone)
            }
            _ => false,
        }
    }
}

impl Wall {
    /// The word for it in events.
    pub fn rule(&self) -> String {
        match self {
            Self::Never(range) | Self::Range(range) | Self::Hidden(range) => format!("range {range}"),
            Self::Metadata(_) => "cloud metadata".to_owned(),
            Self::Own => "the host's own addresses".to_owned(),
        }
    }

    pub fn reason(&self, address: IpAddr) -> String {
        match self {
            Self::Never(range) => format!(
                "{address} is {}, which no connection leaves a sandbox for; a service of the host is opened \
                 with a rule host:PORT",
                range.what
            ),
            Self::Metadata(what) => format!(
                "{address} is {what}, which gives out credentials, so only a rule for exactly this address opens it"
            ),
            Self::Own => {
                format!("{address} is the host itself, so only a rule for exactly this address opens it")
            }
            Self::Range(range) => format!(
                "{address} is not public: it is in {range}, {}, and no rule names it",
                range.what
            ),
            Self::Hidden(range) => format!(
                "{address} is a spelling of an address in {range}, {}, so only a rule for exactly this address \
                 opens it",
                range.what
            ),
        }
    }

    /// Whether a command could open it.
    pub fn can_open(&self, address: IpAddr) -> bool {
        // A mapped address has no rule of its own, and its other spelling is the one to use.
        !matches!(self, Self::Never(_)) && address.to_canonical() == address
    }
}

pub(super) fn is_internal(name: &DomainName) -> bool {
    let single = !name.as_str().contains('.');
    single || name.suffixes().any(|zone| INTERNAL_ZONES.contains(&zone))
}

const fn width(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}
