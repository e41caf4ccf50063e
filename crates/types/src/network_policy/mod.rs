//! What a sandbox may reach, as a person writes it: a mode, and rules that allow and deny.
//!
//! Plain data and its grammar. What a rule means for a name, an address or a connection is judged by the
//! crate `policy`; nothing here decides, resolves or connects.

mod address;
mod domain;
mod ports;
mod rule;
mod temporary;
#[cfg(test)]
mod tests;

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::ParseError;

pub use address::IpNetwork;
pub use domain::DomainName;
pub use ports::{PortRange, Ports, Protocol};
pub use rule::{NetworkRule, PresetName, Target};
pub use temporary::{Effect, TemporaryRule, TimedPolicy};

/// How much of the network a sandbox has. The order is that of strictness: the first is the strictest.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum NetworkMode {
    /// Nothing at all.
    None,
    /// Only what a rule allows.
    Allowlist,
    /// Every public address that no rule denies; private ranges only where a rule allows them.
    Public,
    /// Everything that no rule denies, private ranges as well; cloud metadata only where a rule allows it.
    Open,
    /// The host's own network, shared: no policy is applied to it.
    Host,
}

/// The policy of one sandbox. A denial wins over every allowance.
///
/// Unknown keys are refused, so that a rule of a later version is never dropped in silence.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NetworkPolicy {
    pub mode: NetworkMode,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<NetworkRule>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deny: Vec<NetworkRule>,
}

impl NetworkPolicy {
    /// A mode without rules.
    pub const fn of(mode: NetworkMode) -> Self {
        Self {
            mode,
            allow: Vec::new(),
            deny: Vec::new(),
        }
    }
}

impl NetworkMode {
    pub const ALL: [Self; 5] = [Self::None, Self::Allowlist, Self::Public, Self::Open, Self::Host];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Allowlist => "allowlist",
            Self::Public => "public",
            Self::Open => "open",
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
        let found = Self::ALL.into_iter().find(|mode| mode.as_str() == text);
        found.ok_or_else(|| {
            ParseError::new(format!(
                "unknown network mode {text:?}: use none, allowlist, public, open or host"
            ))
        })
    }
}

/// Text in JSON, with a pattern that editors can check. The parser is stricter than the pattern.
macro_rules! written_as_text {
    ($name:ident, $pattern:expr) => {
        impl TryFrom<String> for $name {
            type Error = crate::ParseError;
            fn try_from(text: String) -> Result<Self, crate::ParseError> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }
        #[cfg(feature = "schema")]
        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "pattern": $pattern })
            }
        }
    };
}
use written_as_text;
