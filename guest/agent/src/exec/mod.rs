//! Commands: prepared, launched, and served as streams until their end.

mod command;
mod launch;
mod leader;
mod plan;
mod sink;
mod source;
mod start;
mod terminal;

pub use command::{Command, State, report_of};
pub use launch::Launcher;
pub use sink::Credit;
pub use source::{Pumped, Source};
pub use start::{Started, start};
