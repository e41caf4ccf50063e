//! Addresses that are not the public internet, as data.
//!
//! Sources: the IANA registries for special-purpose addresses of IPv4
//! (<https://www.iana.org/assignments/iana-ipv4-special-registry>) and IPv6
//! (<https://www.iana.org/assignments/iana-ipv6-special-registry>), and for multicast RFC 5771 and RFC 4291.
//! Blocks that the registries call globally reachable are listed as public, so that they win over the larger
//! block around them: the most specific block decides.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What stands behind an address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Class {
    Public,
    /// A network of someone's own: a name that nobody can register publicly may lead there.
    Internal,
    /// Reserved, link-local, for documentation: only a rule for the address leads there.
    Special,
    /// The machine itself, or many at once: a connection that leaves the sandbox never goes there.
    Never,
}

pub(super) struct Range {
    address: IpAddr,
    pub prefix: u8,
    pub class: Class,
    pub what: &'static str,
}

const fn four(octets: [u8; 4], prefix: u8, class: Class, what: &'static str) -> Range {
    let [a, b, c, d] = octets;
    Range {
        address: IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
        prefix,
        class,
        what,
    }
}

/// The first four groups and the last: only one block needs more.
const fn six(groups: [u16; 5], prefix: u8, class: Class, what: &'static str) -> Range {
    let [a, b, c, d, h] = groups;
    Range {
        address: IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, h)),
        prefix,
        class,
        what,
    }
}

use Class::{Internal, Never, Public, Special};

pub(super) const RANGES: &[Range] = &[
    four([0, 0, 0, 0], 8, Never, "this network (RFC 791)"),
    four([10, 0, 0, 0], 8, Internal, "private use (RFC 1918)"),
    four(
        [100, 64, 0, 0],
        10,
        Internal,
        "shared address space of a carrier (RFC 6598)",
    ),
    four([127, 0, 0, 0], 8, Never, "loopback (RFC 1122)"),
    four([169, 254, 0, 0], 16, Special, "link-local (RFC 3927)"),
    four([172, 16, 0, 0], 12, Internal, "private use (RFC 1918)"),
    four([192, 0, 0, 0], 24, Special, "protocol assignments (RFC 6890)"),
    four(
        [192, 0, 0, 9],
        32,
        Public,
        "port control protocol anycast (RFC 7723)",
    ),
    four([192, 0, 0, 10], 32, Public, "TURN anycast (RFC 8155)"),
    four([192, 0, 2, 0], 24, Special, "documentation (RFC 5737)"),
    four(
        [192, 88, 99, 0],
        24,
        Special,
        "6to4 relays, deprecated (RFC 7526)",
    ),
    four([192, 168, 0, 0], 16, Internal, "private use (RFC 1918)"),
    four([198, 18, 0, 0], 15, Special, "benchmarks (RFC 2544)"),
    four([198, 51, 100, 0], 24, Special, "documentation (RFC 5737)"),
    four([203, 0, 113, 0], 24, Special, "documentation (RFC 5737)"),
    four([224, 0, 0, 0], 4, Never, "multicast (RFC 5771)"),
    four([240, 0, 0, 0], 4, Special, "reserved (RFC 1112)"),
    four([255, 255, 255, 255], 32, Never, "broadcast (RFC 919)"),
    // Only 2000::/3 is assigned as global unicast (RFC 4291, section 2.4 and its IANA registry).
    six(
        [0, 0, 0, 0, 0],
        0,
        Special,
        "not assigned as global unicast (RFC 4291)",
    ),
    six([0x2000, 0, 0, 0, 0], 3, Public, "global unicast (RFC 4291)"),
    six([0, 0, 0, 0, 0], 128, Never, "the unspecified address (RFC 4291)"),
    six([0, 0, 0, 0, 1], 128, Never, "loopback (RFC 4291)"),
    Range {
        address: IpAddr::V6(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0)),
        prefix: 96,
        class: Special,
        what: "IPv4 written as IPv6 (RFC 4291)",
    },
    six(
        [0x64, 0xff9b, 0, 0, 0],
        96,
        Public,
        "IPv4 through NAT64 (RFC 6052)",
    ),
    six(
        [0x64, 0xff9b, 1, 0, 0],
        48,
        Special,
        "IPv4 through a local NAT64 (RFC 8215)",
    ),
    six([0x100, 0, 0, 0, 0], 64, Special, "discard only (RFC 6666)"),
    six(
        [0x2001, 0, 0, 0, 0],
        23,
        Special,
        "protocol assignments (RFC 2928)",
    ),
    six([0x2001, 0, 0, 0, 0], 32, Special, "Teredo (RFC 4380)"),
    six(
        [0x2001, 1, 0, 0, 1],
        128,
        Public,
        "port control protocol anycast (RFC 7723)",
    ),
    six([0x2001, 1, 0, 0, 2], 128, Public, "TURN anycast (RFC 8155)"),
    six([0x2001, 3, 0, 0, 0], 32, Public, "AMT (RFC 7450)"),
    six([0x2001, 4, 0x112, 0, 0], 48, Public, "AS112 (RFC 7535)"),
    six([0x2001, 0x20, 0, 0, 0], 28, Public, "ORCHIDv2 (RFC 7343)"),
    six(
        [0x2001, 0x30, 0, 0, 0],
        28,
        Public,
        "drone remote identification (RFC 9374)",
    ),
    six([0x2001, 0xdb8, 0, 0, 0], 32, Special, "documentation (RFC 3849)"),
    six([0x2002, 0, 0, 0, 0], 16, Special, "6to4 (RFC 3056)"),
    six([0x3fff, 0, 0, 0, 0], 20, Special, "documentation (RFC 9637)"),
    six([0x5f00, 0, 0, 0, 0], 16, Special, "segment routing (RFC 9602)"),
    six([0xfc00, 0, 0, 0, 0], 7, Internal, "unique local (RFC 4193)"),
    six([0xfe80, 0, 0, 0, 0], 10, Special, "link-local (RFC 4291)"),
    six(
        [0xfec0, 0, 0, 0, 0],
        10,
        Special,
        "site-local, deprecated (RFC 3879)",
    ),
    six([0xff00, 0, 0, 0, 0], 8, Never, "multicast (RFC 4291)"),
];

