//! Connections, datagrams and echo requests.

use std::net::SocketAddr;

use agentkernel_types::{DomainName, NetworkMode, Protocol};

use super::{CompiledNetwork, Verdict, rules::Entry, walls::Wall};

/// Plain lookups: only the sandbox's own resolver answers them, so that names are pinned.
const DNS: u16 = 53;
/// Lookups over TLS or QUIC (RFC 7858, RFC 9250).
const ENCRYPTED_DNS: u16 = 853;

impl CompiledNetwork {
    /// May a connection be made, or a datagram or an echo request be sent? `pinned` are the names that were
    /// answered with this address in this sandbox. For ICMP the port is 0.
    pub fn connect(&self, pinned: &[DomainName], to: SocketAddr, protocol: Protocol) -> Verdict {
        let what = described(to, protocol);
        if let Some(verdict) = self.by_mode_alone(&what) {
            return verdict;
        }
        let covers = |entry: &Entry| entry.covers(to.port(), protocol);
        if let Some(entry) = self.denied_address(to.ip(), covers) {
            return Verdict::denied_by(entry, &what);
        }
        let mut denial = None;
        let names: Vec<&DomainName> = pinned
            .iter()
            .filter(
                |name| match self.deny.for_name(name).find(|entry| covers(entry)) {
                    None => true,
                    Some(entry) => {
                        denial.get_or_insert((entry, *name));
                        false
                    }
                },
            )
            .collect();
        if let (true, Some((entry, name))) = (names.is_empty(), denial) {
            return Verdict::denied_by(entry, name.as_str());
        }
        let wall = self.wall(to.ip());
        if let Some(entry) = self.allowed_address(to.ip(), wall.as_ref(), Some((to.port(), protocol))) {
            return Verdict::allowed_by(entry, &what);
        }
        if to.port() == DNS && self.must_be_written(to.port(), protocol) {
            return self.foreign_lookup(to, protocol);
        }
        self.by_names(&names, to, protocol, wall.as_ref())
    }

    fn by_names(
        &self,
        names: &[&DomainName],
        to: SocketAddr,
        protocol: Protocol,
        wall: Option<&Wall>,
    ) -> Verdict {
        let found = names.iter().find_map(|name| {
            let entry = self
                .allowances_on(name, to.port(), protocol)
                .find(|entry| wall.is_none_or(|wall| self.name_opens(wall, name, entry)));
            entry.map(|entry| (entry, name))
        });
        if let Some((entry, name)) = found {
            return Verdict::allowed_by(entry, name.as_str());
        }
        if let Some(wall) = wall {
            let denied = Verdict::denied(wall.rule(), wall.reason(to.ip()));
            return match wall.can_open(to.ip()) {
                true => denied.with_remedy(self.command_for_address(to, protocol)),
                false => denied,
            };
        }
        if self.mode != NetworkMode::Allowlist {
            let mode = self.mode;
            return Verdict::allowed(format!("mode {mode}"), format!("no rule denies {}", to.ip()));
        }
        if let Some(entry) = self.allowed_anything(to.port(), protocol) {
            return Verdict::allowed_by(entry, &described(to, protocol));
        }
        match names.first() {
            Some(name) => self.not_allowed(name, Some((to.port(), protocol))),
            None if self.must_be_written(to.port(), protocol) => self.foreign_lookup(to, protocol),
            None => self.unpinned(to.ip(), Some(to.port()), protocol),
        }
    }

    /// The allowances of a name on a port.
    pub(super) fn allowances_on<'a>(
        &'a self,
        name: &'a DomainName,
        port: u16,
        protocol: Protocol,
    ) -> impl Iterator<Item = &'a Entry> {
        let strict = self.must_be_written(port, protocol);
        self.allowances(name)
            .filter(move |entry| entry.covers(port, protocol) && (!strict || entry.names_port(port)))
    }

    /// A rule `*` that allows this port, at every public address.
    pub(super) fn allowed_anything(&self, port: u16, protocol: Protocol) -> Option<&Entry> {
        let strict = self.must_be_written(port, protocol);
        let mut entries = self.allow.for_anything();
        entries.find(|entry| entry.covers(port, protocol) && (!strict || entry.names_port(port)))
    }

    /// Lookups at other people's resolvers would give names to addresses that the policy never saw: a rule
    /// leads there only if it writes the port down.
    pub(super) fn must_be_written(&self, port: u16, protocol: Protocol) -> bool {
        let by_mode = match port {
            DNS => matches!(self.mode, NetworkMode::Allowlist | NetworkMode::Public),
            ENCRYPTED_DNS => self.mode == NetworkMode::Allowlist,
            _ => false,
        };
        by_mode && protocol != Protocol::Icmp
    }

    fn foreign_lookup(&self, to: SocketAddr, protocol: Protocol) -> Verdict {
        let reason = format!(
            "{} is a foreign resolver, and lookups are answered by the sandbox's own one only; a rule for the \
             address that writes the port opens it",
            to.ip()
        );
        let denied = Verdict::denied("foreign resolvers", reason);
        match to.ip().to_canonical() == to.ip() {
            true => denied.with_remedy(self.command_for_address(to, protocol)),
            false => denied,
        }
    }
}

pub(super) fn described(to: SocketAddr, protocol: Protocol) -> String {
    match protocol {
        Protocol::Icmp => format!("an echo request to {}", to.ip()),
        _ => format!("{to}/{protocol}"),
    }
}
