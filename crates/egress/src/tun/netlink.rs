//! Messages to the kernel about interfaces, built where memory may be taken, sent where it may not.

use std::{
    net::Ipv6Addr,
    os::fd::{AsRawFd, OwnedFd},
};

use rustix::io::Errno;

use super::system;

/// Room for the longest message here.
const ROOM: usize = 256;
/// `struct nlmsghdr` and `struct ifinfomsg`.
const HEADER: usize = 16;
const INTERFACE: usize = 16;
/// `struct ifaddrmsg`, and where in a message the interface's number stands.
const ADDRESSING: usize = 8;
const INTERFACE_NUMBER: usize = HEADER + 4;

/// Attributes of `linux/if_link.h`.
/// And `IFA_ADDRESS`.
const ADDRESS: u16 = 1;
const NAME: u16 = 3;
const MTU: u16 = 4;
const LINK: u16 = 18;
const KINDS: u16 = 26;
const SENDING_QUEUES: u16 = 31;
const RECEIVING_QUEUES: u16 = 32;
const SEGMENTS: u16 = 40;
const LINK_KIND: u16 = 1;
const LINK_DATA: u16 = 2;
const PEER: u16 = 1;
const GENERATED_ADDRESSES: u16 = 8;
/// `IFLA_INET_CONF` and, of `linux/ip.h`, `IPV4_DEVCONF_ROUTE_LOCALNET`.
const SETTINGS: u16 = 1;
const ROUTE_LOOPBACK: u16 = 26;
/// `IN6_ADDR_GEN_MODE_NONE`.
const NONE: u8 = 1;

/// One end of the pair.
pub(super) struct End {
    pub name: &'static [u8],
    pub address: [u8; 6],
}

/// One message, complete.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message {
    bytes: [u8; ROOM],
    length: usize,
}

impl Message {
    /// Makes both ends of a pair in this namespace.
    ///
    /// One queue is enough for one process behind it. One segment at a time: the kernel then never hands out several
    /// datagrams as a large one (`UDP_SEGMENT`), which nobody behind the device would take apart again. Segments of
    /// TCP are as large as the MTU anyway.
    pub fn pair(ours: &End, theirs: &End, mtu: u16) -> Self {
        let mut message = Self::new(libc::RTM_NEWLINK, libc::NLM_F_CREATE | libc::NLM_F_EXCL);
        message.end(ours, mtu);
        message.nested(LINK, |message| {
            message.attribute(LINK_KIND, b"veth");
            message.nested(LINK_DATA, |message| {
                message.nested(PEER, |message| {
                    message.append(&[0; INTERFACE]);
                    message.end(theirs, mtu);
                });
            });
        });
        message.finish()
    }

    /// No address that the kernel invents: nobody is there to be found by it, and nobody asks for routers.
    pub fn no_invented_address(end: &End) -> Self {
        let mut message = Self::new(libc::RTM_SETLINK, 0);
        message.attribute(NAME, end.name);
        message.nested(KINDS, |message| {
            message.nested(libc::AF_INET6 as u16, |message| {
                message.attribute(GENERATED_ADDRESSES, &[NONE]);
            });
        });
        message.finish()
    }

    /// Lets connections through the interface reach what listens on 127.0.0.1 (`route_localnet`). By message rather
    /// than by file: `/proc/sys` cannot be written to in containers.
    pub fn reach_loopback(end: &End) -> Self {
        let mut message = Self::new(libc::RTM_SETLINK, 0);
        message.attribute(NAME, end.name);
        message.nested(KINDS, |message| {
            message.nested(libc::AF_INET as u16, |message| {
                message.nested(SETTINGS, |message| {
                    message.attribute(ROUTE_LOOPBACK, &1u32.to_ne_bytes());
                });
            });
        });
        message.finish()
    }

