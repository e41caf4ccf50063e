//! Why a command line ended without success, and the one place that makes an exit code of it.

use std::{ffi::OsString, io};

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
    /// The command line is wrong, or help was asked for.
    Usage {
        error: clap::Error,
        code: u8,
    },
    /// Whoever read our output has gone.
    OutputClosed,
}

/// A command killed by SIGPIPE, as a shell shows it: what a pipeline expects of its members.
pub const OUTPUT_CLOSED: u8 = 141;
/// What clap's users know, for everything that does not stand in for another command.
const USAGE: u8 = 2;
/// For `run` and `exec`, as docker has it: 2 would look like the command's own.
const USAGE_OF_RUN: u8 = 125;

impl Failure {
    pub fn usage(error: clap::Error, arguments: &[OsString]) -> Self {
        let code = match () {
            () if !error.use_stderr() => 0,
            () if stands_in_for_a_command(arguments) => USAGE_OF_RUN,
            () => USAGE,
        };
        Self::Usage { error, code }
    }

    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Error(error) => error.kind().exit_code(),
            Self::Settings { kind, .. } => kind.exit_code(),
            Self::Usage { code, .. } => *code,
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

fn stands_in_for_a_command(arguments: &[OsString]) -> bool {
    let mut words = arguments.iter().skip(1).filter_map(|argument| argument.to_str());
    let verb = match words.next() {
        Some("sandbox" | "sb") => words.next(),
        verb => verb,
    };
    matches!(verb, Some("run" | "exec"))
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
    fn a_wrong_call_of_run_and_exec_ends_with_125_and_of_others_with_2() {
        for (words, code) in [
            (&["agentkernel", "run", "--bogus", "true"][..], 125),
            (&["agentkernel", "sb", "exec"][..], 125),
            (&["agentkernel", "sandbox", "run"][..], 125),
            (&["agentkernel", "list", "--bogus"][..], 2),
            (&["agentkernel", "bogus"][..], 2),
            (&["agentkernel", "run", "--help"][..], 0),
            (&["agentkernel", "--version"][..], 0),
        ] {
            let words: Vec<OsString> = words.iter().map(OsString::from).collect();
            let error = crate::command().try_get_matches_from(&words).unwrap_err();
            assert_eq!(Failure::usage(error, &words).exit_code(), code, "{words:?}");
        }
    }
}
