//! Limits that a sandbox is asked to keep.

use serde::{Deserialize, Serialize};

use crate::{ByteSize, Cpus, TimeSpan};

/// Each limit that is set is enforced, or the request is refused by the limit's name.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Resources {
    pub cpus: Option<Cpus>,
    pub memory: Option<ByteSize>,
    /// Processes and threads together.
    pub pids: Option<u32>,
    /// What the sandbox may write outside its mounts.
    pub disk: Option<ByteSize>,
    /// From the start of the command; at the end of it the sandbox is killed.
    pub timeout: Option<TimeSpan>,
}