    /// Gives an interface, which [`Self::of`] will name, an address that is in use at once.
    ///
    /// Others are not looked for: there are none. But even where nothing is looked for, a worker of the kernel has to
    /// come by before the address is used, unless it was told; until then connections leave from no address or a wrong
    /// one.
    pub fn address_v6(address: Ipv6Addr, prefix: u8) -> Self {
        let mut message = Self::with_header(libc::RTM_NEWADDR, libc::NLM_F_CREATE, ADDRESSING);
        message.bytes[HEADER] = libc::AF_INET6 as u8;
        message.bytes[HEADER + 1] = prefix;
        message.bytes[HEADER + 2] = libc::IFA_F_NODAD as u8;
        message.attribute(ADDRESS, &address.octets());
        message.finish()
    }

    /// For the interface with this number.
    pub fn of(&self, interface: i32) -> Self {
        let mut message = *self;
        message.bytes[INTERFACE_NUMBER..INTERFACE_NUMBER + 4].copy_from_slice(&interface.to_ne_bytes());
        message
    }

    fn new(kind: u16, flags: i32) -> Self {
        Self::with_header(kind, flags, INTERFACE)
    }

    fn with_header(kind: u16, flags: i32, header: usize) -> Self {
        let mut message = Self {
            bytes: [0; ROOM],
            length: HEADER + header,
        };
        let flags = flags | libc::NLM_F_REQUEST | libc::NLM_F_ACK;
        message.bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        message.bytes[6..8].copy_from_slice(&(flags as u16).to_ne_bytes());
        message
    }

    fn end(&mut self, end: &End, mtu: u16) {
        self.attribute(NAME, end.name);
        self.attribute(ADDRESS, &end.address);
        self.attribute(MTU, &u32::from(mtu).to_ne_bytes());
        self.attribute(SENDING_QUEUES, &1u32.to_ne_bytes());
        self.attribute(RECEIVING_QUEUES, &1u32.to_ne_bytes());
        self.attribute(SEGMENTS, &1u32.to_ne_bytes());
    }

    fn attribute(&mut self, kind: u16, content: &[u8]) {
        self.nested(kind, |message| message.append(content));
    }

    fn nested(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) {
        let start = self.length;
        self.append(&[0; 4]);
        fill(self);
        let length = (self.length - start) as u16;
        self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self.bytes[start + 2..start + 4].copy_from_slice(&kind.to_ne_bytes());
        self.length = self.length.next_multiple_of(4);
    }

    fn append(&mut self, content: &[u8]) {
        self.bytes[self.length..self.length + content.len()].copy_from_slice(content);
        self.length += content.len();
    }

    fn finish(mut self) -> Self {
        self.bytes[..4].copy_from_slice(&(self.length as u32).to_ne_bytes());
        self
    }
}

pub(super) fn socket() -> Result<OwnedFd, Errno> {
    system::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC)
}

/// Sends the message and waits for the kernel's word, which has been written when the first call returns.
pub(super) fn tell(socket: &OwnedFd, message: &Message) -> Result<(), Errno> {
    let descriptor = socket.as_raw_fd();
    // SAFETY: reads `length` bytes, which is never above the room they are in.
    let sent = unsafe { libc::send(descriptor, message.bytes.as_ptr().cast(), message.length, 0) };
    system::check(sent as i32)?;
    let mut answer = [0u8; 2 * ROOM];
    // SAFETY: writes at most the length of the buffer into it.
    let heard = unsafe { libc::recv(descriptor, answer.as_mut_ptr().cast(), answer.len(), 0) };
    system::check(heard as i32)?;
    // Behind the header: zero or the negative number of an error.
    let [.., a, b, c, d] = *answer.first_chunk::<{ HEADER + 4 }>().unwrap_or(&[0; HEADER + 4]);
    match i32::from_ne_bytes([a, b, c, d]) {
        0 => Ok(()),
        error => Err(Errno::from_raw_os_error(error.saturating_neg())),
    }
}
