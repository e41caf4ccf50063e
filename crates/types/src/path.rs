//! Paths inside a sandbox.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::ParseError;

/// An absolute path inside a sandbox: normalised, without `.`, `..`, doubled slashes or NUL.
///
/// It says nothing of the symbolic links that the sandbox may have put on the way: whoever opens it
/// does so beneath the sandbox's root.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct GuestPath(String);

impl GuestPath {
    pub const MAX_LENGTH: usize = 4095;

    pub fn root() -> Self {
        Self("/".to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn is_root(&self) -> bool {
        self.0 == "/"
    }

    /// The path without its leading slash, for `openat` beneath the root. `.` for the root itself.
    pub fn relative(&self) -> &str {
        if self.is_root() { "." } else { &self.0[1..] }
    }

    pub fn file_name(&self) -> Option<&str> {
        self.0.rsplit('/').next().filter(|name| !name.is_empty())
    }

    pub fn parent(&self) -> Option<Self> {
        if self.is_root() {
            return None;
        }
        let cut = self.0.rfind('/').unwrap_or(0);
        Some(Self(if cut == 0 {
            "/".to_owned()
        } else {
            self.0[..cut].to_owned()
        }))
    }

    /// Appends `relative`, refusing one that climbs out (`..`).
    pub fn join(&self, relative: &str) -> Result<Self, ParseError> {
        format!("{}/{relative}", self.0).parse()
    }

    pub fn starts_with(&self, base: &Self) -> bool {
        base.is_root()
            || self.0 == base.0
            || (self.0.starts_with(&base.0) && self.0.as_bytes().get(base.0.len()) == Some(&b'/'))
    }
}

impl FromStr for GuestPath {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let wrong = |why: &str| {
            Err(ParseError::new(format!(
                "invalid path {text:?} in the sandbox: {why}"
            )))
        };
        if !text.starts_with('/') {
            return wrong("it must be absolute");
        }
        if text.contains('\0') {
            return wrong("it has a NUL character");
        }
        let mut path = String::with_capacity(text.len());
        for part in text.split('/').filter(|part| !part.is_empty() && *part != ".") {
            if part == ".." {
                return wrong("'..' is not allowed");
            }
            if part.len() > 255 {
                return wrong("a part of it is longer than 255 bytes");
            }
            path.push('/');
            path.push_str(part);
        }
        if path.len() > Self::MAX_LENGTH {
            return wrong("it is longer than 4095 bytes");
        }
        if path.is_empty() {
            path.push('/');
        }
        Ok(Self(path))
    }
}

impl fmt::Display for GuestPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for GuestPath {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        text.parse()
    }
}

impl From<GuestPath> for String {
    fn from(path: GuestPath) -> Self {
        path.0
    }
}
