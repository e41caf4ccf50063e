//! A refusal.

use agentkernel_types::ErrorKind;

/// `Display` says what and why; the way out is apart, to be shown once as a hint.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{what} is refused: {why}")]
pub struct Denied {
    /// `Denied`, or `InvalidSpec` where the request makes no sense whoever asks.
    pub kind: ErrorKind,
    /// The request: `mounting /etc at /x`.
    pub what: String,
    pub why: String,
    /// What to do instead, in one sentence.
    pub way_out: String,
}

impl Denied {
    pub(crate) fn new(what: impl Into<String>, why: impl Into<String>, way_out: impl Into<String>) -> Self {
        Self {
            kind: ErrorKind::Denied,
            what: what.into(),
            why: why.into(),
            way_out: way_out.into(),
        }
    }

    pub(crate) fn invalid(self) -> Self {
        Self {
            kind: ErrorKind::InvalidSpec,
            ..self
        }
    }
}
