//! The embedded backend: a sandbox from the Linux kernel alone, with nothing installed, as root or not.
//!
//! Namespaces of its own, a private root, no capability, seccomp and landlock; the guest agent is PID 1. It
//! shares the host's kernel: its grade is `container`.

mod image;
mod launch;
mod mounts;
mod privilege;
mod root;
