//! Packets that the gateway says by itself: resets, unreachables, datagrams, echo replies.

use std::net::{IpAddr, SocketAddr};

use smoltcp::{
    phy::ChecksumCapabilities,
    wire::{
        Icmpv4DstUnreachable, Icmpv4Packet, Icmpv4Repr, Icmpv6DstUnreachable, Icmpv6Packet, Icmpv6Repr,
        IpProtocol, IpRepr, Ipv4Packet, Ipv4Repr, Ipv6Packet, Ipv6Repr, TcpControl, TcpPacket, TcpRepr,
        TcpTimestampRepr, UdpPacket, UdpRepr,
    },
};

use crate::{link::Link, packet::Packet};

const HOPS: u8 = 64;

/// How a packet is refused by ICMP.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Unreachable {
    Host,
    Network,
    Port,
    /// "Administratively prohibited": the policy said no.
    Denied,
}

/// Answers a segment with a reset, as a host without a listener does. A reset is never answered.
pub(crate) fn reset(link: &Link, packet: &Packet<'_>, segment: &TcpPacket<&[u8]>) {
    if segment.rst() {
        return;
    }
    let (seq_number, ack_number) = if segment.ack() {
        (segment.ack_number(), None)
    } else {
        let acknowledged = segment.seq_number() + segment.segment_len();
        (smoltcp::wire::TcpSeqNumber(0), Some(acknowledged))
    };
    let answer = TcpRepr {
        src_port: segment.dst_port(),
        dst_port: segment.src_port(),
        control: TcpControl::Rst,
        seq_number,
        ack_number,
        window_len: 0,
        window_scale: None,
        max_seg_size: None,
        sack_permitted: false,
        sack_ranges: [None, None, None],
        timestamp: None::<TcpTimestampRepr>,
        payload: &[],
    };
    let checksums = link.checksums();
    send(
        link,
        packet.destination,
        packet.source,
        IpProtocol::Tcp,
        answer.buffer_len(),
        |payload, ip| {
            answer.emit(
                &mut TcpPacket::new_unchecked(payload),
                &ip.src_addr(),
                &ip.dst_addr(),
                &checksums,
            );
        },
    );
}

/// Sends a datagram of the given far end to the sandbox.
pub(crate) fn datagram(link: &Link, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
    let header = UdpRepr {
        src_port: from.port(),
        dst_port: to.port(),
    };
    let checksums = link.checksums();
    let length = header.header_len() + bytes.len();
    if length > usize::from(u16::MAX) - 40 {
        return;
    }
    send(
        link,
        from.ip(),
        to.ip(),
        IpProtocol::Udp,
        length,
        |payload, ip| {
            let mut packet = UdpPacket::new_unchecked(payload);
            let fill = |room: &mut [u8]| room.copy_from_slice(bytes);
            header.emit(
                &mut packet,
                &ip.src_addr(),
                &ip.dst_addr(),
                bytes.len(),
                fill,
                &checksums,
            );
        },
    );
}

/// Tells the sender of `packet` that it cannot be delivered.
pub(crate) fn unreachable(link: &Link, gateway: IpAddr, packet: &Packet<'_>, why: Unreachable) {
    // What RFC 1812 and RFC 4443 ask to be quoted fits into the smallest packet of either version.
    const QUOTED: usize = 528;
    let quoted = &packet.whole[..packet.whole.len().min(QUOTED)];
    let checksums = link.checksums();
    match (gateway, packet.destination, packet.source) {
        (IpAddr::V4(gateway), IpAddr::V4(_), IpAddr::V4(source)) => {
            let Ok(original) = Ipv4Packet::new_checked(packet.whole) else {
                return;
            };
            let Ok(header) = Ipv4Repr::parse(&original, &ChecksumCapabilities::ignored()) else {
                return;
            };
            let reason = match why {
                Unreachable::Host => Icmpv4DstUnreachable::HostUnreachable,
                Unreachable::Network => Icmpv4DstUnreachable::NetUnreachable,
                Unreachable::Port => Icmpv4DstUnreachable::PortUnreachable,
                Unreachable::Denied => Icmpv4DstUnreachable::CommProhibited,
            };
            let data = &quoted[header.buffer_len().min(quoted.len())..];
            let message = Icmpv4Repr::DstUnreachable { reason, header, data };
            icmp4(link, gateway.into(), source.into(), &message, &checksums);
        }
        (IpAddr::V6(gateway), IpAddr::V6(_), IpAddr::V6(source)) => {
            let Ok(original) = Ipv6Packet::new_checked(packet.whole) else {
                return;
            };
            let Ok(header) = Ipv6Repr::parse(&original) else {
                return;
            };
            let reason = match why {
                Unreachable::Host => Icmpv6DstUnreachable::AddrUnreachable,
                Unreachable::Network => Icmpv6DstUnreachable::NoRoute,
                Unreachable::Port => Icmpv6DstUnreachable::PortUnreachable,
                Unreachable::Denied => Icmpv6DstUnreachable::AdminProhibit,
            };
            let data = &quoted[header.buffer_len().min(quoted.len())..];
            let message = Icmpv6Repr::DstUnreachable { reason, header, data };
            icmp6(link, gateway.into(), source.into(), &message, &checksums);
        }
        _ => {}
    }
}

/// The answer to an echo request.
pub(crate) fn echo(link: &Link, from: IpAddr, to: IpAddr, ident: u16, sequence: u16, data: &[u8]) {
    let checksums = link.checksums();
    if from.is_ipv4() {
        let message = Icmpv4Repr::EchoReply {
            ident,
            seq_no: sequence,
            data,
        };
        icmp4(link, from, to, &message, &checksums);
    } else {
        let message = Icmpv6Repr::EchoReply {
            ident,
            seq_no: sequence,
            data,
        };
        icmp6(link, from, to, &message, &checksums);
    }
}

fn icmp4(link: &Link, from: IpAddr, to: IpAddr, message: &Icmpv4Repr<'_>, checksums: &ChecksumCapabilities) {
    send(
        link,
        from,
        to,
        IpProtocol::Icmp,
        message.buffer_len(),
        |payload, _| {
            message.emit(&mut Icmpv4Packet::new_unchecked(payload), checksums);
        },
    );
}

fn icmp6(link: &Link, from: IpAddr, to: IpAddr, message: &Icmpv6Repr<'_>, checksums: &ChecksumCapabilities) {
    let (IpAddr::V6(source), IpAddr::V6(destination)) = (from, to) else {
        return;
    };
    send(
        link,
        from,
        to,
        IpProtocol::Icmpv6,
        message.buffer_len(),
        |payload, _| {
            message.emit(
                &source,
                &destination,
                &mut Icmpv6Packet::new_unchecked(payload),
                checksums,
            );
        },
    );
}

fn send(
    link: &Link,
    from: IpAddr,
    to: IpAddr,
    protocol: IpProtocol,
    length: usize,
    fill: impl FnOnce(&mut [u8], &IpRepr),
) {
    if from.is_ipv4() != to.is_ipv4() {
        return;
    }
    let header = IpRepr::new(from.into(), to.into(), protocol, length, HOPS);
    let checksums = link.checksums();
    link.send(header.buffer_len(), |room| {
        let start = header.header_len();
        header.emit(&mut *room, &checksums);
        fill(&mut room[start..], &header);
    });
}
