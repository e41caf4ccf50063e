//! The real binary, by journey: what a person does and what must then be true.
//!
//! No test looks inside the product, none asserts a time, and each has an installation of its own.

mod arguments;
mod configuration;
mod environment;
mod exits;
mod files;
mod kept;
mod lifetime;
mod limits;
mod profiles;
mod reports;
mod rootless;
mod streams;
mod terminal;
