//! What is answered.

use agentkernel_backend::{DetachedStatus, Leftover, Probe, SandboxState};
use agentkernel_types::{Capabilities, Isolation, SandboxSpec};
use serde::Serialize;

/// A kept sandbox.
#[derive(Clone, Debug, Serialize)]
pub struct SandboxInfo {
    pub spec: SandboxSpec,
    pub backend: String,
    pub isolation: Isolation,
    pub state: SandboxState,
    /// Seconds since 1970.
    pub created_at: u64,
    pub agent: Option<String>,
    /// Filled by `inspect` only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub detached: Vec<DetachedStatus>,
}

/// One decision of the planning and its reason.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Choice {
    /// `runtime`, `image`, `backend`, `network`, ...
    pub what: &'static str,
    pub value: String,
    pub why: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    pub choices: Vec<Choice>,
    pub spec: SandboxSpec,
    pub backend: String,
    pub isolation: Isolation,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct GcReport {
    pub dry_run: bool,
    /// Removed, or to be removed in a dry run.
    pub removed: Vec<Leftover>,
    /// What could not be removed, and why.
    pub failed: Vec<(Leftover, String)>,
}

#[derive(Clone, Debug, Serialize)]
pub struct BackendReport {
    pub name: &'static str,
    pub summary: &'static str,
    pub isolation: Isolation,
    pub usable: bool,
    pub reason: String,
    pub remedy: Option<String>,
    pub capabilities: Option<Capabilities>,
}

impl BackendReport {
    pub fn new(name: &'static str, summary: &'static str, isolation: Isolation, probe: Probe) -> Self {
        let Probe {
            usable,
            reason,
            remedy,
            capabilities,
        } = probe;
        Self {
            name,
            summary,
            isolation,
            usable,
            reason,
            remedy,
            capabilities,
        }
    }
}

#[derive(Clone, Debug, Serialize)]
pub struct Doctor {
    pub backends: Vec<BackendReport>,
    /// Things about the host or the installation that are worth a word.
    pub findings: Vec<String>,
}
