//! The TUN of a sandbox: made inside its network namespace, carried by a process outside.
//!
//! [`prepare`] computes everything; [`configure`] makes system calls on it and nothing else, so that the child of a
//! `clone3` may call it: no allocation, no lock, no panic. The device exists as long as its descriptor is open
//! somewhere: a plane that dies takes it along.

mod handover;
mod prepared;
mod system;

use std::{ffi::CStr, os::fd::OwnedFd};

use rustix::io::Errno;

pub use handover::{hand_over, take_over};
pub use prepared::{Prepared, prepare};
use system::Call;

/// Where the kernel offers the device.
pub const DEVICE: &CStr = c"/dev/net/tun";

/// Makes the interface in the network namespace of the calling thread, which needs CAP_NET_ADMIN there, and brings
/// it and the loopback up. The device node is opened here: an interface belongs to the namespace in which its
/// descriptor was opened, not to the one of whoever configures it.
pub fn configure(prepared: &Prepared) -> Result<OwnedFd, Errno> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let device = rustix::fs::open(DEVICE, flags, Mode::empty())?;
    system::make(&device, prepared)?;
    let four = system::socket(libc::AF_INET)?;
    system::interface(&four, Call::Flags, &prepared.loopback_up)?;
    system::interface(&four, Call::Mtu, &prepared.mtu)?;
    system::interface(&four, Call::Address, &prepared.v4_address)?;
    system::interface(&four, Call::Netmask, &prepared.v4_netmask)?;
    system::interface(&four, Call::Flags, &prepared.up)?;
    system::route_v4(&four, prepared)?;
    match system::socket(libc::AF_INET6) {
        Ok(six) => {
            let index = system::index(&four, &prepared.up)?;
            system::address_v6(&six, prepared, index)?;
            system::route_v6(&six, prepared, index)?;
        }
        // A kernel without IPv6: the sandbox has none either.
        Err(Errno::AFNOSUPPORT) => {}
        Err(error) => return Err(error),
    }
    Ok(device)
}

#[cfg(test)]
mod tests;
