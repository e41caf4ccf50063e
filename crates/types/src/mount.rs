//! Folders and files of the host inside a sandbox.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{GuestPath, ParseError};

/// One file or folder of the host, seen inside the sandbox.
#[derive(Clone, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
pub struct Mount {
    /// On the host. Absolute once a request has been planned; it may be relative as the user wrote it.
    pub source: PathBuf,
    pub target: GuestPath,
    pub read_only: bool,
    /// Paths beneath the target that must not be visible (credential stores in a home folder).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub masked: Vec<GuestPath>,
}

impl Mount {
    pub fn new(source: impl Into<PathBuf>, target: GuestPath, read_only: bool) -> Self {
        Self {
            source: source.into(),
            target,
            read_only,
            masked: Vec::new(),
        }
    }

    /// Parses `SRC:DST`, `SRC:DST:ro` or `SRC:DST:rw`.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let wrong = |why: &str| {
            ParseError::new(format!(
                "invalid mount {text:?}: {why}; write SRC:DST or SRC:DST:ro"
            ))
        };
        let (pair, read_only) = match text.rsplit_once(':') {
            Some((pair, "ro")) => (pair, true),
            Some((pair, "rw")) => (pair, false),
            _ => (text, false),
        };
        let (source, target) = pair.rsplit_once(':').ok_or_else(|| wrong("it has no ':'"))?;
        if source.is_empty() {
            return Err(wrong("the source is empty"));
        }
        let target: GuestPath = target.parse().map_err(|error: ParseError| wrong(&error.0))?;
        if target.is_root() {
            return Err(wrong("the root of the sandbox cannot be replaced"));
        }
        Ok(Self::new(source, target, read_only))
    }
}
