//! The device of a sandbox: made inside its network namespace, carried by a process outside.
//!
//! A TUN where the kernel gives one to this user; a pair of virtual Ethernet interfaces elsewhere, whose both ends
//! are in the sandbox's namespace, and a packet socket on the far one. [`prepare`] computes everything; [`configure`]
//! makes system calls on it and nothing else, so that the child of a `clone3` may call it: no allocation, no lock, no
//! panic. What is handed over is the only way out: a plane that dies leaves the sandbox without one.

mod handover;
mod netlink;
mod prepared;
mod system;

use std::{ffi::CStr, os::fd::OwnedFd};

use rustix::io::Errno;

pub use handover::{hand_over, take_over};
pub use prepared::{Prepared, prepare};
use system::Call;
pub(crate) use system::let_it_stay;

/// Where the kernel offers the device.
pub const DEVICE: &CStr = c"/dev/net/tun";

/// How a sandbox is attached to its plane.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Attachment {
    /// The faster one. It needs the device node.
    Tun,
    /// Needs nothing but the namespace.
    Veth,
}

impl Attachment {
    /// The best that this process can use. A container has no device node, and on some hosts it is root's alone.
    pub fn of_this_host() -> Self {
        match open_device() {
            Ok(_) => Self::Tun,
            Err(_) => Self::Veth,
        }
    }
}

/// Makes the interface in the network namespace of the calling thread, which needs CAP_NET_ADMIN there (and for a
/// pair CAP_NET_RAW), and brings it and the loopback up. The device is opened here: an interface belongs to the
/// namespace in which its descriptor was opened, not to the one of whoever configures it.
pub fn configure(prepared: &Prepared) -> Result<OwnedFd, Errno> {
    let four = system::control(libc::AF_INET)?;
    let netlink = netlink::socket()?;
    let device = match prepared.attachment {
        Attachment::Tun => {
            let device = open_device()?;
            system::make(&device, prepared)?;
            system::interface(&four, Call::Mtu, &prepared.mtu)?;
            device
        }
        Attachment::Veth => pair(&four, &netlink, prepared)?,
    };
    // Refused by kernels without IPv6, which invent none.
    let _ = netlink::tell(&netlink, &prepared.no_invented_addresses[0]);
    // Without it, published services have to listen on the sandbox's own address.
    let _ = netlink::tell(&netlink, &prepared.reach_loopback);
    system::interface(&four, Call::Flags, &prepared.loopback_up)?;
    system::interface(&four, Call::Address, &prepared.v4_address)?;
    system::interface(&four, Call::Netmask, &prepared.v4_netmask)?;
    system::interface(&four, Call::Flags, &prepared.up)?;
    system::route_v4(&four, prepared)?;
    match system::control(libc::AF_INET6) {
        Ok(six) => {
            let index = system::index(&four, &prepared.up)?;
            netlink::tell(&netlink, &prepared.v6_address.of(index))?;
            system::route_v6(&six, prepared, index)?;
        }
        // A kernel without IPv6: the sandbox has none either.
        Err(Errno::AFNOSUPPORT) => {}
        Err(error) => return Err(error),
    }
    Ok(device)
}

fn open_device() -> Result<OwnedFd, Errno> {
    use rustix::fs::{Mode, OFlags};
    rustix::fs::open(
        DEVICE,
        OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK,
        Mode::empty(),
    )
}

/// Both interfaces, and the socket on the far one. The sandbox keeps that one in its namespace and can do nothing
/// with it: what it sends there comes back to itself, since the socket takes only what has come through the pair.
fn pair(four: &OwnedFd, netlink: &OwnedFd, prepared: &Prepared) -> Result<OwnedFd, Errno> {
    netlink::tell(netlink, &prepared.pair)?;
    let _ = netlink::tell(netlink, &prepared.no_invented_addresses[1]);
    system::interface(four, Call::Flags, &prepared.far_up)?;
    system::packets(system::index(four, &prepared.far_up)?)
}

#[cfg(test)]
mod tests;
