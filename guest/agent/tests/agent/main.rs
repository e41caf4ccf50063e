//! The real agent as an ordinary process, spoken to by the real client over socket pairs.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod exec;
mod files;
mod hostile;
mod lifetime;
mod support;
mod terminal;
