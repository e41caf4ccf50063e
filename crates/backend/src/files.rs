//! Files inside a sandbox. Every path is resolved beneath the sandbox's root, by the sandbox's rules.

use agentkernel_types::GuestPath;
use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::{Context, Result};

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    File,
    Directory,
    Symlink,
    /// A device, pipe or socket: can be listed and removed, not copied.
    Other,
}

#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct FileStat {
    /// The last part of the path as bytes from the sandbox: not trusted, may hold anything but `/` and NUL.
    pub name: Vec<u8>,
    pub kind: FileKind,
    /// Permission bits, 0 to 0o7777.
    pub mode: u32,
    pub size: u64,
    /// Seconds since 1970, UTC.
    pub modified: i64,
    /// Where a symbolic link points: not trusted.
    pub link_target: Option<Vec<u8>>,
}

/// How a file is made by [`Files::write`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MakeFile {
    /// Permission bits, 0 to 0o777: set-id bits are refused.
    pub mode: u32,
    /// None: now.
    pub modified: Option<i64>,
}

/// The file facet. The last part of a path is never followed if it is a symbolic link, except by `read` and `write`,
/// which follow it as the sandbox itself would, beneath the root.
#[async_trait]
pub trait Files: Send + Sync {
    /// The content in chunks. The channel ends after the last one; an error is the end, too.
    async fn read(&self, cx: &Context, path: &GuestPath) -> Result<mpsc::Receiver<Result<Bytes>>>;

    /// Replaces the file with what the channel gives, once the sender is dropped. It appears whole or not at all
    /// under its name: a broken write leaves the old content. Missing parent folders are an error.
    /// A writer that fails midway sends an `Err`, which cancels.
    async fn write(
        &self,
        cx: &Context,
        path: &GuestPath,
        make: MakeFile,
        content: mpsc::Receiver<Result<Bytes>>,
    ) -> Result<()>;

    /// The entries of a folder, without `.` and `..`, in the order of their names.
    async fn list(&self, cx: &Context, path: &GuestPath) -> Result<Vec<FileStat>>;

    /// Does not follow the last link.
    async fn stat(&self, cx: &Context, path: &GuestPath) -> Result<FileStat>;

    /// Makes the folder and its missing parents; an existing folder is a success.
    async fn mkdir(&self, cx: &Context, path: &GuestPath, mode: u32) -> Result<()>;

    /// Makes a symbolic link. The target is not checked: it is only ever followed inside.
    async fn symlink(&self, cx: &Context, path: &GuestPath, target: &[u8]) -> Result<()>;

    /// Removes a file, link or (with `recursive`) a folder and everything in it.
    async fn remove(&self, cx: &Context, path: &GuestPath, recursive: bool) -> Result<()>;

    async fn rename(&self, cx: &Context, from: &GuestPath, to: &GuestPath) -> Result<()>;
}
