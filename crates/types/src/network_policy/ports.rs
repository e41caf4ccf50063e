//! Ports and transport protocols.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::ParseError;

/// What carries the bytes. ICMP is echo only and has no ports.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    Tcp,
    Udp,
    Icmp,
}

/// Ports from `first` to `last`, both included; `first` is at least 1 and at most `last`.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PortRange {
    first: u16,
    last: u16,
}

/// A set of ports as `443`, `8000-8100` or `80,443`: ranges in order that neither touch nor overlap.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Ports(Vec<PortRange>);

impl Protocol {
    pub const ALL: [Self; 3] = [Self::Tcp, Self::Udp, Self::Icmp];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Icmp => "icmp",
        }
    }
}

impl PortRange {
    pub const fn first(self) -> u16 {
        self.first
    }

    pub const fn last(self) -> u16 {
        self.last
    }
}

impl Ports {
    /// A rule with more ranges than this is better written as several.
    pub const MOST_RANGES: usize = 64;

    pub fn ranges(&self) -> &[PortRange] {
        &self.0
    }

    pub fn contains(&self, port: u16) -> bool {
        self.0
            .iter()
            .any(|range| (range.first..=range.last).contains(&port))
    }

    /// The port, if it is a single one.
    pub fn single(&self) -> Option<u16> {
        match self.0[..] {
            [range] if range.first == range.last => Some(range.first),
            _ => None,
        }
    }
}

impl From<u16> for Ports {
    /// # Panics
    /// On port 0, which no rule can name.
    fn from(port: u16) -> Self {
        assert_ne!(port, 0, "port 0 names no service");
        Self(vec![PortRange {
            first: port,
            last: port,
        }])
    }
}

impl FromStr for Protocol {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let found = Self::ALL.into_iter().find(|protocol| protocol.as_str() == text);
        found.ok_or_else(|| ParseError::new(format!("unknown protocol {text:?}: use tcp, udp or icmp")))
    }
}

impl FromStr for Ports {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mut ranges = Vec::new();
        for part in text.split(',') {
            if ranges.len() == Self::MOST_RANGES {
                let most = Self::MOST_RANGES;
                return Err(ParseError::new(format!(
                    "too many ports in one rule: it may have {most} ranges; write several rules"
                )));
            }
            ranges.push(range(part)?);
        }
        Ok(Self(merged(ranges)))
    }
}

fn range(text: &str) -> Result<PortRange, ParseError> {
    let wrong = || {
        ParseError::new(format!(
            "invalid port {text:?}: write a number from 1 to 65535, a range as in 8000-8100, or several with commas"
        ))
    };
    // `u16::from_str` takes a leading '+', which is nobody's way to write a port.
    let number = |text: &str| {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
        digits
            .then(|| text.parse::<u16>().ok())
            .flatten()
            .ok_or_else(wrong)
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let range = PortRange {
        first: number(first)?,
        last: number(last)?,
    };
    if range.first > range.last {
        return Err(wrong());
    }
    Ok(range)
}

fn merged(mut ranges: Vec<PortRange>) -> Vec<PortRange> {
    ranges.sort_unstable();
    let mut merged: Vec<PortRange> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some(before) if range.first <= before.last.saturating_add(1) => {
                before.last = before.last.max(range.last);
            }
            _ => merged.push(range),
        }
    }
    merged
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, range) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            match range.first == range.last {
                true => write!(f, "{comma}{}", range.first)?,
                false => write!(f, "{comma}{}-{}", range.first, range.last)?,
            }
        }
        Ok(())
    }
}
