//! What is remembered of one kept sandbox, and its form on disk.

use std::path::Path;

use agentkernel_types::{SandboxName, SandboxSpec};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The generation of [`Record`] that this program writes. A newer one is refused, never rewritten.
pub const SCHEMA_VERSION: u32 = 1;

/// A field that this generation does not know is refused: rewriting the record would lose it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    pub schema_version: u32,
    pub spec: SandboxSpec,
    /// The name of the backend that made it: the only one that can open it.
    pub backend: String,
    /// What that backend needs to find it again; opaque here.
    pub handle: serde_json::Value,
    /// Seconds since 1970.
    pub created_at: u64,
    /// The agent that it is meant for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    pub phase: Phase,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Being made. If nobody holds its lock, its maker has died.
    Creating,
    Ready,
    /// Being removed. If nobody holds its lock, its remover has died.
    Removing,
}

impl Record {
    /// The longest record that is read or written, in bytes.
    pub const MAX_LENGTH: usize = 4 << 20;

    /// A record in phase `Creating`.
    pub fn new(spec: SandboxSpec, backend: impl Into<String>, created_at: u64) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            spec,
            backend: backend.into(),
            handle: serde_json::Value::Null,
            created_at,
            agent: None,
            phase: Phase::Creating,
        }
    }

    pub(crate) fn encode(&self, name: &SandboxName) -> Result<Vec<u8>> {
        // The lines are for people who have to repair one by hand.
        let bytes = serde_json::to_vec_pretty(self).map_err(|error| Error::Corrupt {
            name: name.clone(),
            path: "record.json".into(),
            why: error.to_string(),
        })?;
        if bytes.len() > Self::MAX_LENGTH {
            return Err(Error::TooLarge {
                name: name.clone(),
                size: bytes.len(),
                limit: Self::MAX_LENGTH,
            });
        }
        Ok(bytes)
    }

    pub(crate) fn decode(name: &SandboxName, path: &Path, bytes: &[u8]) -> Result<Self> {
        let corrupt = |why: String| Error::Corrupt {
            name: name.clone(),
            path: path.to_owned(),
            why,
        };
        let newer = |version: u64| Error::Newer {
            name: name.clone(),
            path: path.to_owned(),
            version,
        };
        let record: Self = match serde_json::from_slice(bytes) {
            Ok(record) => record,
            // A newer generation may not fit ours: then its version is the better explanation.
            Err(error) => {
                return Err(match serde_json::from_slice::<Generation>(bytes) {
                    Ok(found) if found.schema_version > u64::from(SCHEMA_VERSION) => {
                        newer(found.schema_version)
                    }
                    _ => corrupt(error.to_string()),
                });
            }
        };
        if record.schema_version > SCHEMA_VERSION {
            return Err(newer(record.schema_version.into()));
        }
        if record.schema_version == 0 {
            return Err(corrupt("schema version 0 has never existed".to_owned()));
        }
        match &record.spec.name {
            Some(own) if own == name => Ok(record),
            Some(other) => Err(corrupt(format!("it is the record of sandbox {other}"))),
            None => Err(corrupt("it does not say which sandbox it is of".to_owned())),
        }
    }
}

#[derive(Deserialize)]
struct Generation {
    schema_version: u64,
}
