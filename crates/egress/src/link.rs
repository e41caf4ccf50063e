//! The packet device, as the stack sees it: one IP packet in, one IP packet out, never waiting for room.
//!
//! It knows nothing of flows and decides nothing.

use std::{
    cell::{Cell, RefCell},
    io,
    os::fd::{AsFd, AsRawFd, OwnedFd, RawFd},
};

use smoltcp::phy::{Checksum, ChecksumCapabilities};
use tokio::io::unix::AsyncFd;

use crate::packet;

/// Bytes before each packet of a TUN that was opened with `IFF_VNET_HDR`: `struct virtio_net_hdr`.
pub(crate) const HEADER: usize = 10;
/// `VIRTIO_NET_HDR_F_NEEDS_CSUM`: the checksum holds the pseudo header only, and nobody has to finish it as long as
/// the packet stays on this machine.
const NEEDS_CHECKSUM: u8 = 1;
/// Largest IP packet.
const LARGEST: usize = 65_535;

/// Where the packets of one sandbox come from.
#[derive(Debug)]
pub enum Device {
    /// A TUN: `IFF_TUN | IFF_NO_PI`. With `offload`, also `IFF_VNET_HDR` and `TUN_F_CSUM`: neither side computes
    /// checksums over the payload. See [`crate::tun`], which opens it so.
    Tun { descriptor: OwnedFd, offload: bool },
    /// A datagram or seqpacket unix socket with one IP packet a message, checksums complete.
    Packets(OwnedFd),
}

pub(crate) struct Link {
    descriptor: AsyncFd<OwnedFd>,
    socket: bool,
    offload: bool,
    scratch: RefCell<Box<[u8]>>,
    /// Packets for the sandbox that its device did not take: it is full or gone. TCP sends them again.
    pub dropped: Cell<u64>,
}

impl Link {
    /// Within a tokio runtime.
    pub fn new(device: Device) -> io::Result<Self> {
        let (descriptor, socket, offload) = match device {
            Device::Tun { descriptor, offload } => (descriptor, false, offload),
            Device::Packets(descriptor) => (descriptor, true, false),
        };
        rustix::io::ioctl_fionbio(&descriptor, true)?;
        Ok(Self {
            descriptor: watch(descriptor)?,
            socket,
            offload,
            scratch: RefCell::new(vec![0; HEADER + LARGEST].into_boxed_slice()),
            dropped: Cell::new(0),
        })
    }

    /// What the stack may leave undone. Packets come from the kernel of this machine, so nothing is verified: a
    /// process that writes packets by hand can at most confuse its own connections.
    pub fn checksums(&self) -> ChecksumCapabilities {
        let mut checksums = ChecksumCapabilities::ignored();
        checksums.ipv4 = Checksum::Tx;
        checksums.icmpv4 = Checksum::Tx;
        checksums.icmpv6 = Checksum::Tx;
        if !self.offload {
            checksums.tcp = Checksum::Tx;
            checksums.udp = Checksum::Tx;
        }
        checksums
    }

    pub fn room_for_reading() -> usize {
        HEADER + LARGEST
    }

    /// Waits until there may be a packet.
    pub async fn ready(&self) -> io::Result<tokio::io::unix::AsyncFdReadyGuard<'_, OwnedFd>> {
        self.descriptor.readable().await
    }

    /// The next packet, if there is one now. An empty one is to be ignored.
    pub fn read<'a>(&self, buffer: &'a mut [u8]) -> io::Result<&'a [u8]> {
        let length = rustix::io::read(self.descriptor.get_ref(), &mut *buffer)?;
        if length == 0 && self.socket {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let start = if self.offload { HEADER.min(length) } else { 0 };
        Ok(&buffer[start..length])
    }

    /// Lets `fill` write a packet of `length` bytes and sends it.
    pub fn send<R>(&self, length: usize, fill: impl FnOnce(&mut [u8]) -> R) -> R {
        let mut scratch = self.scratch.borrow_mut();
        let end = HEADER + length.min(LARGEST);
        let result = fill(&mut scratch[HEADER..end]);
        let start = if self.offload {
            let (header, packet) = scratch[..end].split_at_mut(HEADER);
            describe(header, packet);
            0
        } else {
            HEADER
        };
        if rustix::io::write(self.descriptor.get_ref(), &scratch[start..end]).is_err() {
            self.dropped.set(self.dropped.get() + 1);
        }
        result
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.descriptor.get_ref().as_fd()
    }
}

impl AsRawFd for Link {
    fn as_raw_fd(&self) -> RawFd {
        self.descriptor.as_raw_fd()
    }
}

/// The header before a packet, and the checksum that it promises.
fn describe(header: &mut [u8], packet: &mut [u8]) {
    header.fill(0);
    let Some((start, offset)) = packet::partial_checksum(packet) else {
        return;
    };
    header[0] = NEEDS_CHECKSUM;
    header[6..8].copy_from_slice(&start.to_ne_bytes());
    header[8..10].copy_from_slice(&offset.to_ne_bytes());
}

/// Readiness of a descriptor that nobody else closes.
pub(crate) fn watch(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` is open until it is dropped, and what is watched owns it.
    unsafe { AsyncFd::register(descriptor) }.map_err(io::Error::from)
}
