//! The one way out of a sandbox: every name and every connection judged by its policy, every decision explained.
//!
//! [`start`] takes the packet device of one sandbox and becomes its gateway: it answers for every address that the
//! policy allows, with sockets of this process, and for names on the gateway's own address. When it ends, however
//! it ends, the sandbox has no network.
//!
//! `inspect` reads what a connection says about itself. It is pure: it holds no socket and reads no clock.
//! [`tun`] opens the device inside a network namespace. Nothing here makes namespaces or knows a backend.

mod device;
mod dial;
mod dns;
mod echo;
mod egress;
mod events;
pub mod gateway;
pub mod inspect;
mod link;
mod options;
mod packet;
mod pins;
mod plane;
mod publish;
mod random;
mod reply;
mod statistics;
mod tcp;
pub mod tun;
mod udp;

pub use dial::{Connection, Dial, Dialling, HostSockets, Outgoing};
pub use egress::{Egress, Error, start};
pub use link::Device;
pub use options::{Addresses, Options, Pair, Upstreams};
pub use packet::Dropped;
pub use publish::Published;
pub use statistics::Statistics;

/// For the fuzz targets: no panic, whatever the bytes are.
#[doc(hidden)]
pub mod fuzzing {
    pub fn packet(bytes: &[u8]) {
        if let Ok(packet) = crate::packet::Packet::parse(bytes) {
            let _ = packet.tcp();
            let _ = packet.udp();
        }
        let mut copy = bytes.to_vec();
        let _ = crate::packet::partial_checksum(&mut copy);
    }

    pub use crate::dns::fuzz as dns;
    pub use crate::plane::fuzz as stack;
}
