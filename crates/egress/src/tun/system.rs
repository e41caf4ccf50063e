//! The system calls. On memory of the caller only.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use rustix::io::Errno;

use super::prepared::{Prepared, Request};

/// Requests of `linux/if_tun.h`.
const SET_INTERFACE: libc::Ioctl = 0x4004_54ca;
const SET_OFFLOAD: libc::Ioctl = 0x4004_54d0;
const SET_PERSIST: libc::Ioctl = 0x4004_54cb;
/// `TUN_F_CSUM`.
const CHECKSUMS: libc::c_ulong = 1;

/// Options of `linux/if_packet.h`: a `virtio_net_hdr` before each frame, as with `IFF_VNET_HDR`; only what comes
/// through the pair, not what leaves by it; and straight into it, since a queue is in use only after a worker of the
/// kernel has noticed that both ends are up.
const HEADERS: i32 = 15;
const IGNORE_OUTGOING: i32 = 23;
const BYPASS_QUEUE: i32 = 20;

/// What is set on an interface.
#[derive(Clone, Copy)]
pub(super) enum Call {
    Flags = 0x8914,
    Address = 0x8916,
    Netmask = 0x891c,
    Mtu = 0x8922,
}

const GET_INDEX: libc::Ioctl = 0x8933;
const ADD_ROUTE: libc::Ioctl = 0x890b;

fn errno() -> Errno {
    // SAFETY: the address of this thread's own variable.
    Errno::from_raw_os_error(unsafe { *libc::__errno_location() })
}

pub(super) fn check(result: i32) -> Result<(), Errno> {
    if result < 0 { Err(errno()) } else { Ok(()) }
}

/// For the settings of interfaces.
pub(super) fn control(family: i32) -> Result<OwnedFd, Errno> {
    socket(family, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC)
}

pub(super) fn socket(family: i32, kind: i32) -> Result<OwnedFd, Errno> {
    // SAFETY: no memory is involved.
    let descriptor = unsafe { libc::socket(family, kind, 0) };
    check(descriptor)?;
    // SAFETY: just made, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

pub(super) fn make(device: &OwnedFd, prepared: &Prepared) -> Result<(), Errno> {
    let mut request = prepared.make;
    // SAFETY: the kernel reads and writes one `ifreq`, which the structure has the size of.
    check(unsafe { libc::ioctl(device.as_raw_fd(), SET_INTERFACE, &raw mut request) })?;
    let offload = if prepared.offload { CHECKSUMS } else { 0 };
    // SAFETY: takes a number.
    check(unsafe { libc::ioctl(device.as_raw_fd(), SET_OFFLOAD, offload) })
}

/// From now on it ends with its namespace and not with its descriptor.
pub(crate) fn let_it_stay(device: &OwnedFd) -> Result<(), Errno> {
    // SAFETY: takes a number.
    check(unsafe { libc::ioctl(device.as_raw_fd(), SET_PERSIST, 1 as libc::c_ulong) })
}

pub(super) fn interface(socket: &OwnedFd, call: Call, request: &Request) -> Result<(), Errno> {
    let mut request = *request;
    // SAFETY: the kernel reads one `ifreq`, which the structure has the size of.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), call as libc::Ioctl, &raw mut request) })
}

/// The number of the interface.
pub(super) fn index(socket: &OwnedFd, named: &Request) -> Result<i32, Errno> {
    let mut request = *named;
    // SAFETY: the kernel reads and writes one `ifreq`, which the structure has the size of.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), GET_INDEX, &raw mut request) })?;
    let [a, b, c, d, ..] = request.value;
    Ok(i32::from_ne_bytes([a, b, c, d]))
}

/// A socket for the frames of one interface. It belongs to nothing, and hears nothing, before it is bound.
pub(super) fn packets(index: i32) -> Result<OwnedFd, Errno> {
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    let socket = socket(libc::AF_PACKET, kind)?;
    for option in [HEADERS, IGNORE_OUTGOING, BYPASS_QUEUE] {
        let (on, length) = (1i32, size_of::<i32>() as libc::socklen_t);
        // SAFETY: the kernel reads one number.
        check(unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_PACKET,
                option,
                (&raw const on).cast(),
                length,
            )
        })?;
    }
    // SAFETY: the structure is numbers, for all of which zero is a value.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as libc::sa_family_t;
    address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
    address.sll_ifindex = index;
    let length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: the kernel reads one `sockaddr_ll`.
    check(unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length) })?;
    Ok(socket)
}

/// The default route by the gateway.
pub(super) fn route_v4(socket: &OwnedFd, prepared: &Prepared) -> Result<(), Errno> {
    // SAFETY: the structure is numbers and a pointer, for all of which zero is a value.
    let mut route: libc::rtentry = unsafe { std::mem::zeroed() };
    route.rt_dst.sa_family = libc::AF_INET as libc::sa_family_t;
    route.rt_genmask.sa_family = libc::AF_INET as libc::sa_family_t;
    // SAFETY: `sockaddr` has the 16 bytes of a `sockaddr_in` and any bytes are a value of it.
    route.rt_gateway = unsafe { std::mem::transmute::<[u8; 16], libc::sockaddr>(prepared.v4_gateway) };
    route.rt_flags = libc::RTF_UP | libc::RTF_GATEWAY;
    // SAFETY: the kernel reads one `rtentry`; its device pointer is null.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), ADD_ROUTE, &raw mut route) })
}

/// `struct in6_rtmsg`, whose fields libc keeps to itself.
#[repr(C)]
struct RouteV6 {
    destination: [u8; 16],
    source: [u8; 16],
    gateway: [u8; 16],
    kind: u32,
    destination_length: u16,
    source_length: u16,
    metric: u32,
    info: libc::c_ulong,
    flags: u32,
    index: i32,
}

const _: () = assert!(size_of::<RouteV6>() == size_of::<libc::in6_rtmsg>());

pub(super) fn route_v6(socket: &OwnedFd, prepared: &Prepared, index: i32) -> Result<(), Errno> {
    let mut route = RouteV6 {
        destination: [0; 16],
        source: [0; 16],
        gateway: prepared.v6_gateway.octets(),
        kind: 0,
        destination_length: 0,
        source_length: 0,
        metric: 1,
        info: 0,
        flags: u32::from(libc::RTF_UP | libc::RTF_GATEWAY),
        index,
    };
    // SAFETY: the kernel reads one `in6_rtmsg`, which the structure has the layout of.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), ADD_ROUTE, &raw mut route) })
}
