//! IP packets from the sandbox: read strictly, refused by kind. Everything here is pure.
//!
//! What this module does not let through reaches no other one: fragments, options that route, extension headers,
//! addresses that are nobody's.

use std::net::{IpAddr, SocketAddr};

use smoltcp::wire::{IpProtocol, Ipv4Packet, Ipv6Packet, TcpPacket, UdpPacket};

/// Why a packet was dropped without another word. The order is that of the counters in the statistics.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Dropped {
    /// Not an IP packet, cut short, or with lengths that disagree.
    Malformed,
    /// A part of a larger packet. The device takes packets of 64 KiB, so that an honest sender makes none.
    Fragment,
    /// An IPv4 option or an IPv6 extension header.
    Extension,
    /// Not from the sandbox's own address.
    Spoofed,
    /// To nobody in particular: multicast, broadcast, unspecified. Or to the sandbox itself: loopback.
    Undirected,
    /// Neither TCP, UDP nor an ICMP echo request.
    Protocol,
    /// More flows or questions at a time than are kept.
    Overload,
}

impl Dropped {
    pub const ALL: [Self; 7] = [
        Self::Malformed,
        Self::Fragment,
        Self::Extension,
        Self::Spoofed,
        Self::Undirected,
        Self::Protocol,
        Self::Overload,
    ];
}

/// A packet, with the part after its IP header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packet<'a> {
    pub whole: &'a [u8],
    pub source: IpAddr,
    pub destination: IpAddr,
    pub protocol: IpProtocol,
    pub payload: &'a [u8],
}

impl<'a> Packet<'a> {
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Dropped> {
        match bytes.first().map(|first| first >> 4) {
            Some(4) => Self::parse_v4(bytes),
            Some(6) => Self::parse_v6(bytes),
            _ => Err(Dropped::Malformed),
        }
    }

    fn parse_v4(bytes: &'a [u8]) -> Result<Self, Dropped> {
        let packet = Ipv4Packet::new_checked(bytes).map_err(|_| Dropped::Malformed)?;
        if packet.more_frags() || packet.frag_offset() != 0 {
            return Err(Dropped::Fragment);
        }
        if packet.header_len() != 20 {
            return Err(Dropped::Extension);
        }
        let destination = packet.dst_addr();
        if destination.is_multicast()
            || destination.is_broadcast()
            || destination.is_loopback()
            || destination.octets()[0] == 0
        {
            return Err(Dropped::Undirected);
        }
        Ok(Self {
            whole: &bytes[..usize::from(packet.total_len())],
            source: packet.src_addr().into(),
            destination: destination.into(),
            protocol: packet.next_header(),
            payload: packet.payload(),
        })
    }

    fn parse_v6(bytes: &'a [u8]) -> Result<Self, Dropped> {
        let packet = Ipv6Packet::new_checked(bytes).map_err(|_| Dropped::Malformed)?;
        match packet.next_header() {
            IpProtocol::Ipv6Frag => return Err(Dropped::Fragment),
            IpProtocol::HopByHop | IpProtocol::Ipv6Route | IpProtocol::Ipv6Opts => {
                return Err(Dropped::Extension);
            }
            _ => {}
        }
        let destination = packet.dst_addr();
        if destination.is_multicast() || destination.is_unspecified() || destination.is_loopback() {
            return Err(Dropped::Undirected);
        }
        Ok(Self {
            whole: &bytes[..packet.total_len()],
            source: packet.src_addr().into(),
            destination: destination.into(),
            protocol: packet.next_header(),
            payload: packet.payload(),
        })
    }

    /// Source and destination with the ports of TCP.
    pub fn tcp(&self) -> Result<(TcpPacket<&'a [u8]>, SocketAddr, SocketAddr), Dropped> {
        let segment = TcpPacket::new_checked(self.payload).map_err(|_| Dropped::Malformed)?;
        let (from, to) = self.ends(segment.src_port(), segment.dst_port())?;
        Ok((segment, from, to))
    }

    /// Source and destination with the ports of UDP, and the datagram's bytes.
    pub fn udp(&self) -> Result<(SocketAddr, SocketAddr, &'a [u8]), Dropped> {
        let datagram = UdpPacket::new_checked(self.payload).map_err(|_| Dropped::Malformed)?;
        let (from, to) = self.ends(datagram.src_port(), datagram.dst_port())?;
        Ok((from, to, datagram.payload()))
    }

    fn ends(&self, from: u16, to: u16) -> Result<(SocketAddr, SocketAddr), Dropped> {
        if from == 0 || to == 0 {
            return Err(Dropped::Malformed);
        }
        Ok((
            SocketAddr::new(self.source, from),
            SocketAddr::new(self.destination, to),
        ))
    }
}

