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
const DESCRIPTION: usize = 10;
/// Bytes before the packet in an Ethernet frame: both addresses and the kind.
const ETHERNET: usize = 14;
/// The most that can be before a packet.
const HEADER: usize = DESCRIPTION + ETHERNET;
/// `VIRTIO_NET_HDR_F_NEEDS_CSUM`: the checksum holds the pseudo header only, and nobody has to finish it as long as
/// the packet stays on this machine.
const NEEDS_CHECKSUM: u8 = 1;
/// `VIRTIO_NET_HDR_GSO_UDP` and `VIRTIO_NET_HDR_GSO_UDP_L4`.
const UDP_FRAGMENTS: u8 = 3;
const UDP_SEGMENTS: u8 = 5;
/// Largest IP packet.
const LARGEST: usize = 65_535;
/// What a packet socket should be able to keep: a few windows of connections.
const BACKLOG: usize = 8 * 1024 * 1024;

/// Where the packets of one sandbox come from.
#[derive(Debug)]
pub enum Device {
    /// A TUN: `IFF_TUN | IFF_NO_PI`. With `offload`, also `IFF_VNET_HDR` and `TUN_F_CSUM`: neither side computes
    /// checksums over the payload. See [`crate::tun`], which opens it so.
    Tun { descriptor: OwnedFd, offload: bool },
    /// A packet socket of a pair's far end: Ethernet frames, each after a `struct virtio_net_hdr`, checksums left to
    /// nobody. The addresses are those of both ends.
    Frames {
        descriptor: OwnedFd,
        sandbox: [u8; 6],
        gateway: [u8; 6],
    },
    /// A datagram or seqpacket unix socket with one IP packet a message, checksums complete.
    Packets(OwnedFd),
}

pub(crate) struct Link {
    descriptor: AsyncFd<OwnedFd>,
    form: Form,
    /// Bytes that the device can keep until they are read; none: more than anybody needs.
    backlog: Option<usize>,
    scratch: RefCell<Box<[u8]>>,
    /// Packets for the sandbox that its device did not take: it is full or gone. TCP sends them again.
    pub dropped: Cell<u64>,
}

/// What surrounds a packet on its way.
#[derive(Clone, Copy)]
enum Form {
    Plain {
        socket: bool,
    },
    Described,
    /// With the addresses of frames to the sandbox.
    Frames([u8; 12]),
}

impl Form {
    /// Bytes before the packet.
    fn before(self) -> usize {
        match self {
            Self::Plain { .. } => 0,
            Self::Described => DESCRIPTION,
            Self::Frames(_) => HEADER,
        }
    }

    /// The packet in what was read; nothing, if there is none.
    fn unwrap(self, bytes: &[u8]) -> &[u8] {
        let packet = bytes.get(self.before()..).unwrap_or_default();
        if !matches!(self, Self::Frames(_)) {
            return packet;
        }
        // Several datagrams in one: the pair is made so that there are none.
        let joined = matches!(bytes.get(1), Some(&(UDP_FRAGMENTS | UDP_SEGMENTS)));
        match (
            bytes.get(HEADER - 2..HEADER),
            packet.first().map(|first| first >> 4),
        ) {
            (Some([0x08, 0x00]), Some(4)) | (Some([0x86, 0xdd]), Some(6)) if !joined => packet,
            _ => &[],
        }
    }
}

impl Link {
    /// Within a tokio runtime.
    pub fn new(device: Device) -> io::Result<Self> {
        let (descriptor, form) = match device {
            Device::Tun { descriptor, offload } if offload => (descriptor, Form::Described),
            Device::Tun { descriptor, .. } => (descriptor, Form::Plain { socket: false }),
            Device::Frames {
                descriptor,
                sandbox: [a, b, c, d, e, f],
                gateway: [g, h, i, j, k, l],
            } => (descriptor, Form::Frames([a, b, c, d, e, f, g, h, i, j, k, l])),
            Device::Packets(descriptor) => (descriptor, Form::Plain { socket: true }),
        };
        rustix::io::ioctl_fionbio(&descriptor, true)?;
        let backlog = match form {
            Form::Frames(_) => Some(enlarge(&descriptor)?),
            _ => None,
        };
        Ok(Self {
            descriptor: watch(descriptor)?,
            form,
            backlog,
            scratch: RefCell::new(vec![0; HEADER + LARGEST].into_boxed_slice()),
            dropped: Cell::new(0),
        })
    }

