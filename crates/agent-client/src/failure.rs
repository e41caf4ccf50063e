//! From the words of the protocol to those of the contract.

use std::sync::Arc;

use agentkernel_backend::Error;
use agentkernel_protocol::FailureKind;
use agentkernel_types::ErrorKind;

/// Why a connection is over: the same answer for everyone who still waits.
#[derive(Clone, Debug)]
pub struct Lost {
    kind: ErrorKind,
    reason: Arc<str>,
}

impl Lost {
    /// The sandbox has ended, or is ending.
    pub fn closed() -> Self {
        Self {
            kind: ErrorKind::Conflict,
            reason: "the sandbox has ended".into(),
        }
    }

    /// The stream itself failed.
    pub fn broken(reason: impl Into<Arc<str>>) -> Self {
        Self {
            kind: ErrorKind::Broken,
            reason: reason.into(),
        }
    }

    /// The agent breaks the protocol.
    pub fn misbehaved(what: &str) -> Self {
        Self::broken(format!("the agent in the sandbox breaks the protocol: {what}"))
    }

    pub fn to_error(&self, operation: &'static str) -> Error {
        Error::new(self.kind, operation, &*self.reason)
    }
}

/// The longest message of an agent that is shown.
const LONGEST: usize = 2048;

/// A refusal of the agent. Its text comes from the sandbox: it is cut and loses its control characters.
pub fn refused(kind: FailureKind, message: &str, operation: &'static str) -> Error {
    let kind = match kind {
        FailureKind::NotFound => ErrorKind::NotFound,
        FailureKind::AlreadyExists => ErrorKind::AlreadyExists,
        FailureKind::Invalid => ErrorKind::InvalidSpec,
        FailureKind::Denied => ErrorKind::Denied,
        FailureKind::Exhausted => ErrorKind::Exhausted,
        FailureKind::Unsupported => ErrorKind::Unsupported,
        FailureKind::CommandNotFound => ErrorKind::CommandNotFound,
        FailureKind::NotExecutable => ErrorKind::NotExecutable,
        FailureKind::Cancelled => ErrorKind::Conflict,
        FailureKind::Broken => ErrorKind::Broken,
    };
    Error::new(kind, operation, harmless(message))
}

pub fn harmless(message: &str) -> String {
    let end = message.floor_char_boundary(LONGEST);
    message[..end]
        .chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}
