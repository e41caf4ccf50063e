//! Everything that the kernel will be told, computed where computing is allowed.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::Addresses;

/// Bytes of an interface name, the zero at its end included.
const NAME: usize = libc::IFNAMSIZ;
/// The IPv4 block of the link: both ends of a /30.
const V4_PREFIX: u32 = 30;

/// `struct ifreq`, with its union as bytes: 40 bytes on every 64-bit Linux.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub name: [u8; NAME],
    pub value: [u8; 24],
}

/// Plain data for [`super::configure`].
#[derive(Clone, Copy, Debug)]
pub struct Prepared {
    pub(super) make: Request,
    pub(super) offload: bool,
    pub(super) loopback_up: Request,
    pub(super) up: Request,
    pub(super) mtu: Request,
    pub(super) v4_address: Request,
    pub(super) v4_netmask: Request,
    pub(super) v4_gateway: [u8; 16],
    pub(super) v6_address: Ipv6Addr,
    pub(super) v6_gateway: Ipv6Addr,
}

/// What [`super::configure`] will do. The interface is called `eth0`, as programs expect it.
pub fn prepare(addresses: &Addresses) -> Prepared {
    let netmask = Ipv4Addr::from(u32::MAX << (32 - V4_PREFIX));
    let kind = libc::IFF_TUN | libc::IFF_NO_PI | libc::IFF_VNET_HDR;
    let up = libc::IFF_UP | libc::IFF_RUNNING;
    Prepared {
        make: request(b"eth0", &short(kind)),
        offload: true,
        loopback_up: request(b"lo", &short(up)),
        up: request(b"eth0", &short(up)),
        mtu: request(b"eth0", &i32::from(addresses.mtu).to_ne_bytes()),
        v4_address: request(b"eth0", &socket_address(addresses.v4.sandbox)),
        v4_netmask: request(b"eth0", &socket_address(netmask)),
        v4_gateway: socket_address(addresses.v4.gateway),
        v6_address: addresses.v6.sandbox,
        v6_gateway: addresses.v6.gateway,
    }
}

impl Prepared {
    /// For [`crate::Device::Tun`].
    pub fn offload(&self) -> bool {
        self.offload
    }
}

fn request(name: &[u8], content: &[u8]) -> Request {
    let mut request = Request {
        name: [0; NAME],
        value: [0; 24],
    };
    request.name[..name.len()].copy_from_slice(name);
    request.value[..content.len()].copy_from_slice(content);
    request
}

fn short(flags: i32) -> [u8; 2] {
    // All flags that are used here are in the lower 16 bits: the kernel's field is a short.
    (flags as u16).to_ne_bytes()
}

/// `struct sockaddr_in`.
fn socket_address(address: Ipv4Addr) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..2].copy_from_slice(&(libc::AF_INET as u16).to_ne_bytes());
    bytes[4..8].copy_from_slice(&address.octets());
    bytes
}