    /// Before the end of a sandbox: its kernel takes the device away with the namespace, by a worker. To close it costs
    /// whoever does it some ten milliseconds.
    pub fn leave(&self) {
        if matches!(self.form, Form::Described | Form::Plain { socket: false }) {
            // Otherwise closing it takes longer.
            let _ = crate::tun::let_it_stay(self.descriptor.get_ref());
        }
    }

    /// What one connection may have under way from the sandbox, so that the device loses nothing of it.
    pub fn most_under_way(&self) -> usize {
        self.backlog.map_or(usize::MAX, |backlog| backlog / 8 * 5)
    }

    /// What the stack may leave undone. Packets come from the kernel of this machine, so nothing is verified: a
    /// process that writes packets by hand can at most confuse its own connections.
    pub fn checksums(&self) -> ChecksumCapabilities {
        let mut checksums = ChecksumCapabilities::ignored();
        checksums.ipv4 = Checksum::Tx;
        checksums.icmpv4 = Checksum::Tx;
        checksums.icmpv6 = Checksum::Tx;
        if matches!(self.form, Form::Plain { .. }) {
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

    /// The next packet, if there is one now. An empty one is what was no packet.
    pub fn read<'a>(&self, buffer: &'a mut [u8]) -> io::Result<&'a [u8]> {
        match rustix::io::read(self.descriptor.get_ref(), &mut *buffer) {
            Ok(0) if matches!(self.form, Form::Plain { socket: true }) => {
                Err(io::ErrorKind::UnexpectedEof.into())
            }
            Ok(length) => Ok(self.form.unwrap(&buffer[..length])),
            // A frame that the kernel cannot describe; it is gone.
            Err(rustix::io::Errno::INVAL) if matches!(self.form, Form::Frames(_)) => Ok(&[]),
            Err(error) => Err(error.into()),
        }
    }

    /// Lets `fill` write a packet of `length` bytes and sends it.
    pub fn send<R>(&self, length: usize, fill: impl FnOnce(&mut [u8]) -> R) -> R {
        let mut scratch = self.scratch.borrow_mut();
        let end = HEADER + length.min(LARGEST);
        let result = fill(&mut scratch[HEADER..end]);
        let start = HEADER - self.form.before();
        let (before, packet) = scratch[..end].split_at_mut(HEADER);
        match self.form {
            Form::Plain { .. } => {}
            Form::Described => describe(&mut before[ETHERNET..], packet, 0),
            Form::Frames(addresses) => {
                describe(&mut before[..DESCRIPTION], packet, ETHERNET as u16);
                before[DESCRIPTION..HEADER - 2].copy_from_slice(&addresses);
                let six = packet.first().is_some_and(|first| first >> 4 == 6);
                before[HEADER - 2..].copy_from_slice(if six { &[0x86, 0xdd] } else { &[0x08, 0x00] });
            }
        }
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

/// The header before a packet, and the checksum that it promises. `before`: bytes between both.
fn describe(header: &mut [u8], packet: &mut [u8], before: u16) {
    header.fill(0);
    let Some((start, offset)) = packet::partial_checksum(packet) else {
        return;
    };
    header[0] = NEEDS_CHECKSUM;
    header[6..8].copy_from_slice(&(before + start).to_ne_bytes());
    header[8..10].copy_from_slice(&offset.to_ne_bytes());
}

/// Gives the socket as much room as this user may, and says how much. The limit of everybody (`rmem_max`) is mostly
/// what four packets of the largest size fill.
fn enlarge(socket: &OwnedFd) -> io::Result<usize> {
    use rustix::net::sockopt;
    if sockopt::set_socket_recv_buffer_size_force(socket, BACKLOG).is_err() {
        sockopt::set_socket_recv_buffer_size(socket, BACKLOG)?;
    }
    Ok(sockopt::socket_recv_buffer_size(socket)?)
}

/// Readiness of a descriptor that nobody else closes.
pub(crate) fn watch(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` is open until it is dropped, and what is watched owns it.
    unsafe { AsyncFd::register(descriptor) }.map_err(io::Error::from)
}
