//! Every packet of the host's namespace, so that "nothing left" can be seen and not only hoped.

use std::{
    net::IpAddr,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
};

use super::Place;

pub struct Capture(OwnedFd);

impl Capture {
    pub fn new(place: &Place) -> Self {
        place.run(|| {
            let every = i32::from((libc::ETH_P_ALL as u16).to_be());
            // SAFETY: no memory is involved.
            let socket =
                unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_DGRAM | libc::SOCK_NONBLOCK, every) };
            assert!(socket >= 0, "{}", std::io::Error::last_os_error());
            // SAFETY: just made, and nobody else knows it.
            Self(unsafe { OwnedFd::from_raw_fd(socket) })
        })
    }

    /// The far ends of the packets since the last call: protocol, address and port.
    pub fn destinations(&self) -> Vec<(u8, IpAddr, u16)> {
        let mut seen = Vec::new();
        let mut buffer = [0u8; 65_536];
        loop {
            // SAFETY: writes at most the length of the buffer into it.
            let length =
                unsafe { libc::recv(self.0.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), 0) };
            let Ok(length) = usize::try_from(length) else {
                return seen;
            };
            seen.extend(destination(&buffer[..length]));
        }
    }
}

fn destination(packet: &[u8]) -> Option<(u8, IpAddr, u16)> {
    let (protocol, address, start): (u8, IpAddr, usize) = match packet.first()? >> 4 {
        4 => {
            let address: [u8; 4] = packet.get(16..20)?.try_into().ok()?;
            (*packet.get(9)?, address.into(), 4 * usize::from(packet[0] & 15))
        }
        _ => {
            let address: [u8; 16] = packet.get(24..40)?.try_into().ok()?;
            (*packet.get(6)?, address.into(), 40)
        }
    };
    let port = packet
        .get(start + 2..start + 4)
        .map_or(0, |port| u16::from_be_bytes([port[0], port[1]]));
    Some((protocol, address, port))
}
