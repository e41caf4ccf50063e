//! Names and the addresses in their answers.

use std::net::IpAddr;

use agentkernel_types::{DomainName, NetworkMode, Protocol};

use super::{
    CompiledNetwork, Verdict,
    compiled::written,
    metadata, resolvers,
    rules::{Breadth, Entry},
    special::embedded,
};

/// What a remedy proposes when only a name is known.
const USUAL_PORT: u16 = 443;

impl CompiledNetwork {
    /// May this name be looked up? In a mode other than `none`, [`Self::HOST_NAME`] is allowed where a
    /// `host:PORT` rule exists; the answer to it is the caller's business.
    pub fn resolve(&self, name: &DomainName) -> Verdict {
        if let Some(verdict) = self.by_mode_alone(name.as_str()) {
            return verdict;
        }
        if Self::is_host_name(name) {
            return self.resolve_host();
        }
        if let Some(entry) = self.deny.for_name(name).find(|entry| entry.is_whole()) {
            return Verdict::denied_by(entry, name.as_str());
        }
        let allowed = self.allowances(name).next();
        if let Some(denied) = self.walled_name(name) {
            return denied;
        }
        match (self.mode, allowed) {
            (_, Some(entry)) => Verdict::allowed_by(entry, name.as_str()),
            (NetworkMode::Allowlist, None) => self.not_allowed(name, None),
            (mode, None) => Verdict::allowed(format!("mode {mode}"), format!("no rule denies {name}")),
        }
    }

    /// May this address be in the answer for the name (`None`: for any name)?
    pub fn address(&self, name: Option<&DomainName>, address: IpAddr) -> Verdict {
        if let Some(verdict) = self.by_mode_alone(&address.to_string()) {
            return verdict;
        }
        if let Some(entry) = self.denied_address(address, Entry::is_whole) {
            return Verdict::denied_by(entry, &address.to_string());
        }
        let wall = self.wall(address);
        if let Some(entry) = self.allowed_address(address, wall.as_ref(), None) {
            return Verdict::allowed_by(entry, &address.to_string());
        }
        let by_name = |name: &DomainName| self.allowances(name).next().cloned();
        let Some(wall) = wall else {
            if let Some(entry) = self.allow.for_anything().next() {
                return Verdict::allowed_by(entry, &address.to_string());
            }
            return match (self.mode, name) {
                (NetworkMode::Allowlist, Some(name)) => match by_name(name) {
                    Some(entry) => Verdict::allowed_by(&entry, name.as_str()),
                    None => self.not_allowed(name, None),
                },
                (NetworkMode::Allowlist, None) => self.unpinned(address, None, Protocol::Tcp),
                (mode, _) => Verdict::allowed(format!("mode {mode}"), format!("{address} is public")),
            };
        };
        let opened = name.and_then(|name| {
            let mut entries = self.allowances(name);
            entries.find(|entry| self.name_opens(&wall, name, entry))
        });
        if let Some(entry) = opened {
            return Verdict::allowed_by(entry, &address.to_string());
        }
        let denied = Verdict::denied(wall.rule(), wall.reason(address));
        match wall.can_open(address) {
            true => denied.with_remedy(self.command(&written(address), Some(USUAL_PORT), Protocol::Tcp)),
            false => denied,
        }
    }

    /// The allowances that count for a name: none but an exact one leads to a resolver of other people's names
    /// or to cloud metadata.
    pub(super) fn allowances<'a>(&'a self, name: &'a DomainName) -> impl Iterator<Item = &'a Entry> {
        let only_exact = metadata::is_name(name.as_str())
            || (self.mode == NetworkMode::Allowlist && resolvers::is_resolver(name.suffixes()));
        let entries = self.allow.for_name(name);
        entries.filter(move |entry| !only_exact || entry.breadth == Breadth::Exact)
    }

    /// A denial for an address, in whichever spelling it comes.
    pub(super) fn denied_address(&self, address: IpAddr, about: impl Fn(&Entry) -> bool) -> Option<&Entry> {
        let spellings = std::iter::once(address).chain(embedded(address).into_iter().map(IpAddr::V4));
        for spelling in spellings {
            if let Some((_, entry)) = self.deny.for_address(spelling).find(|(_, entry)| about(entry)) {
                return Some(entry);
            }
        }
        self.deny.for_anything().find(|entry| about(entry))
    }

    /// Names that stay closed unless a rule says exactly them.
    pub(super) fn walled_name(&self, name: &DomainName) -> Option<Verdict> {
        if self.allowances(name).next().is_some() {
            return None;
        }
        let remedy = self.command(name.as_str(), Some(USUAL_PORT), Protocol::Tcp);
        if metadata::is_name(name.as_str()) {
            let reason = format!(
                "{name} is a metadata service, which gives out credentials, so only a rule for exactly this name \
                 opens it"
            );
            let remedy = self.command(name.as_str(), Some(80), Protocol::Tcp);
            return Some(Verdict::denied("cloud metadata", reason).with_remedy(remedy));
        }
        if self.mode == NetworkMode::Allowlist && resolvers::is_resolver(name.suffixes()) {
            let reason = format!(
                "{name} is a resolver for encrypted lookups, which would hide them from the policy, so only a rule \
                 for exactly this name opens it"
            );
            return Some(Verdict::denied("foreign resolvers", reason).with_remedy(remedy));
        }
        None
    }

    pub(super) fn not_allowed(&self, name: &DomainName, port: Option<(u16, Protocol)>) -> Verdict {
        let (port, protocol, what) = match port {
            Some((port, protocol)) => (port, protocol, format!("{name} on port {port}/{protocol}")),
            None => (USUAL_PORT, Protocol::Tcp, name.to_string()),
        };
        Verdict::denied("mode allowlist", format!("no rule of the policy allows {what}"))
            .with_remedy(self.command(name.as_str(), Some(port), protocol))
    }

    pub(super) fn unpinned(&self, address: IpAddr, port: Option<u16>, protocol: Protocol) -> Verdict {
        let reason = format!(
            "no allowed name was answered with {address} in this sandbox, and no rule of the policy allows the \
             address itself"
        );
        let denied = Verdict::denied("mode allowlist", reason);
        if address.to_canonical() != address {
            return denied;
        }
        let port = port.or(Some(USUAL_PORT));
        denied.with_remedy(self.command(&written(address), port, protocol))
    }

    fn resolve_host(&self) -> Verdict {
        let host = Self::HOST_NAME;
        match self.allow.for_host().next() {
            Some(entry) => Verdict::allowed_by(entry, host),
            None => Verdict::denied(
                "host services",
                format!("no rule opens a service of the host, so {host} has no address"),
            )
            .with_remedy(self.command("host:PORT", None, Protocol::Tcp)),
        }
    }
}
