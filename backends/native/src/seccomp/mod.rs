//! The system calls that a sandbox may make: an allow-list as data, and the filter made of it.
//!
//! What is not on the list does not exist inside. The reasons stand in `docs/design/0003-seccomp-allow-list.md`,
//! the list itself in `docs/reference/seccomp.md`, which a test keeps current.

mod assemble;
mod rules;
#[cfg(test)]
mod tests;

use std::sync::OnceLock;

pub use self::rules::{Decision, Rule, rules};

/// The filter for this architecture, made once a process.
pub fn program() -> Vec<libc::sock_filter> {
    static PROGRAM: OnceLock<Vec<libc::sock_filter>> = OnceLock::new();
    PROGRAM.get_or_init(|| assemble::program(&rules())).clone()
}
