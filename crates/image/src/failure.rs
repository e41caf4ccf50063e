//! Failures of files of our own, as the contract's error.

use std::{io, path::Path};

use agentkernel_types::ErrorKind;

use crate::Error;

/// For `map_err`: what was being done, and to what.
pub fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |error| {
        let message = format!("cannot {action} {}", path.display());
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Error::new(ErrorKind::Exhausted, "image", message)
                    .hint("free some space on that disk: agentkernel image prune")
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Error::new(ErrorKind::Denied, "image", message)
            }
            _ => Error::new(ErrorKind::Broken, "image", message),
        }
        .because(error)
    }
}

pub fn from_store(error: agentkernel_store::Error) -> Error {
    let translated = Error::new(error.kind(), "image", error.to_string());
    let translated = match error.hint() {
        Some(hint) => translated.hint(hint),
        None => translated,
    };
    match error {
        agentkernel_store::Error::Io { source, .. } => translated.because(source),
        _ => translated,
    }
}

/// A stream that came from outside: it ends early or is no archive, or reading it failed.
pub fn read_error(operation: &'static str, what: &str) -> impl Fn(io::Error) -> Error {
    let what = what.to_owned();
    move |error| {
        let kind = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                ErrorKind::Exhausted
            }
            io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
                ErrorKind::InvalidSpec
            }
            _ => ErrorKind::Broken,
        };
        let why = match error.kind() {
            io::ErrorKind::UnexpectedEof => "it ends too early".to_owned(),
            _ => error.to_string(),
        };
        Error::new(kind, operation, format!("cannot read {what}: {why}"))
    }
}

pub fn write_error(operation: &'static str, what: &'static str) -> impl Fn(io::Error) -> Error {
    move |error| {
        let kind = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::Exhausted,
            _ => ErrorKind::Broken,
        };
        Error::new(kind, operation, format!("cannot write {what}")).because(error)
    }
}
