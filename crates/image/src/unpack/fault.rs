//! Why an archive is refused, before the name of the entry is known.

use std::{fmt::Write as _, io};

use agentkernel_types::ErrorKind;
use rustix::io::Errno;

use crate::Error;

/// Names are shown up to here: they come from strangers.
const SHOWN: usize = 200;

#[derive(Debug)]
pub(super) enum Fault {
    Rule {
        kind: ErrorKind,
        /// Ends the sentence that the name of the entry begins.
        rule: String,
        cause: Option<io::Error>,
    },
    /// The caller's reader failed with an error of the contract: it says more than we could.
    Reader(Error),
}

impl Fault {
    /// An attack, or what looks like one.
    pub(super) fn denied(rule: impl Into<String>) -> Self {
        Self::rule(ErrorKind::Denied, rule)
    }

    /// A limit.
    pub(super) fn exhausted(rule: impl Into<String>) -> Self {
        Self::rule(ErrorKind::Exhausted, rule)
    }

    pub(super) fn malformed(rule: impl Into<String>) -> Self {
        Self::rule(ErrorKind::InvalidSpec, rule)
    }

    /// The machine failed: `what` was being done.
    pub(super) fn broken(what: &str, cause: impl Into<io::Error>) -> Self {
        let cause = cause.into();
        let full = [Errno::NOSPC, Errno::DQUOT].contains(&errno(&cause));
        Self::Rule {
            kind: if full {
                ErrorKind::Exhausted
            } else {
                ErrorKind::Broken
            },
            rule: format!("cannot {what}: {cause}"),
            cause: Some(cause),
        }
    }

    fn rule(kind: ErrorKind, rule: impl Into<String>) -> Self {
        Self::Rule {
            kind,
            rule: rule.into(),
            cause: None,
        }
    }

    pub(super) fn because(self, error: io::Error) -> Self {
        match self {
            Self::Rule { kind, rule, .. } => Self::Rule {
                kind,
                rule,
                cause: Some(error),
            },
            reader => reader,
        }
    }

    /// The error of the contract. `entry`: the one that was being read, if any.
    pub(super) fn into_error(self, operation: &'static str, entry: Option<&[u8]>) -> Error {
        match self {
            Self::Reader(error) => error,
            Self::Rule { kind, rule, cause } => {
                let message = match entry {
                    Some(name) => format!("layer entry {}: {rule}", printable(name)),
                    None => format!("layer: {rule}"),
                };
                let error = Error::new(kind, operation, message);
                match cause {
                    Some(cause) => error.because(cause),
                    None => error,
                }
            }
        }
    }
}

fn errno(error: &io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

/// In quotes, on one line, without control characters, and not longer than a line or two.
pub(super) fn printable(name: &[u8]) -> String {
    let mut text = String::from("\"");
    for chunk in name.utf8_chunks() {
        for character in chunk.valid().chars() {
            // Beyond ASCII, `escape_debug` alone keeps letters and hides what could turn or hide text.
            let _ = write!(text, "{}", character.escape_debug());
        }
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02x}");
        }
        if text.len() > SHOWN {
            break;
        }
    }
    if text.len() > SHOWN {
        let end = (0..=SHOWN)
            .rev()
            .find(|&at| text.is_char_boundary(at))
            .unwrap_or(0);
        text.truncate(end);
        text.push_str("...");
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_shown_on_one_short_line() {
        assert_eq!(printable(b"etc/pass wd"), "\"etc/pass wd\"");
        assert_eq!(printable("gr\u{fc}n".as_bytes()), "\"gr\u{fc}n\"");
        assert_eq!(printable(b"a\nb\x1b\xff\""), "\"a\\nb\\u{1b}\\xff\\\"\"");
        assert!(printable(&[b'x'; 100_000]).len() < SHOWN + 10);
        assert!(printable("\u{fc}".repeat(1000).as_bytes()).len() < SHOWN + 10);
    }
}
