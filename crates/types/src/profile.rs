//! The three security profiles, as documented.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{NetworkMode, ParseError};

/// A named set of grants. Whatever the profile, every sandbox has no capability, no_new_privs,
/// seccomp, namespaces of its own and limits.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    Permissive,
    #[default]
    Moderate,
    Restrictive,
}

/// What a profile grants beyond a bare sandbox.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct ProfileGrants {
    pub network: NetworkMode,
    /// The current folder, writable, at the same path.
    pub mount_cwd: bool,
    /// The home folder, read-only, without credential stores.
    pub mount_home: bool,
    /// The caller's environment, without credentials.
    pub pass_env: bool,
    /// A root that is read-only, with a private /tmp.
    pub read_only: bool,
}

impl Profile {
    pub const ALL: [Self; 3] = [Self::Permissive, Self::Moderate, Self::Restrictive];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Permissive => "permissive",
            Self::Moderate => "moderate",
            Self::Restrictive => "restrictive",
        }
    }

    pub const fn grants(self) -> ProfileGrants {
        match self {
            Self::Permissive => ProfileGrants {
                network: NetworkMode::Open,
                mount_cwd: true,
                mount_home: true,
                pass_env: true,
                read_only: false,
            },
            Self::Moderate => ProfileGrants {
                network: NetworkMode::Public,
                mount_cwd: false,
                mount_home: false,
                pass_env: false,
                read_only: false,
            },
            Self::Restrictive => ProfileGrants {
                network: NetworkMode::None,
                mount_cwd: false,
                mount_home: false,
                pass_env: false,
                read_only: true,
            },
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Profile {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::ALL
            .into_iter()
            .find(|profile| profile.as_str() == text)
            .ok_or_else(|| {
                ParseError::new(format!(
                    "unknown profile {text:?}: use permissive, moderate or restrictive"
                ))
            })
    }
}
