//! The real agent as an ordinary process, spoken to by the real client over socket pairs.

mod exec;
mod files;
mod hostile;
mod lifetime;
mod support;
mod terminal;
