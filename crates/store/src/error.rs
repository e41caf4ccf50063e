//! What can go wrong with records, each with a kind for code and a way out for people.

use std::{
    io,
    path::{Path, PathBuf},
};

use agentkernel_types::{ErrorKind, SandboxName};

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no sandbox is called {name}")]
    NotFound { name: SandboxName },
    #[error("a sandbox called {name} exists already")]
    AlreadyExists { name: SandboxName },
    #[error("another command is working on sandbox {name}")]
    Busy { name: SandboxName },
    /// One sandbox only: all others go on.
    #[error("the record of sandbox {name} cannot be used: {}: {why}", path.display())]
    Corrupt {
        name: SandboxName,
        path: PathBuf,
        why: String,
    },
    #[error(
        "the record of sandbox {name} was written by a newer agentkernel: {} has schema version {version}, \
         this one knows {}", path.display(), crate::SCHEMA_VERSION
    )]
    Newer {
        name: SandboxName,
        path: PathBuf,
        version: u64,
    },
    #[error("the record of sandbox {name} would be {size} bytes long, more than the limit of {limit}")]
    TooLarge {
        name: SandboxName,
        size: usize,
        limit: usize,
    },
    #[error("the folder {} cannot be trusted: {why}", path.display())]
    Untrusted {
        path: PathBuf,
        why: String,
        remedy: String,
    },
    #[error("{variable} is {value:?}: {why}")]
    Environment {
        variable: &'static str,
        value: String,
        why: &'static str,
    },
    #[error("cannot {action} {}", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
}

impl Error {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::AlreadyExists { .. } => ErrorKind::AlreadyExists,
            Self::Busy { .. } => ErrorKind::Conflict,
            Self::Corrupt { .. } => ErrorKind::Broken,
            Self::Newer { .. } => ErrorKind::Unsupported,
            Self::TooLarge { .. } | Self::Environment { .. } => ErrorKind::InvalidSpec,
            Self::Untrusted { .. } => ErrorKind::Denied,
            Self::Io { source, .. } => io_kind(source),
        }
    }

    /// The way out, where there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotFound { .. } => Some("`agentkernel list` shows what exists".to_owned()),
            Self::AlreadyExists { name } => Some(format!(
                "choose another name, or remove it first: agentkernel remove {name}"
            )),
            Self::Busy { name } => Some(format!(
                "wait for it, or see what it does: agentkernel inspect {name}"
            )),
            Self::Corrupt { name, .. } => Some(format!(
                "repair the file by hand, or give the sandbox and its files up: agentkernel remove --force {name}"
            )),
            Self::Newer { .. } => Some("use the newer agentkernel for this sandbox".to_owned()),
            Self::TooLarge { .. } => Some("pass fewer mounts or shorter environment variables".to_owned()),
            Self::Untrusted { remedy, .. } => Some(remedy.clone()),
            Self::Environment { variable, .. } => {
                Some(format!("set {variable} to an absolute path, or unset it"))
            }
            Self::Io { source, .. } if is_full(source) => Some("free some space on that disk".to_owned()),
            Self::Io { .. } => None,
        }
    }

    /// For `map_err`: what was being done, and to what.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    /// Whether there is no room on the disk, so that only removing can go on.
    pub(crate) fn is_disk_full(&self) -> bool {
        matches!(self, Self::Io { source, .. } if is_full(source))
    }

    pub(crate) fn is_gone(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

fn io_kind(error: &io::Error) -> ErrorKind {
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => ErrorKind::Denied,
        _ if is_full(error) => ErrorKind::Exhausted,
        _ => ErrorKind::Broken,
    }
}
