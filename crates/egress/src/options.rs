//! What a plane is started with.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
};

use agentkernel_policy::CompiledNetwork;
use agentkernel_types::NetworkEvent;
use tokio::sync::mpsc;

use crate::dial::Dial;

/// How one sandbox is connected.
pub struct Options {
    pub addresses: Addresses,
    pub policy: Arc<CompiledNetwork>,
    pub upstreams: Upstreams,
    pub dial: Arc<dyn Dial>,
    /// Never waited for: an event that finds no room is counted as lost.
    pub events: mpsc::Sender<NetworkEvent>,
}

/// The addresses on the link. Each sandbox has a link of its own, so all may have the same.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Addresses {
    pub v4: Pair<Ipv4Addr>,
    pub v6: Pair<Ipv6Addr>,
    /// Bytes of the largest packet, at most 65535.
    pub mtu: u16,
}

/// Both ends of the link.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Pair<A> {
    pub sandbox: A,
    pub gateway: A,
}

impl Default for Addresses {
    /// Two addresses of the range for exactly this (192.0.0.0/29, RFC 7335), which no network uses, and two of a
    /// unique local prefix. The largest packets, so that a system call moves as much as it can.
    fn default() -> Self {
        Self {
            v4: Pair {
                sandbox: Ipv4Addr::new(192, 0, 0, 2),
                gateway: Ipv4Addr::new(192, 0, 0, 1),
            },
            v6: Pair {
                sandbox: Ipv6Addr::new(0xfd61, 0x6b65, 0x726e, 0, 0, 0, 0, 2),
                gateway: Ipv6Addr::new(0xfd61, 0x6b65, 0x726e, 0, 0, 0, 0, 1),
            },
            mtu: 65_520,
        }
    }
}

impl Addresses {
    pub(crate) fn is_sandbox(&self, address: IpAddr) -> bool {
        address == IpAddr::V4(self.v4.sandbox) || address == IpAddr::V6(self.v6.sandbox)
    }

    pub(crate) fn is_gateway(&self, address: IpAddr) -> bool {
        address == IpAddr::V4(self.v4.gateway) || address == IpAddr::V6(self.v6.gateway)
    }

    /// The gateway's address of the same version.
    pub(crate) fn gateway_for(&self, address: IpAddr) -> IpAddr {
        match address {
            IpAddr::V4(_) => self.v4.gateway.into(),
            IpAddr::V6(_) => self.v6.gateway.into(),
        }
    }
}

/// Who is asked for names that the policy allows.
#[derive(Clone, Debug)]
pub enum Upstreams {
    /// The `nameserver` lines of a file like `/etc/resolv.conf`, read again when it changes.
    ResolvConf(PathBuf),
    Given(Vec<SocketAddr>),
}

impl Default for Upstreams {
    fn default() -> Self {
        Self::ResolvConf("/etc/resolv.conf".into())
    }
}
