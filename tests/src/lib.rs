//! What the end-to-end and security tests share.

pub mod cli;
