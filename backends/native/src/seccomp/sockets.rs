//! Which sockets may be made: those that programs are made of. Every other family, and most protocols, would
//! load a rarely used part of the kernel.

use super::rule::{
    Arguments, Condition,
    Verdict::{Allow, Refuse},
    when,
};

const KIND_OF_SOCKET: u32 = 0xf;

const fn family(family: i32) -> Condition {
    Condition::equals(0, family as u32)
}

const fn kind(kind: i32) -> Condition {
    Condition::masked(1, KIND_OF_SOCKET, kind as u32)
}

const fn protocol(protocol: i32) -> Condition {
    Condition::equals(2, protocol as u32)
}

pub(super) static SOCKET: Arguments = Arguments {
    summary: "unix; IPv4 and IPv6 with TCP, UDP or ICMP echo; netlink route",
    clauses: &[
        when(&[family(libc::AF_UNIX)], Allow),
        when(
            &[family(libc::AF_INET), kind(libc::SOCK_STREAM), protocol(0)],
            Allow,
        ),
        when(
            &[
                family(libc::AF_INET),
                kind(libc::SOCK_STREAM),
                protocol(libc::IPPROTO_TCP),
            ],
            Allow,
        ),
        when(
            &[family(libc::AF_INET), kind(libc::SOCK_DGRAM), protocol(0)],
            Allow,
        ),
        when(
            &[
                family(libc::AF_INET),
                kind(libc::SOCK_DGRAM),
                protocol(libc::IPPROTO_UDP),
            ],
            Allow,
        ),
        when(
            &[
                family(libc::AF_INET),
                kind(libc::SOCK_DGRAM),
                protocol(libc::IPPROTO_ICMP),
            ],
            Allow,
        ),
        when(
            &[family(libc::AF_INET6), kind(libc::SOCK_STREAM), protocol(0)],
            Allow,
        ),
        when(
            &[
                family(libc::AF_INET6),
                kind(libc::SOCK_STREAM),
                protocol(libc::IPPROTO_TCP),
            ],
            Allow,
        ),
        when(
            &[family(libc::AF_INET6), kind(libc::SOCK_DGRAM), protocol(0)],
            Allow,
        ),
        when(
            &[
                family(libc::AF_INET6),
                kind(libc::SOCK_DGRAM),
                protocol(libc::IPPROTO_UDP),
            ],
            Allow,
        ),
        when(
            &[
                family(libc::AF_INET6),
                kind(libc::SOCK_DGRAM),
                protocol(libc::IPPROTO_ICMPV6),
            ],
            Allow,
        ),
        // The list of addresses and routes: `getifaddrs`.
        when(&[family(libc::AF_NETLINK), protocol(libc::NETLINK_ROUTE)], Allow),
        // What a kernel without the capability, and one without the protocol, answers.
        when(
            &[family(libc::AF_INET), kind(libc::SOCK_RAW)],
            Refuse(libc::EPERM),
        ),
        when(
            &[family(libc::AF_INET6), kind(libc::SOCK_RAW)],
            Refuse(libc::EPERM),
        ),
        when(&[family(libc::AF_INET)], Refuse(libc::EPROTONOSUPPORT)),
        when(&[family(libc::AF_INET6)], Refuse(libc::EPROTONOSUPPORT)),
        when(&[family(libc::AF_NETLINK)], Refuse(libc::EPROTONOSUPPORT)),
    ],
    otherwise: Refuse(libc::EAFNOSUPPORT),
};

pub(super) static SOCKETPAIR: Arguments = Arguments {
    summary: "unix",
    clauses: &[when(&[family(libc::AF_UNIX)], Allow)],
    otherwise: Refuse(libc::EAFNOSUPPORT),
};

pub(super) static SETSOCKOPT: Arguments = Arguments {
    summary: "all but TCP_ULP (TLS in the kernel)",
    clauses: &[when(
        &[
            Condition::equals(1, libc::IPPROTO_TCP as u32),
            Condition::equals(2, libc::TCP_ULP as u32),
        ],
        Refuse(libc::ENOPROTOOPT),
    )],
    otherwise: Allow,
};
