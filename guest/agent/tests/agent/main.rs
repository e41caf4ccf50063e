//! The real agent as an ordinary process, spoken to by the real client over socket pairs.

mod exec;
mod support;
