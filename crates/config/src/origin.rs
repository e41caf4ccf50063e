//! Where a value came from.

use std::{fmt, path::PathBuf};

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Origin {
    Default,
    /// The user's file; the line counts from 1.
    UserFile {
        path: PathBuf,
        line: usize,
    },
    ProjectFile {
        path: PathBuf,
        line: usize,
    },
    /// The variable's name.
    Environment(&'static str),
    /// The flag's name, with its dashes.
    Flag(&'static str),
    /// The profile in force grants or denies it; nobody named the key itself.
    Profile,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::UserFile { path, line } | Self::ProjectFile { path, line } => {
                write!(
                    f,
                    "{}:{line}",
                    crate::problem::visible(&path.display().to_string())
                )
            }
            Self::Environment(name) => f.write_str(name),
            Self::Flag(name) => f.write_str(name),
            Self::Profile => f.write_str("profile"),
        }
    }
}

/// A value and its origin.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Setting<T> {
    pub value: T,
    pub origin: Origin,
}

impl<T> Setting<T> {
    pub fn new(value: T, origin: Origin) -> Self {
        Self { value, origin }
    }
}
