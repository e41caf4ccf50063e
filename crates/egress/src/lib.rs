//! The one way out of a sandbox: every name and every connection judged by its policy, every decision explained.
//!
//! `inspect` reads what a connection says about itself. It is pure: it holds no socket and reads no clock.

pub mod inspect;
