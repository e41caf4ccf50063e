//! Who runs inside a sandbox.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::ParseError;

/// A user as `-u` takes it: `NAME`, `UID`, `UID:GID` or `NAME:GROUP`. Looked up inside the sandbox's image.
#[derive(Clone, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UserSpec {
    user: String,
    group: Option<String>,
}

impl UserSpec {
    pub fn user(&self) -> &str {
        &self.user
    }

    pub fn group(&self) -> Option<&str> {
        self.group.as_deref()
    }
}

impl FromStr for UserSpec {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let part = |name: &str| {
            let valid = name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
            // Linux takes ids up to 2^32 - 2; a container's own range here is 16 bits wide.
            let number_fits = !name.chars().all(|c| c.is_ascii_digit()) || name.parse::<u16>().is_ok();
            valid && number_fits && !name.is_empty() && name.len() <= 64 && !name.starts_with('-')
        };
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (text, None),
        };
        if part(user) && group.is_none_or(part) {
            return Ok(Self {
                user: user.to_owned(),
                group: group.map(str::to_owned),
            });
        }
        Err(ParseError::new(format!(
            "invalid user {text:?}: write a name or a number up to 65535, with an optional :GROUP"
        )))
    }
}

impl fmt::Display for UserSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.group {
            Some(group) => write!(f, "{}:{group}", self.user),
            None => f.write_str(&self.user),
        }
    }
}

impl TryFrom<String> for UserSpec {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        text.parse()
    }
}

impl From<UserSpec> for String {
    fn from(user: UserSpec) -> Self {
        user.to_string()
    }
}
