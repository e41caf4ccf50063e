//! What a sandbox's root is made of.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::ParseError;

/// The host's own toolchain, or an OCI image reference as Docker users write it.
#[derive(Clone, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ImageRef {
    /// `host`: the programs of this machine, read-only, under a private writable layer.
    Host,
    /// `[REGISTRY[:PORT]/]REPOSITORY[:TAG][@DIGEST]`, kept as written.
    Registry(String),
}

impl ImageRef {
    pub fn as_str(&self) -> &str {
        match self {
            Self::Host => "host",
            Self::Registry(reference) => reference,
        }
    }
}

impl FromStr for ImageRef {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if text == "host" {
            return Ok(Self::Host);
        }
        let allowed =
            |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | ':' | '@' | '+');
        let starts = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        let path = text
            .split('/')
            .all(|part| !part.is_empty() && part != "." && part != "..");
        if starts && path && text.len() <= 512 && text.chars().all(allowed) {
            return Ok(Self::Registry(text.to_owned()));
        }
        Err(ParseError::new(format!(
            "invalid image {text:?}: write 'host' or a reference such as python:3.12-alpine"
        )))
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl TryFrom<String> for ImageRef {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        text.parse()
    }
}

impl From<ImageRef> for String {
    fn from(image: ImageRef) -> Self {
        image.to_string()
    }
}
