//! The one error of this crate: everything that is wrong with the settings, at once.

use std::fmt;

use agentkernel_types::ErrorKind;

use crate::problem::{Problem, render, visible};

/// `Display` is the complete text for people, of several lines with excerpts where files are wrong.
/// It has no leading `error:` and no final line feed. [`ConfigError::hint`] never repeats it.
#[derive(Clone, Debug)]
pub struct ConfigError(Box<Content>);

#[derive(Clone, Debug)]
struct Content {
    kind: ErrorKind,
    message: String,
    problems: Vec<Problem>,
    hint: Option<String>,
}

impl ConfigError {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Content {
            kind,
            message: message.into(),
            problems: Vec::new(),
            hint: None,
        }))
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidSpec, message)
    }

    /// Of problems that lie in files. The first one's kind is the kind of all.
    pub(crate) fn of(problems: Vec<Problem>) -> Self {
        let kind = problems.first().map_or(ErrorKind::Broken, |problem| problem.kind);
        Self(Box::new(Content {
            kind,
            message: String::new(),
            problems,
            hint: None,
        }))
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The way out, where the text does not say it already.
    pub fn hint(&self) -> Option<String> {
        self.0.hint.as_deref().map(visible)
    }

    /// The text with terminal colours.
    pub fn coloured(&self) -> String {
        if self.0.problems.is_empty() {
            visible(&self.0.message)
        } else {
            render(&self.0.problems, true)
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.problems.is_empty() {
            return f.write_str(&visible(&self.0.message));
        }
        f.write_str(&render(&self.0.problems, false))
    }
}

impl std::error::Error for ConfigError {}
