//! How a command ended.

use serde::{Deserialize, Serialize};

/// The end of a command, exactly as the kernel told it, with the reason where we know one.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
pub struct Exit {
    pub status: ExitStatus,
    /// Why, if it was not the command's own doing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<ExitCause>,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitStatus {
    /// It ended by itself with this code, 0 to 255.
    Code(u8),
    /// It was ended by this signal, 1 to 64.
    Signal(u8),
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitCause {
    /// `--timeout` has passed.
    TimedOut,
    /// The memory limit of the sandbox was reached and the kernel chose a victim.
    OutOfMemory,
    /// The sandbox was stopped or has died while the command ran.
    SandboxStopped,
    /// Whoever asked for the command went away.
    Cancelled,
}

impl Exit {
    pub const SUCCESS: Self = Self::code(0);

    pub const fn code(code: u8) -> Self {
        Self {
            status: ExitStatus::Code(code),
            cause: None,
        }
    }

    pub const fn signal(signal: u8) -> Self {
        Self {
            status: ExitStatus::Signal(signal),
            cause: None,
        }
    }

    pub const fn with_cause(self, cause: ExitCause) -> Self {
        Self {
            status: self.status,
            cause: Some(cause),
        }
    }

    /// The exit code for a shell: the command's own, 128+n for a signal, 124 for a timeout.
    pub const fn exit_code(self) -> u8 {
        match (self.cause, self.status) {
            (Some(ExitCause::TimedOut), _) => 124,
            (_, ExitStatus::Code(code)) => code,
            (_, ExitStatus::Signal(signal)) => 128 + (signal & 0x7f),
        }
    }

    pub const fn is_success(self) -> bool {
        matches!(self.status, ExitStatus::Code(0)) && self.cause.is_none()
    }
}