/// For a packet whose TCP or UDP checksum is still to be computed: writes the sum of the pseudo header into it and
/// returns where the summed part starts and where in it the checksum is. None: the packet is complete as it is.
pub(crate) fn partial_checksum(packet: &mut [u8]) -> Option<(u16, u16)> {
    let (start, protocol, addresses) = match packet.first()? >> 4 {
        4 => {
            let view = Ipv4Packet::new_checked(&*packet).ok()?;
            (usize::from(view.header_len()), view.next_header(), 12..20)
        }
        _ => {
            let view = Ipv6Packet::new_checked(&*packet).ok()?;
            (view.header_len(), view.next_header(), 8..40)
        }
    };
    let offset = match protocol {
        IpProtocol::Tcp => 16,
        IpProtocol::Udp => 6,
        _ => return None,
    };
    let length = u32::try_from(packet.len() - start).ok()?;
    let words = packet.get(addresses)?.chunks_exact(2);
    let sum: u32 = words
        .map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])))
        .sum();
    let mut sum = sum + length + u32::from(u8::from(protocol));
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let place = packet.get_mut(start + offset..start + offset + 2)?;
    place.copy_from_slice(&(sum as u16).to_be_bytes());
    Some((u16::try_from(start).ok()?, u16::try_from(offset).ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use smoltcp::{
        phy::ChecksumCapabilities,
        wire::{IpRepr, UdpRepr},
    };

    use super::*;

    /// A datagram between two ends, with its checksum complete.
    fn datagram(from: SocketAddr, to: SocketAddr, bytes: &[u8]) -> Vec<u8> {
        let udp = UdpRepr {
            src_port: from.port(),
            dst_port: to.port(),
        };
        let length = udp.header_len() + bytes.len();
        let ip = IpRepr::new(from.ip().into(), to.ip().into(), IpProtocol::Udp, length, 64);
        let mut packet = vec![0; ip.buffer_len()];
        let checksums = ChecksumCapabilities::default();
        ip.emit(&mut packet[..], &checksums);
        let mut view = UdpPacket::new_unchecked(&mut packet[ip.header_len()..]);
        let fill = |room: &mut [u8]| room.copy_from_slice(bytes);
        udp.emit(
            &mut view,
            &ip.src_addr(),
            &ip.dst_addr(),
            bytes.len(),
            fill,
            &checksums,
        );
        packet
    }

    fn ends(text: [&str; 2]) -> (SocketAddr, SocketAddr) {
        (text[0].parse().unwrap(), text[1].parse().unwrap())
    }

    const FOUR: [&str; 2] = ["192.0.0.2:5000", "93.184.215.14:9"];
    const SIX: [&str; 2] = ["[fd61:6b65:726e::2]:5000", "[2606:2800:21f::14]:9"];

    #[test]
    fn a_datagram_is_read_with_its_ends_and_bytes() {
        for text in [FOUR, SIX] {
            let (from, to) = ends(text);
            let mut bytes = datagram(from, to, b"hello");
            // What comes behind the packet's own length is not part of it.
            bytes.extend_from_slice(b"more");
            let packet = Packet::parse(&bytes).unwrap();
            assert_eq!(packet.udp().unwrap(), (from, to, &b"hello"[..]));
            assert_eq!(packet.whole.len() + 4, bytes.len());
        }
    }

    #[test]
    fn what_is_no_plain_packet_is_refused_by_kind() {
        let (from, to) = ends(FOUR);
        let plain = datagram(from, to, b"hello");
        let changed = |place: usize, value: u8| {
            let mut bytes = plain.clone();
            bytes[place] = value;
            Packet::parse(&bytes).map(|_| ()).unwrap_err()
        };
        assert_eq!(changed(6, 0x20), Dropped::Fragment);
        assert_eq!(changed(7, 1), Dropped::Fragment);
        assert_eq!(changed(0, 0x46), Dropped::Extension);
        assert_eq!(changed(0, 0x55), Dropped::Malformed);
        assert_eq!(changed(3, 200), Dropped::Malformed);
        assert_eq!(changed(16, 224), Dropped::Undirected);
        assert_eq!(changed(16, 0), Dropped::Undirected);
        assert_eq!(changed(16, 127), Dropped::Undirected);
        let (from, to) = ends(SIX);
        let plain = datagram(from, to, b"hello");
        let changed = |place: usize, value: u8| {
            let mut bytes = plain.clone();
            bytes[place] = value;
            Packet::parse(&bytes).map(|_| ()).unwrap_err()
        };
        assert_eq!(changed(6, 44), Dropped::Fragment);
        for header in [0, 43, 60] {
            assert_eq!(changed(6, header), Dropped::Extension);
        }
        assert_eq!(changed(24, 0xff), Dropped::Undirected);
    }

    #[test]
    fn a_partial_checksum_becomes_the_whole_one_when_the_payload_is_added() {
        for text in [FOUR, SIX] {
            let (from, to) = ends(text);
            let whole = datagram(from, to, b"hello world");
            let mut partial = whole.clone();
            let (start, offset) = partial_checksum(&mut partial).unwrap();
            let start = usize::from(start);
            // As the kernel finishes it: the sum over everything from the start, the place of the checksum included.
            let words = partial[start..].chunks(2);
            let mut sum: u32 = words
                .map(|w| u32::from(u16::from_be_bytes([w[0], *w.get(1).unwrap_or(&0)])))
                .sum();
            while sum > 0xffff {
                sum = (sum & 0xffff) + (sum >> 16);
            }
            let place = start + usize::from(offset);
            assert_eq!((!(sum as u16)).to_be_bytes(), whole[place..place + 2]);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_are_read_beyond_their_end(bytes in proptest::collection::vec(any::<u8>(), 0..200), four: bool) {
            let mut bytes = bytes;
            if let Some(first) = bytes.first_mut() {
                *first = if four { 0x45 } else { 0x60 };
            }
            if let Ok(packet) = Packet::parse(&bytes) {
                prop_assert!(packet.whole.len() <= bytes.len());
                prop_assert!(packet.payload.len() < packet.whole.len());
                let _ = packet.tcp();
                let _ = packet.udp();
            }
            let _ = partial_checksum(&mut bytes);
        }
    }
}
