//! Blocks of addresses.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
    str::FromStr,
};

use serde::{Deserialize, Serialize};

use super::written_as_text;
use crate::ParseError;

/// A block of addresses: `10.0.0.0/8`, or a single one: `192.0.2.1`. IPv6 stands in brackets: `[2001:db8::]/32`.
///
/// No bit is set beyond the prefix, and an IPv4 address is never written as an IPv6 one.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IpNetwork {
    address: IpAddr,
    prefix: u8,
}

written_as_text!(IpNetwork, "^([0-9.]+|\\[[0-9A-Fa-f:.]+\\])(/[0-9]{1,3})?$");

impl IpNetwork {
    /// The block of `prefix` bits that has the address in it. `None` if the prefix is too long.
    pub fn containing(address: IpAddr, prefix: u8) -> Option<Self> {
        if prefix > width(address) {
            return None;
        }
        let address = match address {
            IpAddr::V4(four) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
                IpAddr::V4((u32::from(four) & mask).into())
            }
            IpAddr::V6(six) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
                IpAddr::V6((u128::from(six) & mask).into())
            }
        };
        Some(Self { address, prefix })
    }

    /// The lowest address of the block.
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    pub const fn prefix(&self) -> u8 {
        self.prefix
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        Self::containing(address, self.prefix) == Some(*self)
    }

    /// Whether the two blocks have an address in common: one of them is in the other.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.contains(other.address) || other.contains(self.address)
    }
}

impl From<IpAddr> for IpNetwork {
    fn from(address: IpAddr) -> Self {
        let prefix = width(address);
        Self { address, prefix }
    }
}

const fn width(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

impl FromStr for IpNetwork {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let wrong = |why: &str| ParseError::new(format!("invalid address {text:?}: {why}"));
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let bracketed = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let address = match bracketed {
            Some(six) => IpAddr::V6(six.parse().map_err(|_| wrong(FORMS))?),
            // In brackets only, so that a port can never be read as the end of an address.
            None if address.parse::<Ipv6Addr>().is_ok() => {
                return Err(wrong("an IPv6 address stands in brackets, as in [2001:db8::1]"));
            }
            None => IpAddr::V4(address.parse().map_err(|_| wrong(FORMS))?),
        };
        if let IpAddr::V6(six) = address
            && let Some(four) = six.to_ipv4_mapped()
        {
            return Err(wrong(&format!("it is an IPv4 address; write it as {four}")));
        }
        let prefix = match prefix {
            None => width(address),
            Some(digits) => digits
                .parse()
                .ok()
                .filter(|&prefix| prefix <= width(address) && digits == prefix_text(prefix))
                .ok_or_else(|| wrong("the number behind '/' is 0 to 32, for IPv6 0 to 128"))?,
        };
        let block = Self::containing(address, prefix).ok_or_else(|| wrong(FORMS))?;
        if block.address != address {
            return Err(wrong(&format!("bits are set beyond the prefix; write {block}")));
        }
        Ok(block)
    }
}

const FORMS: &str = "write it as in 192.0.2.1, 10.0.0.0/8, [2001:db8::1] or [2001:db8::]/32";

/// The one spelling of a prefix: no sign and no leading zero.
fn prefix_text(prefix: u8) -> String {
    prefix.to_string()
}

impl fmt::Display for IpNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            IpAddr::V4(four) => write!(f, "{four}")?,
            IpAddr::V6(six) => write!(f, "[{six}]")?,
        }
        if self.prefix == width(self.address) {
            return Ok(());
        }
        write!(f, "/{}", self.prefix)
    }
}
