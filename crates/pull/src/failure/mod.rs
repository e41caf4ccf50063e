//! Why a pull did not work, and whether to try again.

mod transport;

use std::{fmt, time::Duration};

use agentkernel_backend::Error;
use agentkernel_types::ErrorKind;

pub(crate) use transport::{from_io, from_request, resolve_failed, timed_out};

/// The key of an error's context under which the reason stands: `dns`, `refused`, `timeout`, `tls`, `auth`,
/// `not_found`, `rate_limit`, `digest`, `platform`, `protocol` or `storage`.
pub const REASON: &str = "reason";

/// Whether the registry could not be reached at all: what a machine without a network sees.
pub fn is_unreachable(error: &Error) -> bool {
    error
        .context()
        .iter()
        .any(|(key, value)| *key == REASON && matches!(value.as_str(), "dns" | "refused" | "timeout"))
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Reason {
    Dns,
    /// Nobody listens, or there is no way to the host.
    Refused,
    Timeout,
    Tls,
    Auth,
    NotFound,
    RateLimit,
    Digest,
    Platform,
    Protocol,
    Storage,
}

impl Reason {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Refused => "refused",
            Self::Timeout => "timeout",
            Self::Tls => "tls",
            Self::Auth => "auth",
            Self::NotFound => "not_found",
            Self::RateLimit => "rate_limit",
            Self::Digest => "digest",
            Self::Platform => "platform",
            Self::Protocol => "protocol",
            Self::Storage => "storage",
        }
    }

    const fn kind(self) -> ErrorKind {
        match self {
            Self::Dns | Self::Refused | Self::Timeout | Self::Tls => ErrorKind::Unavailable,
            Self::Auth => ErrorKind::Denied,
            Self::NotFound => ErrorKind::NotFound,
            Self::RateLimit | Self::Storage => ErrorKind::Exhausted,
            Self::Platform => ErrorKind::Unsupported,
            Self::Digest | Self::Protocol => ErrorKind::Broken,
        }
    }
}

/// Whether the same request may work in a moment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Again {
    Never,
    /// Only if the registry has answered before: without that it is an offline machine, which should know it fast.
    IfReached,
    Soon,
    /// The registry says when.
    After(Duration),
}

#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) reason: Reason,
    pub(crate) again: Again,
    /// Boxed, so that a `Result` of it stays small.
    error: Box<Error>,
}

pub(crate) type Outcome<T> = Result<T, Failure>;

impl Failure {
    pub(crate) fn new(reason: Reason, message: impl Into<String>) -> Self {
        let error = Error::new(reason.kind(), "pull", message).with(REASON, reason.as_str());
        Self {
            reason,
            again: Again::Never,
            error: Box::new(error),
        }
    }

    /// A failure of the store or of a parser, which has its own words.
    pub(crate) fn from_error(reason: Reason, mut error: Error) -> Self {
        if reason == Reason::Protocol && error.hint_text().is_none() {
            error = error.hint(
                "this may be no registry, or a proxy may answer in its place: check the name and the network",
            );
        }
        Self {
            reason,
            again: Again::Never,
            error: Box::new(error.with(REASON, reason.as_str())),
        }
    }

    pub(crate) fn again(mut self, again: Again) -> Self {
        self.again = again;
        self
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        self.map(|error| error.hint(hint))
    }

    /// Of a chain of causes only the first one counts: the layers of a client between it and us say nothing to people.
    pub(crate) fn because(self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        let source = source.into();
        let mut root: &dyn std::error::Error = &*source;
        while let Some(deeper) = root.source() {
            root = deeper;
        }
        let said = printable(&root.to_string());
        self.map(|error| error.because(said))
    }

    fn map(mut self, change: impl FnOnce(Error) -> Error) -> Self {
        self.error = Box::new(change(*self.error));
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        *failure.error
    }
}

/// Text of a stranger for one line of ours: no control characters, not long.
pub(crate) fn printable(text: &str) -> String {
    const LONGEST: usize = 200;
    let clean = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    clean.take(LONGEST).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_an_offline_machine_sees_is_unreachable() {
        let unreachable = [Reason::Dns, Reason::Refused, Reason::Timeout];
        let others = [
            Reason::Tls,
            Reason::Auth,
            Reason::NotFound,
            Reason::RateLimit,
            Reason::Digest,
        ];
        for reason in unreachable {
            assert!(is_unreachable(&Failure::new(reason, "x").into()), "{reason:?}");
        }
        for reason in others {
            assert!(!is_unreachable(&Failure::new(reason, "x").into()), "{reason:?}");
        }
    }

    #[test]
    fn a_strangers_text_has_no_control_characters_and_an_end() {
        assert_eq!(printable("a\x1b[2Jb\nc"), "a [2Jb c");
        assert_eq!(printable(&"x".repeat(5000)).len(), 200);
    }
}
