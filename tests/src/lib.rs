//! What the end-to-end and security tests share.

pub mod cli;
pub mod images;
pub mod internet;
pub mod registry;
mod tools;

pub use tools::{have, skipped};
