//! Sockets that reach the kernel's rarer parts.

use super::{
    attempt::{Outcome, Probe, Skipped, c, call, probe, refused_with},
    facts::Facts,
};

/// What a kernel without the family or protocol, or a wall, answers.
const NONE: &[i32] = &[
    libc::EAFNOSUPPORT,
    libc::EPROTONOSUPPORT,
    libc::ESOCKTNOSUPPORT,
    libc::EPERM,
    libc::EACCES,
    libc::ENOPROTOOPT,
];

const FAMILIES: [(&str, i32, i32, i32); 26] = [
    ("AF_ALG", libc::AF_ALG, libc::SOCK_SEQPACKET, 0),
    ("AF_VSOCK", libc::AF_VSOCK, libc::SOCK_STREAM, 0),
    ("AF_PACKET", libc::AF_PACKET, libc::SOCK_RAW, 0x300),
    ("AF_PACKET by its old name", libc::AF_INET, 10, 0x300),
    ("AF_XDP", libc::AF_XDP, libc::SOCK_RAW, 0),
    ("AF_CAN", libc::AF_CAN, libc::SOCK_RAW, 1),
    ("AF_BLUETOOTH", libc::AF_BLUETOOTH, libc::SOCK_RAW, 1),
    ("AF_TIPC", libc::AF_TIPC, libc::SOCK_STREAM, 0),
    ("AF_RDS", libc::AF_RDS, libc::SOCK_SEQPACKET, 0),
    ("AF_KEY", libc::AF_KEY, libc::SOCK_RAW, 2),
    ("AF_QIPCRTR", 42, libc::SOCK_DGRAM, 0),
    ("AF_SMC", 43, libc::SOCK_STREAM, 0),
    ("AF_AX25", libc::AF_AX25, libc::SOCK_SEQPACKET, 0),
    ("AF_APPLETALK", libc::AF_APPLETALK, libc::SOCK_DGRAM, 0),
    ("AF_NFC", libc::AF_NFC, libc::SOCK_SEQPACKET, 0),
    ("raw IPv4", libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP),
    ("raw IPv6", libc::AF_INET6, libc::SOCK_RAW, libc::IPPROTO_ICMPV6),
    ("SCTP", libc::AF_INET, libc::SOCK_STREAM, libc::IPPROTO_SCTP),
    ("DCCP", libc::AF_INET, libc::SOCK_DCCP, libc::IPPROTO_DCCP),
    (
        "netlink netfilter",
        libc::AF_NETLINK,
        libc::SOCK_RAW,
        libc::NETLINK_NETFILTER,
    ),
    (
        "netlink audit",
        libc::AF_NETLINK,
        libc::SOCK_RAW,
        libc::NETLINK_AUDIT,
    ),
    (
        "netlink uevents",
        libc::AF_NETLINK,
        libc::SOCK_RAW,
        libc::NETLINK_KOBJECT_UEVENT,
    ),
    (
        "netlink xfrm",
        libc::AF_NETLINK,
        libc::SOCK_RAW,
        libc::NETLINK_XFRM,
    ),
    (
        "netlink crypto",
        libc::AF_NETLINK,
        libc::SOCK_RAW,
        libc::NETLINK_CRYPTO,
    ),
    (
        "netlink generic",
        libc::AF_NETLINK,
        libc::SOCK_RAW,
        libc::NETLINK_GENERIC,
    ),
    (
        "netlink socket diagnosis",
        libc::AF_NETLINK,
        libc::SOCK_RAW,
        libc::NETLINK_SOCK_DIAG,
    ),
];

pub fn probes(_: &Facts) -> Vec<Probe> {
    let mut probes: Vec<Probe> = FAMILIES
        .iter()
        .map(|&(name, family, kind, protocol)| {
            probe("sockets", name, move || {
                refused_with(socket(family, kind, protocol), NONE)
            })
        })
        .collect();
    let high = 1u64 << 32;
    probes.extend([
        probe("sockets", "AF_VSOCK under a high word", move || {
            refused_with(
                call(libc::SYS_socket, &[high | libc::AF_VSOCK as u64, 1, 0]),
                NONE,
            )
        }),
        probe("sockets", "a pair of AF_TIPC", || {
            let mut pair = [0i32; 2];
            let pointer = pair.as_mut_ptr() as u64;
            refused_with(
                call(libc::SYS_socketpair, &[libc::AF_TIPC as u64, 1, 0, pointer]),
                NONE,
            )
        }),
        probe("sockets", "replace the packet filter", || {
            const REPLACE: u64 = 64; // IPT_SO_SET_REPLACE
            on_udp(libc::IPPROTO_IP as u64, REPLACE)
        }),
        probe("sockets", "mark packets", || {
            on_udp(libc::SOL_SOCKET as u64, libc::SO_MARK as u64)
        }),
        probe("sockets", "TLS in the kernel", || {
            let Ok(socket) = socket(libc::AF_INET, libc::SOCK_STREAM, 0) else {
                return Skipped("no sockets".to_owned());
            };
            let name = c("tls");
            let arguments = [
                socket as u64,
                libc::IPPROTO_TCP as u64,
                libc::TCP_ULP as u64,
                name.as_ptr() as u64,
                3,
            ];
            refused_with(call(libc::SYS_setsockopt, &arguments), NONE)
        }),
        probe("sockets", "take down an interface", || {
            const SET_FLAGS: u64 = 0x8914; // SIOCSIFFLAGS
            let Ok(socket) = socket(libc::AF_INET, libc::SOCK_DGRAM, 0) else {
                return Skipped("no sockets".to_owned());
            };
            // `lo` as it is: up, loopback, running.
            let mut request = [0u8; 40];
            request[..2].copy_from_slice(b"lo");
            request[16..18].copy_from_slice(&0x49u16.to_ne_bytes());
            refused_with(
                call(
                    libc::SYS_ioctl,
                    &[socket as u64, SET_FLAGS, request.as_ptr() as u64],
                ),
                NONE,
            )
        }),
    ]);
    probes
}

fn socket(family: i32, kind: i32, protocol: i32) -> Result<i64, i32> {
    call(libc::SYS_socket, &[family as u64, kind as u64, protocol as u64])
}

fn on_udp(level: u64, option: u64) -> Outcome {
    let Ok(socket) = socket(libc::AF_INET, libc::SOCK_DGRAM, 0) else {
        return Skipped("no sockets".to_owned());
    };
    let value = [0u8; 128];
    refused_with(
        call(
            libc::SYS_setsockopt,
            &[socket as u64, level, option, value.as_ptr() as u64, 128],
        ),
        NONE,
    )
}
