//! The caller's terminal: its size, raw mode, and the promise to give it back as it was.

mod guard;

use std::os::fd::BorrowedFd;

pub use guard::Terminal;

use crate::streams::Stdio;

/// Whether a command should get a terminal when nobody has said so.
pub fn is_interactive(stdio: Stdio<'_>) -> bool {
    is_terminal(stdio.stdin) && is_terminal(stdio.stdout) && is_foreground(stdio.stdin)
}

pub fn is_terminal(descriptor: BorrowedFd<'_>) -> bool {
    rustix::termios::isatty(descriptor)
}

/// False for a job in the background of its terminal: it would be stopped by reading from it or by
/// changing it, even if its command does neither. True where there is no terminal.
pub fn is_foreground(descriptor: BorrowedFd<'_>) -> bool {
    !is_terminal(descriptor)
        || match rustix::termios::tcgetpgrp(descriptor) {
            Ok(group) => group == rustix::process::getpgrp(),
            // Somebody else's terminal: no job control, so nothing stops us.
            Err(_) => true,
        }
}
