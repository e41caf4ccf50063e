//! A backend in memory: for the tests of whoever stands above the contract, and for testing the suite itself.
//!
//! It runs the [`crate::Program`]s by their plain names (`exit 3`, `cat`, `sleep`, ...) on a file tree in memory. The
//! host is touched in three places only: mounts are read and written, a kept sandbox leaves a marker in its
//! workspace, and nothing else.

mod backend;
mod check;
mod fault;
mod files;
mod install;
mod network;
mod process;
mod programs;
mod sandbox;
mod tree;
mod world;

pub use backend::Fake;
pub use fault::Fault;
pub use install::{BROKEN, FAKE, FAKE_VM, FakeHarness, everything, install};
pub use world::World;
