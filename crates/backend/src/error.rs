//! The one error of the contract.

use std::fmt;

use agentkernel_types::{ErrorKind, ParseError};

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure with a kind for code, a sentence for people and, where there is one, the way out.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    /// What was being done: `create`, `start`, `exec`, ...
    operation: &'static str,
    message: String,
    hint: Option<String>,
    context: Vec<(&'static str, String)>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    pub fn new(kind: ErrorKind, operation: &'static str, message: impl Into<String>) -> Self {
        Self {
            kind,
            operation,
            message: message.into(),
            hint: None,
            context: Vec::new(),
            source: None,
        }
    }

    /// A request that this backend cannot honour: `field` is its name in the specification.
    pub fn unsupported(operation: &'static str, field: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unsupported, operation, message).with("field", field)
    }

    /// The way out, in one sentence. Rendered once, as `hint: ...`.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub fn with(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.context.push((key, value.into()));
        self
    }

    /// Keeps the cause. Its text is not repeated in the message: it is shown through `source()`.
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    pub fn operation(&self) -> &'static str {
        self.operation
    }

    pub fn message(&self) -> &str {
        &self.message
    }

    pub fn hint_text(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    pub fn context(&self) -> &[(&'static str, String)] {
        &self.context
    }

    pub fn field(&self) -> Option<&str> {
        self.context
            .iter()
            .find(|(key, _)| *key == "field")
            .map(|(_, value)| value.as_str())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl From<ParseError> for Error {
    fn from(error: ParseError) -> Self {
        Self::new(ErrorKind::InvalidSpec, "parse", error.0)
    }
}
