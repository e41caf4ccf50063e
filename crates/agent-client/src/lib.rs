//! Speaks with a guest agent over any byte stream: commands and files for every backend that has one.
//!
//! Nothing waits for a greeting: what is asked first goes out with it, in one write. One task per connection moves
//! all bytes; it never waits for a single reader, and holds at most a window for each stream. The agent is not
//! trusted: whoever sends more than was granted, or what was not asked for, loses the connection.
//!
//! This crate must not start an agent, and knows no backend.

mod connection;
mod driver;
mod exec;
mod failure;
mod files;
mod stream;

pub use agentkernel_protocol::Boot;
pub use connection::{AgentConnection, AgentStats};
pub use files::AgentFiles;
