//! The system calls that a sandbox may make: an allow-list as data, and the filter made of it.
//!
//! Pure: nothing here installs anything. The launcher prepares [`program`] before it clones and hands it to the
//! kernel afterwards. Why each call is where it is: `docs/design/0003-seccomp-allow-list.md`; the list as it
//! is compiled: `docs/reference/seccomp.md`, which a test keeps current.

mod allowed;
mod assemble;
mod checked;
mod numbers;
mod reference;
mod refused;
mod rule;
mod sockets;
#[cfg(test)]
mod tests;

use std::sync::OnceLock;

pub use self::{
    reference::reference,
    rule::{Arguments, Clause, Condition, Decision, Rule, Verdict},
};

/// The filter for this architecture, made once a process.
pub fn program() -> Vec<libc::sock_filter> {
    static PROGRAM: OnceLock<Vec<libc::sock_filter>> = OnceLock::new();
    PROGRAM.get_or_init(|| assemble::program(&explain())).clone()
}

/// Every call that the filter knows, in the order of their numbers, with the decision and its reason.
///
/// A number that is not among them gets [`UNKNOWN`].
pub fn explain() -> Vec<Rule> {
    let groups = [allowed::GROUPS, refused::GROUPS, checked::GROUPS].concat();
    let mut rules: Vec<Rule> = groups.iter().flat_map(rule::Group::rules).collect();
    rules.sort_by_key(|rule| rule.number);
    rules
}

/// For calls that are newer than the list, and for numbers that no call has: what a kernel without the call
/// answers, so that a C library takes its older way.
pub const UNKNOWN: Verdict = Verdict::Refuse(libc::ENOSYS);
