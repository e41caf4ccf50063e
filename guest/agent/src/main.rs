//! The guest agent: the first process of a sandbox and the server of its commands and files.
//!
//! One thread, one poll loop, no blocking on anything that the sandbox controls. The agent is started inside all
//! walls and installs none; it must not look up names or users, and never follow a path out of its root.
#![cfg_attr(not(test), no_main)]
#![cfg_attr(
    test,
    allow(
        dead_code,
        reason = "the tests of the modules have a main function of their own"
    )
)]

mod connection;
mod detached;
mod event_loop;
mod exec;
mod failure;
mod files;
mod outbox;
mod processes;
mod requests;
mod sandbox;
mod shutdown;
mod start;

/// Called by the C runtime: without the standard library's own start, which would cost a dozen system calls.
#[cfg(not(test))]
#[unsafe(no_mangle)]
extern "C" fn main(_count: libc::c_int, _arguments: *const *const libc::c_char) -> libc::c_int {
    match start::agent() {
        Ok(agent) => event_loop::run(agent),
        Err(_) => 1,
    }
}
