//! What is wrong with a value: all of it, or parts of it with places of their own.

use std::ops::Range;

use agentkernel_types::ParseError;

#[derive(Debug)]
pub(crate) struct Wrong(pub Vec<Fault>);

#[derive(Debug)]
pub(crate) struct Fault {
    pub error: ParseError,
    /// None: the value as a whole.
    pub span: Option<Range<usize>>,
    /// The way out, where the error does not say it.
    pub help: Option<String>,
}

impl From<ParseError> for Fault {
    fn from(error: ParseError) -> Self {
        Self {
            error,
            span: None,
            help: None,
        }
    }
}

impl From<ParseError> for Wrong {
    fn from(error: ParseError) -> Self {
        Self(vec![error.into()])
    }
}
