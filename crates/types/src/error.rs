//! The kinds of failure that the whole product shares.

use serde::{Deserialize, Serialize};

/// What went wrong, for code. One table ([`ErrorKind::exit_code`] and its siblings) maps a kind to
/// the outside world, so that CLI, HTTP and MCP can never disagree.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The sandbox, image, file or process does not exist.
    NotFound,
    /// The name is taken.
    AlreadyExists,
    /// The request itself is wrong: a bad name, size, path or combination.
    InvalidSpec,
    /// The request is fine, but this backend or host cannot honour it. Never degraded silently.
    Unsupported,
    /// The backend cannot run here at all.
    Unavailable,
    /// A policy or the operating system forbids it.
    Denied,
    /// A limit of the host or of the sandbox is used up.
    Exhausted,
    /// The deadline has passed.
    TimedOut,
    /// The request is right, but not in the present state (removing a running sandbox, say).
    Conflict,
    /// The command itself cannot be executed (exists, but is not executable).
    NotExecutable,
    /// The command does not exist inside the sandbox.
    CommandNotFound,
    /// Something that should work did not: a defect or a broken host.
    Broken,
}

impl ErrorKind {
    /// The stable word of JSON output and of the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::AlreadyExists => "already_exists",
            Self::InvalidSpec => "invalid_spec",
            Self::Unsupported => "unsupported",
            Self::Unavailable => "unavailable",
            Self::Denied => "denied",
            Self::Exhausted => "exhausted",
            Self::TimedOut => "timed_out",
            Self::Conflict => "conflict",
            Self::NotExecutable => "not_executable",
            Self::CommandNotFound => "command_not_found",
            Self::Broken => "broken",
        }
    }

    /// The exit code of the CLI. As users of Docker know them: 125 is ours, 126 and 127 the command's.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::TimedOut => 124,
            Self::NotExecutable => 126,
            Self::CommandNotFound => 127,
            _ => 125,
        }
    }

    /// Whether the same request may succeed later without a change of the request.
    pub const fn is_retryable(self) -> bool {
        matches!(self, Self::Exhausted | Self::TimedOut | Self::Unavailable)
    }
}

/// A value that could not be parsed. The message names the value and what would be right.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct ParseError(pub String);

impl ParseError {
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}
