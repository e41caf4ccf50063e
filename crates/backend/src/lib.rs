//! The contract that every isolation backend obeys.
//!
//! Traits without default bodies: a backend that forgets a duty does not compile. What a backend
//! cannot do it declares in [`Capabilities`] and refuses by name. The rules that no signature can say
//! (stopping the stopped succeeds, a dropped process is killed, nothing is left behind) are the cases
//! of `agentkernel-conformance`.
//!
//! This crate must not know any backend.

mod context;
mod descriptor;
mod error;
mod files;
mod network;
mod process;
mod sandbox;

pub use agentkernel_types::Capabilities;
pub use context::Context;
pub use descriptor::{Connect, Descriptor, Probe, Settings};
pub use error::{Error, Result};
pub use files::{FileKind, FileStat, Files, MakeFile};
pub use network::{BoundPort, Network};
pub use process::{Input, Output, Process, ProcessInput, ProcessSink};
pub use sandbox::{
    Backend, DetachedStatus, Leftover, LogStream, Sandbox, SandboxHandle, SandboxState, Stats, Workspace,
};
