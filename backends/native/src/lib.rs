//! The embedded backend: a sandbox from the Linux kernel alone, with nothing installed, as root or not.
//!
//! Namespaces of its own, a private root, no capability, seccomp and landlock; the guest agent is PID 1. It
//! shares the host's kernel: its grade is `container`.

mod backend;
mod detached;
mod files;
mod handle;
mod host;
mod image;
mod launch;
pub mod limits;
mod mounts;
mod network;
mod oom;
mod privilege;
mod probe;
mod root;
mod sandbox;
pub mod seccomp;
mod socket;
mod start;
mod unfinished;

/// The life of a process that carries the network of a kept sandbox ([`agentkernel_backend::Settings::network_program`]).
pub fn carry_network() -> u8 {
    agentkernel_egress::gateway::process::carry()
}

pub use backend::DESCRIPTOR;
