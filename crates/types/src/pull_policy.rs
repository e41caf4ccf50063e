//! When a registry is asked for an image.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::ParseError;

#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PullPolicy {
    /// What is not here is refused.
    Never,
    /// If the image is not here.
    #[default]
    Missing,
    /// Each time; layers that are here are not fetched again.
    Always,
}

impl PullPolicy {
    pub const ALL: [Self; 3] = [Self::Always, Self::Missing, Self::Never];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Missing => "missing",
            Self::Always => "always",
        }
    }
}

impl fmt::Display for PullPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for PullPolicy {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let known = Self::ALL.into_iter().find(|policy| policy.as_str() == text);
        known.ok_or_else(|| {
            ParseError::new(format!(
                "unknown pull policy {text:?}: use always, missing or never"
            ))
        })
    }
}
