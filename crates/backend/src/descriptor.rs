//! How the registry knows a backend before it is connected.

use std::{ffi::OsString, path::PathBuf, sync::Arc};

use agentkernel_types::{Capabilities, Isolation};
use futures_util::future::BoxFuture;

use crate::{Backend, Result};

/// A constant in each backend crate: the only thing the registry lists.
#[derive(Clone, Copy, Debug)]
pub struct Descriptor {
    /// As `--backend` takes it.
    pub name: &'static str,
    /// One line for people.
    pub summary: &'static str,
    pub isolation: Isolation,
    /// Probes the host for real and opens the backend. The error carries the reason and the remedy.
    pub connect: Connect,
    /// A full examination for `doctor`: slower than `connect`, and never an error.
    pub probe: for<'a> fn(&'a Settings) -> BoxFuture<'a, Probe>,
}

pub type Connect = for<'a> fn(&'a Settings) -> BoxFuture<'a, Result<Arc<dyn Backend>>>;

/// What a backend needs to know of this installation.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Short-lived things of running sandboxes (sockets, locks). On a file system that a reboot empties.
    pub runtime_dir: PathBuf,
    /// Things that can be made again.
    pub cache_dir: PathBuf,
    /// The store of images (`agentkernel-image`).
    pub images_dir: PathBuf,
    /// The program and its first arguments that carry the network of a kept sandbox (docs/design/0007). Empty: there is none,
    /// and kept sandboxes have the modes `none` and `host` only.
    pub network_program: Vec<OsString>,
}

/// What `doctor` shows of one backend.
#[derive(Clone, Debug)]
pub struct Probe {
    pub usable: bool,
    /// Why, from what was tried: `started a sandbox in 2 ms`, or what failed.
    pub reason: String,
    /// What would make it usable, or better.
    pub remedy: Option<String>,
    /// Set where it is usable.
    pub capabilities: Option<Capabilities>,
}
