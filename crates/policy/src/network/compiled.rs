//! A policy made ready for many questions.

use std::net::{IpAddr, SocketAddr};

use agentkernel_types::{DomainName, EgressMode, IpNetwork, NetworkPolicy, Protocol};

use super::Verdict;
use crate::Denied;

/// A policy in the form that is fast to ask: a lookup costs as many steps as a name has labels.
#[derive(Clone, Debug)]
pub struct CompiledNetwork {
    mode: EgressMode,
}

impl CompiledNetwork {
    /// The name under which the services of `host:PORT` rules are reached.
    pub const HOST_NAME: &'static str = "host.agentkernel.internal";

    /// Refuses a preset that does not exist and an allowance that nothing could ever honour.
    pub fn new(policy: &NetworkPolicy) -> Result<Self, Denied> {
        Ok(Self { mode: policy.mode })
    }

    /// The name of the sandbox, for the commands in remedies. Without it they say `NAME`.
    #[must_use]
    pub fn for_sandbox(self, _name: &str) -> Self {
        self
    }

    /// The host's own addresses, which are no public ones whatever their range.
    #[must_use]
    pub fn with_own_addresses(self, _own: impl IntoIterator<Item = IpNetwork>) -> Self {
        self
    }

    pub const fn mode(&self) -> EgressMode {
        self.mode
    }

    /// May this name be looked up? In a mode other than `none`, [`Self::HOST_NAME`] is allowed where a
    /// `host:PORT` rule exists; the answer to it is the caller's business.
    pub fn resolve(&self, _name: &DomainName) -> Verdict {
        unfinished()
    }

    /// May this address be in the answer for the name (`None`: for any name)?
    pub fn address(&self, _name: Option<&DomainName>, _address: IpAddr) -> Verdict {
        unfinished()
    }

    /// May a connection be made, or a datagram or an echo request be sent? `pinned` are the names that were
    /// answered with this address in this sandbox. For ICMP the port is 0.
    pub fn connect(&self, _pinned: &[DomainName], _to: SocketAddr, _protocol: Protocol) -> Verdict {
        unfinished()
    }

    /// May a TCP connection say that it is for this name (SNI, Host, authority)?
    pub fn authority(&self, _claimed: &DomainName, _pinned: &[DomainName], _to: SocketAddr) -> Verdict {
        unfinished()
    }

    /// May a TCP connection that should name its host, name none (TLS without SNI, HTTP with an address for
    /// Host, other bytes on a port of TLS or HTTP)?
    pub fn anonymous(&self, _pinned: &[DomainName], _to: SocketAddr) -> Verdict {
        unfinished()
    }

    /// May this port of the host's loopback be reached by [`Self::HOST_NAME`]?
    pub fn host_service(&self, _port: u16, _protocol: Protocol) -> Verdict {
        unfinished()
    }
}

fn unfinished() -> Verdict {
    Verdict {
        allowed: false,
        rule: "none".into(),
        reason: "nothing is decided yet".into(),
        remedy: None,
    }
}