impl Range {
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                let shift = 32 - u32::from(self.prefix);
                u32::from(base).checked_shr(shift) == u32::from(address).checked_shr(shift)
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                let shift = 128 - u32::from(self.prefix);
                u128::from(base).checked_shr(shift) == u128::from(address).checked_shr(shift)
            }
            _ => false,
        }
    }
}

impl std::fmt::Display for Range {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// The most specific block that has the address; `None` is the public IPv4 internet.
pub(super) fn range_of(address: IpAddr) -> Option<&'static Range> {
    let around = RANGES.iter().filter(|range| range.contains(address));
    around.max_by_key(|range| range.prefix)
}

/// Every IPv4 address that an IPv6 address can be a spelling of: each way in which a translator or a tunnel
/// between here and there could read it.
pub(super) fn embedded(address: IpAddr) -> Vec<Ipv4Addr> {
    let IpAddr::V6(six) = address else {
        return Vec::new();
    };
    let bits = u128::from(six);
    let low = Ipv4Addr::from(bits as u32);
    let groups = six.segments();
    let mut found = Vec::new();
    match groups {
        // IPv4-mapped (RFC 4291), IPv4-translated (RFC 2765), NAT64 (RFC 6052), IPv4-compatible (RFC 4291).
        [0, 0, 0, 0, 0, 0xffff, ..] | [0, 0, 0, 0, 0xffff, 0, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => {
            found.push(low)
        }
        [0, 0, 0, 0, 0, 0, ..] if bits > 1 => found.push(low),
        // RFC 8215 leaves the length of the prefix to the site: both ways to read it (RFC 6052, section 2.2).
        [0x64, 0xff9b, 1, ..] => {
            let around_octet_8 = Ipv4Addr::from(((bits >> 64) as u32) << 16 | ((bits >> 40) as u32 & 0xffff));
            // The reading that was not meant usually gives zeroes.
            let meant = [low, around_octet_8]
                .into_iter()
                .filter(|four| four.octets()[0] != 0);
            found.extend(meant);
            if found.is_empty() {
                found.push(low);
            }
        }
        [0x2002, ..] => found.push(Ipv4Addr::from((bits >> 80) as u32)),
        // The server, and the client with every bit inverted (RFC 4380, section 4).
        [0x2001, 0, ..] => found.extend([
            Ipv4Addr::from((bits >> 64) as u32),
            Ipv4Addr::from(!(bits as u32)),
        ]),
        _ => {}
    }
    // ISATAP (RFC 5214, section 6.1) works below any prefix.
    if matches!(groups, [_, _, _, _, 0 | 0x200, 0x5efe, ..]) {
        found.push(low);
    }
    found
}
