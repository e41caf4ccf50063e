//! Everything that the kernel will be told, computed where computing is allowed.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    os::fd::OwnedFd,
};

use super::{
    Attachment,
    netlink::{End, Message},
};
use crate::{Addresses, Device};

/// Bytes of an interface name, the zero at its end included.
const NAME: usize = libc::IFNAMSIZ;
/// The IPv4 block of the link: both ends of a /30.
const V4_PREFIX: u32 = 30;
const V6_PREFIX: u8 = 64;
/// Both ends of a pair. The addresses are of the range that everybody may use (the second bit of the first byte).
const NEAR: End = End {
    name: b"eth0",
    address: [2, 0, 0, 0, 0, 2],
};
const FAR: End = End {
    name: b"gate0",
    address: [2, 0, 0, 0, 0, 1],
};

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
    pub(super) attachment: Attachment,
    pub(super) make: Request,
    pub(super) offload: bool,
    pub(super) pair: Message,
    pub(super) no_invented_addresses: [Message; 2],
    pub(super) reach_loopback: Message,
    pub(super) far_up: Request,
    pub(super) loopback_up: Request,
    pub(super) up: Request,
    pub(super) mtu: Request,
    pub(super) v4_address: Request,
    pub(super) v4_netmask: Request,
    pub(super) v4_gateway: [u8; 16],
    pub(super) v6_address: Message,
    pub(super) v6_gateway: Ipv6Addr,
}

/// What [`super::configure`] will do. The interface is called `eth0`, as programs expect it.
pub fn prepare(addresses: &Addresses, attachment: Attachment) -> Prepared {
    let netmask = Ipv4Addr::from(u32::MAX << (32 - V4_PREFIX));
    let kind = libc::IFF_TUN | libc::IFF_NO_PI | libc::IFF_VNET_HDR;
    let up = libc::IFF_UP | libc::IFF_RUNNING;
    // Nobody answers who has which address: there is one other end.
    let alone = up | libc::IFF_NOARP;
    Prepared {
        attachment,
        make: request(b"eth0", &short(kind)),
        offload: true,
        pair: Message::pair(&NEAR, &FAR, addresses.mtu),
        no_invented_addresses: [
            Message::no_invented_address(&NEAR),
            Message::no_invented_address(&FAR),
        ],
        reach_loopback: Message::reach_loopback(&NEAR),
        far_up: request(FAR.name, &short(alone)),
        loopback_up: request(b"lo", &short(up)),
        up: request(
            b"eth0",
            &short(match attachment {
                Attachment::Tun => up,
                Attachment::Veth => alone,
            }),
        ),
        mtu: request(b"eth0", &i32::from(addresses.mtu).to_ne_bytes()),
        v4_address: request(b"eth0", &socket_address(addresses.v4.sandbox)),
        v4_netmask: request(b"eth0", &socket_address(netmask)),
        v4_gateway: socket_address(addresses.v4.gateway),
        v6_address: Message::address_v6(addresses.v6.sandbox, V6_PREFIX),
        v6_gateway: addresses.v6.gateway,
    }
}

impl Prepared {
    /// What [`super::configure`] returned, as the plane takes it.
    pub fn device(&self, descriptor: OwnedFd) -> Device {
        match self.attachment {
            Attachment::Tun => Device::Tun {
                descriptor,
                offload: self.offload,
            },
            Attachment::Veth => Device::Frames {
                descriptor,
                sandbox: NEAR.address,
                gateway: FAR.address,
            },
        }
    }

    pub fn attachment(&self) -> Attachment {
        self.attachment
    }

    /// For [`Device::Tun`].
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
