//! What a sandbox can reach.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::ParseError;

/// The network of a sandbox. Names a fact, not a wish: `inspect` shows what is really there.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NetworkMode {
    /// A private network with loopback only.
    None,
    /// The host's network, shared: no policy is applied to it.
    Host,
}

impl NetworkMode {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Host => "host",
        }
    }
}

impl fmt::Display for NetworkMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for NetworkMode {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text {
            "none" => Ok(Self::None),
            "host" => Ok(Self::Host),
            other => Err(ParseError::new(format!(
                "unknown network mode {other:?}: use none or host"
            ))),
        }
    }
}
