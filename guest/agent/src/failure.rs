//! What went wrong, as the host is told.

use std::fmt::Display;

use agentkernel_protocol::{FailureKind, ToHost};
use rustix::io::Errno;

#[derive(Debug)]
pub struct Failure {
    pub kind: FailureKind,
    pub message: String,
}

pub type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Invalid, message)
    }

    /// `cannot read "/etc/x": permission denied`
    pub fn errno(errno: Errno, action: &str, path: &[u8]) -> Self {
        Self::new(
            kind_of(errno),
            format!("cannot {action} {}: {}", shown(path), reason(errno)),
        )
    }

    pub fn into_message(self) -> ToHost {
        ToHost::Failed {
            kind: self.kind,
            message: self.message,
        }
    }
}

/// Bytes of the sandbox, quoted so that they cannot play tricks on a terminal.
pub fn shown(bytes: &[u8]) -> impl Display {
    format!("{:?}", String::from_utf8_lossy(&bytes[..bytes.len().min(1024)]))
}

pub fn kind_of(errno: Errno) -> FailureKind {
    match errno {
        Errno::NOENT => FailureKind::NotFound,
        Errno::EXIST => FailureKind::AlreadyExists,
        Errno::ACCESS | Errno::PERM | Errno::ROFS | Errno::BUSY | Errno::XDEV => FailureKind::Denied,
        Errno::NOSPC
        | Errno::DQUOT
        | Errno::MFILE
        | Errno::NFILE
        | Errno::NOMEM
        | Errno::AGAIN
        | Errno::FBIG => FailureKind::Exhausted,
        Errno::NOTDIR
        | Errno::ISDIR
        | Errno::LOOP
        | Errno::NAMETOOLONG
        | Errno::INVAL
        | Errno::NOTEMPTY
        | Errno::TOOBIG => FailureKind::Invalid,
        Errno::NOSYS | Errno::OPNOTSUPP => FailureKind::Unsupported,
        _ => FailureKind::Broken,
    }
}

pub fn reason(errno: Errno) -> String {
    let text = match errno {
        Errno::NOENT => "it does not exist",
        Errno::EXIST => "it exists already",
        Errno::ACCESS | Errno::PERM => "permission denied",
        Errno::ROFS => "the file system is read-only",
        Errno::BUSY | Errno::XDEV => "another file system is mounted there",
        Errno::NOSPC | Errno::DQUOT => "no space is left",
        Errno::MFILE | Errno::NFILE => "too many files are open",
        Errno::NOMEM => "no memory is left",
        Errno::AGAIN => "no more processes can be started",
        Errno::NOTDIR => "a part of the path is not a folder",
        Errno::ISDIR => "it is a folder",
        Errno::LOOP => "a symbolic link stands in the way",
        Errno::NAMETOOLONG => "the name is too long",
        Errno::NOTEMPTY => "the folder is not empty",
        Errno::TOOBIG => "the arguments and the environment are too long",
        _ => return format!("error {} of the system", errno.raw_os_error()),
    };
    text.to_owned()
}
