//! The bytes of a command, between the caller's descriptors and a sandbox.
//!
//! Nothing is buffered until the end, no helper thread waits in a read, and the flags of descriptors
//! that are shared with the caller are never changed.

mod drive;
mod endpoint;
mod forward;
mod signals;
mod source;

use std::os::fd::BorrowedFd;

pub use drive::{Drive, drive};
pub use endpoint::{Direction, Endpoint};
pub use signals::Signals;
pub use source::Source;

/// The three descriptors that a command's streams are connected to.
#[derive(Clone, Copy, Debug)]
pub struct Stdio<'a> {
    pub stdin: BorrowedFd<'a>,
    pub stdout: BorrowedFd<'a>,
    pub stderr: BorrowedFd<'a>,
}

impl Stdio<'static> {
    /// The process's own. The standard library has opened /dev/null for those that were closed.
    pub fn inherited() -> Self {
        // SAFETY: descriptors 0 to 2 are open from before `main` on, and nothing here closes them.
        let [stdin, stdout, stderr] = [0, 1, 2].map(|fd| unsafe { BorrowedFd::borrow_raw(fd) });
        Self {
            stdin,
            stdout,
            stderr,
        }
    }
}

#[cfg(test)]
mod tests;
