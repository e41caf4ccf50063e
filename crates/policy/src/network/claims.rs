//! What the bytes of a connection say it is for.

use std::net::SocketAddr;

use agentkernel_types::{DomainName, NetworkMode, Protocol};

use super::{CompiledNetwork, Verdict, connections::described, walls::Wall};

impl CompiledNetwork {
    /// May a TCP connection say that it is for this name (SNI, Host, authority)? `to` is where it goes: at an
    /// address that a rule allows as such, a name need not be pinned.
    pub fn authority(&self, claimed: &DomainName, pinned: &[DomainName], to: SocketAddr) -> Verdict {
        if let Some(verdict) = self.by_mode_alone(claimed.as_str()) {
            return verdict;
        }
        let mut denials = self.deny.for_name(claimed);
        if let Some(entry) = denials.find(|entry| entry.covers(to.port(), Protocol::Tcp)) {
            return Verdict::denied_by(entry, claimed.as_str());
        }
        let wall = self.wall(to.ip());
        let port = Some((to.port(), Protocol::Tcp));
        let by_address = self.allowed_address(to.ip(), wall.as_ref(), port);
        // Whoever opened the address of a metadata service may call it by its name.
        let is_metadata = matches!(wall, Some(Wall::Metadata(_))) && by_address.is_some();
        if let Some(denied) = self.walled_name(claimed).filter(|_| !is_metadata) {
            return denied;
        }
        if let Some(entry) = by_address {
            return Verdict::allowed_by(entry, &described(to, Protocol::Tcp));
        }
        if self.mode != NetworkMode::Allowlist {
            let mode = self.mode;
            return Verdict::allowed(format!("mode {mode}"), format!("no rule denies {claimed}"));
        }
        let Some(entry) = self.allowances_on(claimed, to.port(), Protocol::Tcp).next() else {
            return self.not_allowed(claimed, port);
        };
        // At `*` every address is allowed under every name, so there is nothing to pretend.
        let anywhere = wall.is_none() && self.allowed_anything(to.port(), Protocol::Tcp).is_some();
        if anywhere || pinned.contains(claimed) {
            return Verdict::allowed_by(entry, claimed.as_str());
        }
        let reason = format!(
            "the connection says it is for {claimed}, but that name was not answered with {} in this sandbox",
            to.ip()
        );
        Verdict::denied("pinned names", reason)
    }

    /// Whether anything that a TCP connection says about itself could be denied.
    pub fn inspects(&self, pinned: &[DomainName], to: SocketAddr) -> bool {
        let by_mode = !matches!(self.mode, NetworkMode::None | NetworkMode::Host);
        by_mode && (self.deny.has_names() || !self.anonymous(pinned, to).allowed)
    }

    /// May a TCP connection that should name its host, name none (TLS without SNI, HTTP with an address for
    /// Host, other bytes on a port of TLS or HTTP)?
    pub fn anonymous(&self, pinned: &[DomainName], to: SocketAddr) -> Verdict {
        let what = described(to, Protocol::Tcp);
        if let Some(verdict) = self.by_mode_alone(&what) {
            return verdict;
        }
        let wall = self.wall(to.ip());
        let port = Some((to.port(), Protocol::Tcp));
        if let Some(entry) = self.allowed_address(to.ip(), wall.as_ref(), port) {
            return Verdict::allowed_by(entry, &what);
        }
        if self.mode != NetworkMode::Allowlist {
            let mode = self.mode;
            return Verdict::allowed(
                format!("mode {mode}"),
                "names are only compared in allowlist mode",
            );
        }
        let anywhere = self.allowed_anything(to.port(), Protocol::Tcp);
        if let (None, Some(entry)) = (&wall, anywhere) {
            return Verdict::allowed_by(entry, &what);
        }
        let asked = match pinned.first() {
            Some(name) => format!(", so it cannot be checked that it is for {name}"),
            None => String::new(),
        };
        Verdict::denied(
            "pinned names",
            format!("the connection does not say which host it is for{asked}"),
        )
        .with_remedy(self.command_for_address(to, Protocol::Tcp))
    }
}
