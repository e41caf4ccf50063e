//! What a backend's own tests give to the suite.

use std::{path::PathBuf, sync::Arc};

use agentkernel_backend::{Backend, Result, Workspace};
use agentkernel_types::{Command, Lifetime, SandboxSpec, UserSpec};
use async_trait::async_trait;

use crate::Program;

/// One installation of a backend that belongs to the suite alone: nobody else makes sandboxes in it.
#[async_trait]
pub trait Harness: Send + Sync {
    fn backend(&self) -> Arc<dyn Backend>;

    /// The same installation as a second process sees it: shares no memory with [`Harness::backend`] where that is
    /// possible.
    async fn reconnect(&self) -> Result<Arc<dyn Backend>>;

    /// The smallest specification that works, with a fresh id, on the simplest image: no mounts, no limits, a
    /// writable root and, where it can be had, no network. The image needs a POSIX `sh` and coreutils.
    fn spec(&self, lifetime: Lifetime) -> SandboxSpec;

    /// A fresh, empty workspace. The suite removes its folder.
    fn workspace(&self, lifetime: Lifetime) -> Workspace;

    /// A fresh, empty folder of the host that may be mounted. Everyone may read and write it; the suite removes it.
    fn host_folder(&self) -> PathBuf;

    /// A user of the image other than the one that commands have by default, and its uid.
    fn other_user(&self) -> (UserSpec, u32);

    /// How the image runs `program`.
    fn command(&self, program: &Program) -> Command {
        program.posix()
    }
}
