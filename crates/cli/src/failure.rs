//! Why a command line ended without success, and the one place that makes an exit code of it.

use std::io;

use agentkernel_control::Error;
use agentkernel_types::{ErrorKind, ParseError};

use crate::args::EnvFileError;

/// The exit code of the command that ran, or why there is none.
pub type Outcome = Result<u8, Failure>;

#[derive(Debug)]
pub enum Failure {
    Error(Error),
    /// The settings are wrong: the text is complete, of several lines, and safe to print.
    Settings {
        kind: ErrorKind,
        text: String,
        hint: Option<String>,
    },
    /// The command line is wrong, or help was asked for: both are clap's to say.
    Usage(clap::Error),
    /// Whoever read our output has gone.
    OutputClosed,
}

/// A command killed by SIGPIPE, as a shell shows it: what a pipeline expects of its members.
pub const OUTPUT_CLOSED: u8 = 141;
/// For a wrong call, too, as docker has it: clap's own 2 would look like the command's.
const OURS: u8 = 125;

impl Failure {
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Error(error) => error.kind().exit_code(),
            Self::Settings { kind, .. } => kind.exit_code(),
            Self::Usage(error) if error.use_stderr() => OURS,
            Self::Usage(_) => 0,
            Self::OutputClosed => OUTPUT_CLOSED,
        }
    }

    /// A failure of our own output.
    pub fn output(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::OutputClosed,
            // A terminal that has hung up answers with EIO.
            _ if error.raw_os_error() == Some(libc::EIO) => Self::OutputClosed,
            _ => Self::io("write", "cannot write the output", error),
        }
    }

    pub fn io(operation: &'static str, message: impl Into<String>, error: io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::NotFound => ErrorKind::NotFound,
            io::ErrorKind::PermissionDenied => ErrorKind::Denied,
            io::ErrorKind::AlreadyExists => ErrorKind::AlreadyExists,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::Exhausted,
            _ => ErrorKind::Broken,
        };
        Self::Error(Error::new(kind, operation, message).because(error))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<ParseError> for Failure {
    fn from(error: ParseError) -> Self {
        Self::Error(error.into())
    }
}

impl From<EnvFileError> for Failure {
    fn from(error: EnvFileError) -> Self {
        Self::Error(Error::new(ErrorKind::InvalidSpec, "env", error.to_string()).with("field", "env"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_the_exit_code_that_docker_users_expect() {
        for (kind, code) in [
            (ErrorKind::TimedOut, 124),
            (ErrorKind::NotExecutable, 126),
            (ErrorKind::CommandNotFound, 127),
            (ErrorKind::NotFound, 125),
            (ErrorKind::InvalidSpec, 125),
            (ErrorKind::Unsupported, 125),
            (ErrorKind::Broken, 125),
        ] {
            assert_eq!(
                Failure::from(Error::new(kind, "test", "x")).exit_code(),
                code,
                "{kind:?}"
            );
        }
        assert_eq!(Failure::OutputClosed.exit_code(), 141);
    }

    #[test]
    fn a_closed_reader_and_a_hung_up_terminal_are_no_errors_of_ours() {
        for number in [libc::EPIPE, libc::EIO] {
            assert!(matches!(
                Failure::output(io::Error::from_raw_os_error(number)),
                Failure::OutputClosed
            ));
        }
        assert!(matches!(
            Failure::output(io::Error::from_raw_os_error(libc::ENOSPC)),
            Failure::Error(_)
        ));
    }

    #[test]
    fn a_wrong_call_is_ours_and_help_is_a_success() {
        for (words, code) in [
            (&["agentkernel", "run", "--bogus", "true"][..], 125),
            (&["agentkernel", "list", "--bogus"][..], 125),
            (&["agentkernel", "bogus"][..], 125),
            (&["agentkernel"][..], 125),
            (&["agentkernel", "run", "--help"][..], 0),
            (&["agentkernel", "--version"][..], 0),
        ] {
            let error = crate::command().try_get_matches_from(words).unwrap_err();
            assert_eq!(Failure::Usage(error).exit_code(), code, "{words:?}");
        }
    }
}
