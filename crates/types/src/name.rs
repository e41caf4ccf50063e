//! Names and identifiers.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::ParseError;

/// A name that a person gave to a sandbox: 1 to 63 of `a-z A-Z 0-9 _ . -`, the first a letter or digit.
///
/// It is used as a folder name, so `.` and `..` cannot be one.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SandboxName(String);

/// The identity of one sandbox: 12 lower-case hexadecimal digits, never used twice.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SandboxId(String);

/// The name of a backend, as `--backend` takes it: lower-case letters, digits and `-`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BackendName(String);

impl SandboxName {
    pub const MAX_LENGTH: usize = 63;
}

impl FromStr for SandboxName {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let first = text.chars().next().is_some_and(|c| c.is_ascii_alphanumeric());
        let rest = text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'));
        if first && rest && text.len() <= Self::MAX_LENGTH {
            return Ok(Self(text.to_owned()));
        }
        Err(ParseError::new(format!(
            "invalid sandbox name {text:?}: use 1 to 63 letters, digits, '_', '.' or '-', starting with a letter or digit"
        )))
    }
}

impl SandboxId {
    pub const LENGTH: usize = 12;

    /// Makes an identifier of 48 random bits.
    pub fn from_random(bits: u64) -> Self {
        Self(format!("{:012x}", bits & 0xffff_ffff_ffff))
    }
}

impl FromStr for SandboxId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let digits = text.chars().all(|c| c.is_ascii_digit() || matches!(c, 'a'..='f'));
        if digits && text.len() == Self::LENGTH {
            return Ok(Self(text.to_owned()));
        }
        Err(ParseError::new(format!(
            "invalid sandbox id {text:?}: an id has 12 hexadecimal digits"
        )))
    }
}

impl FromStr for BackendName {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let valid = text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        if valid && !text.is_empty() && text.len() <= 32 {
            return Ok(Self(text.to_owned()));
        }
        Err(ParseError::new(format!(
            "invalid backend name {text:?}: use lower-case letters, digits and '-'"
        )))
    }
}

macro_rules! string_newtype {
    ($($name:ident),*) => {$(
        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl TryFrom<String> for $name {
            type Error = ParseError;
            fn try_from(text: String) -> Result<Self, ParseError> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }
    )*};
}

string_newtype!(SandboxName, SandboxId, BackendName);
