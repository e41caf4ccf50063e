//! Errors of the parts below, as errors of the inner API: kind and hint are kept.

use agentkernel_backend::Error;
use agentkernel_policy::Denied;
use agentkernel_types::{ErrorKind, SandboxName};

pub(crate) fn from_store(error: agentkernel_store::Error) -> Error {
    let mut failure = Error::new(error.kind(), "store", error.to_string());
    if let Some(hint) = error.hint() {
        failure = failure.hint(hint);
    }
    match std::error::Error::source(&error) {
        Some(source) => failure.because(source.to_string()),
        None => failure,
    }
}

pub(crate) fn not_found(name: &SandboxName) -> Error {
    from_store(agentkernel_store::Error::NotFound { name: name.clone() })
}

/// The record is there, but what it speaks of is not.
pub(crate) fn gone(name: &SandboxName) -> Error {
    Error::new(
        ErrorKind::NotFound,
        "open",
        format!("sandbox {name} is gone: only its record is left"),
    )
    .hint(format!("agentkernel remove --force {name}"))
}

/// `field`: what of the request it is about.
pub(crate) fn from_policy(field: &'static str) -> impl Fn(Denied) -> Error {
    move |denied| {
        Error::new(denied.kind, "plan", denied.to_string())
            .hint(denied.way_out)
            .with("field", field)
    }
}
