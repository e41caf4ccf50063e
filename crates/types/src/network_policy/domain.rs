//! Names of hosts.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

use super::written_as_text;
use crate::ParseError;

/// The name of a host in its one canonical spelling: ASCII, lower case, no trailing dot.
///
/// Labels have 1 to 63 of `a-z 0-9 - _` and neither begin nor end with `-`; the whole has at most 253
/// characters (RFC 1035, section 2.3.4; the underscore as RFC 2181, section 11 permits it). Names in other
/// scripts are written as A-labels (`xn--...`), so that two names that look alike are never equal.
///
/// A name whose last label is a number is an address in one of its spellings (`127.1`, `0x7f000001`,
/// `2130706433`), as <https://url.spec.whatwg.org/#ends-in-a-number-checker> defines it, and refused here.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DomainName(Arc<str>);

written_as_text!(
    DomainName,
    "^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?\\.?$"
);

impl DomainName {
    pub const MAX_LENGTH: usize = 253;
    pub const MAX_LABEL: usize = 63;

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// From the labels of a DNS message, without the root. A dot inside a label is refused, not a separator.
    pub fn from_labels<'a>(labels: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, ParseError> {
        let mut text = String::new();
        for label in labels {
            let plain = std::str::from_utf8(label)
                .ok()
                .filter(|label| !label.contains('.'));
            let label = plain.ok_or_else(|| refused(&label.escape_ascii().to_string(), CHARACTERS))?;
            // Bounded before memory is taken: the caller's message may be hostile.
            if text.len() + label.len() > Self::MAX_LENGTH {
                return Err(refused(&text, LENGTH));
            }
            if !text.is_empty() {
                text.push('.');
            }
            if label.is_empty() {
                return Err(refused(&text, EMPTY_LABEL));
            }
            text.push_str(label);
        }
        text.parse()
    }

    /// This name and every name above it, the longest first: `a.b.c`, `b.c`, `c`.
    pub fn suffixes(&self) -> impl Iterator<Item = &str> {
        let mut rest = Some(self.as_str());
        std::iter::from_fn(move || {
            let now = rest?;
            rest = now.split_once('.').map(|(_, above)| above);
            Some(now)
        })
    }

    /// Whether this name is the other one or below it.
    pub fn is_within(&self, zone: &Self) -> bool {
        let head = self.0.strip_suffix(&*zone.0);
        head.is_some_and(|head| head.is_empty() || head.ends_with('.'))
    }
}

const CHARACTERS: &str =
    "use letters, digits, '-', '_' and dots; a name in another script is written as its xn-- form";
const LENGTH: &str = "a name has at most 253 characters and 63 between two dots";
const EMPTY_LABEL: &str = "there is nothing between two dots or at an end";
const HYPHEN: &str = "no part may begin or end with '-'";
const ADDRESS: &str = "its last part is a number, so it is an address and not a name; \
    write the address in its usual form, as in 192.0.2.1 or [2001:db8::1]";

fn refused(text: &str, why: &str) -> ParseError {
    // What is wrong with a very long name is seen in its beginning.
    let shown: String = text.chars().take(300).collect();
    ParseError::new(format!("invalid host name {shown:?}: {why}"))
}

impl FromStr for DomainName {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let bare = text.strip_suffix('.').unwrap_or(text);
        if bare.is_empty() {
            return Err(refused(text, "it is empty"));
        }
        if bare.len() > Self::MAX_LENGTH {
            return Err(refused(text, LENGTH));
        }
        for label in bare.split('.') {
            check_label(label).map_err(|why| refused(text, why))?;
        }
        let last = bare.rsplit('.').next().unwrap_or(bare);
        if is_number(last) {
            return Err(refused(text, ADDRESS));
        }
        Ok(Self(bare.to_ascii_lowercase().into()))
    }
}

fn check_label(label: &str) -> Result<(), &'static str> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if label.is_empty() {
        return Err(EMPTY_LABEL);
    }
    if !label.bytes().all(allowed) {
        return Err(CHARACTERS);
    }
    if label.len() > DomainName::MAX_LABEL {
        return Err(LENGTH);
    }
    if label.starts_with('-') || label.ends_with('-') {
        return Err(HYPHEN);
    }
    Ok(())
}

/// Decimal, octal or hexadecimal, as `inet_aton` and browsers read the last part of an address.
fn is_number(label: &str) -> bool {
    let hexadecimal = label.strip_prefix("0x").or_else(|| label.strip_prefix("0X"));
    match hexadecimal {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => label.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
