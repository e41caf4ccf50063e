//! Content addresses.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::ParseError;

/// `sha256:` and 64 lower-case hexadecimal digits. An image's identity is the digest of its configuration.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(String);

impl Digest {
    const PREFIX: &'static str = "sha256:";

    /// From the 32 bytes of the hash.
    pub fn from_sha256(bytes: [u8; 32]) -> Self {
        use std::fmt::Write as _;
        let mut text = String::with_capacity(Self::PREFIX.len() + 64);
        text.push_str(Self::PREFIX);
        for byte in bytes {
            write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        }
        Self(text)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The digits alone: safe as a file name.
    pub fn hex(&self) -> &str {
        &self.0[Self::PREFIX.len()..]
    }

    /// The first 12 digits, for people.
    pub fn short(&self) -> &str {
        &self.hex()[..12]
    }
}

impl FromStr for Digest {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let digits = |hex: &str| hex.len() == 64 && hex.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'));
        if text.strip_prefix(Self::PREFIX).is_some_and(digits) {
            return Ok(Self(text.to_owned()));
        }
        Err(ParseError::new(format!(
            "invalid digest {text:?}: write sha256: and 64 hexadecimal digits"
        )))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Digest {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_read_back_as_it_is_written() {
        let digest = Digest::from_sha256([0xab; 32]);
        assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
        assert_eq!(digest.hex(), "ab".repeat(32));
        assert_eq!(digest.short(), "abababababab");
    }

    #[test]
    fn anything_else_is_refused() {
        let upper = format!("sha256:{}", "AB".repeat(32));
        let short = format!("sha256:{}", "a".repeat(63));
        let path = format!("sha256:{}/..", "a".repeat(61));
        for text in ["", "sha256:", "sha512:00", &upper, &short, &path, &"a".repeat(71)] {
            let error = text.parse::<Digest>().unwrap_err();
            assert!(error.to_string().contains(text), "{error}");
        }
    }
}
