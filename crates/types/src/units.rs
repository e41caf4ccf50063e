//! Sizes, processor shares and time spans as people write them.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

use crate::ParseError;

/// A number of bytes. Parsed from `512m`, `4g`, `1048576`, `64KiB`: units are binary.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ByteSize(u64);

impl ByteSize {
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    pub const fn from_mebibytes(mebibytes: u64) -> Self {
        Self(mebibytes.saturating_mul(1 << 20))
    }

    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for ByteSize {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let wrong = || {
            ParseError::new(format!(
                "invalid size {text:?}: write bytes or a number with k, m, g or t, as in 512m"
            ))
        };
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let number: u64 = text[..digits].parse().map_err(|_| wrong())?;
        let shift = match text[digits..].to_ascii_lowercase().as_str() {
            "" | "b" => 0,
            "k" | "kb" | "kib" => 10,
            "m" | "mb" | "mib" => 20,
            "g" | "gb" | "gib" => 30,
            "t" | "tb" | "tib" => 40,
            _ => return Err(wrong()),
        };
        let bytes = number
            .checked_mul(1 << shift)
            .filter(|&bytes| bytes > 0)
            .ok_or_else(wrong)?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (shift, unit) in [(40, "t"), (30, "g"), (20, "m"), (10, "k")] {
            if self.0 != 0 && self.0.is_multiple_of(1 << shift) {
                return write!(f, "{}{unit}", self.0 >> shift);
            }
        }
        write!(f, "{}", self.0)
    }
}

/// A share of processors in thousandths: `1.5` is one and a half processors. At least 0.01, at most 1024.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cpus(u32);

impl Cpus {
    pub const fn millis(self) -> u32 {
        self.0
    }

    pub fn from_millis(millis: u32) -> Result<Self, ParseError> {
        if (10..=1_024_000).contains(&millis) {
            return Ok(Self(millis));
        }
        Err(ParseError::new(format!(
            "invalid number of processors {}: use 0.01 to 1024",
            f64::from(millis) / 1e3
        )))
    }
}

impl FromStr for Cpus {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let wrong = || {
            ParseError::new(format!(
                "invalid number of processors {text:?}: use 0.01 to 1024, as in 1.5"
            ))
        };
        if !text.chars().all(|c| c.is_ascii_digit() || c == '.') {
            return Err(wrong());
        }
        let number: f64 = text.parse().map_err(|_| wrong())?;
        if !(0.01..=1024.0).contains(&number) {
            return Err(wrong());
        }
        // In range, so the product is at most 1,024,000.
        Self::from_millis((number * 1e3).round() as u32).map_err(|_| wrong())
    }
}

impl fmt::Display for Cpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", f64::from(self.0) / 1e3)
    }
}

/// A time span: `30s`, `5m`, `1h`, `250ms`, `2d`, or a plain number of seconds. Never zero.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeSpan(Duration);

impl TimeSpan {
    pub const fn duration(self) -> Duration {
        self.0
    }
}

impl FromStr for TimeSpan {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let wrong = || {
            ParseError::new(format!(
                "invalid time span {text:?}: write a number with ms, s, m, h or d, as in 30s"
            ))
        };
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let number: u64 = text[..digits].parse().map_err(|_| wrong())?;
        let factor = match &text[digits..] {
            "ms" => 1,
            "" | "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(wrong()),
        };
        // A year is longer than any run; the bound keeps deadlines representable.
        let millis = number
            .checked_mul(factor)
            .filter(|ms| (1..=31_536_000_000).contains(ms))
            .ok_or_else(wrong)?;
        Ok(Self(Duration::from_millis(millis)))
    }
}

impl fmt::Display for TimeSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        if millis.is_multiple_of(1000) {
            write!(f, "{}s", millis / 1000)
        } else {
            write!(f, "{millis}ms")
        }
    }
}

impl TryFrom<String> for TimeSpan {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        text.parse()
    }
}

impl From<TimeSpan> for String {
    fn from(span: TimeSpan) -> Self {
        span.to_string()
    }
}
