//! The file facet: the agent's, over whatever connection the sandbox has now.

use std::sync::Arc;

use agentkernel_backend::{Context, FileStat, Files, MakeFile, Result};
use agentkernel_types::GuestPath;
use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::mpsc;

use crate::sandbox::Shared;

pub(crate) struct SandboxFiles {
    shared: Arc<Shared>,
}

impl SandboxFiles {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

#[async_trait]
impl Files for SandboxFiles {
    async fn read(&self, cx: &Context, path: &GuestPath) -> Result<mpsc::Receiver<Result<Bytes>>> {
        self.shared.connection("read").await?.files().read(cx, path).await
    }

    async fn write(
        &self,
        cx: &Context,
        path: &GuestPath,
        make: MakeFile,
        content: mpsc::Receiver<Result<Bytes>>,
    ) -> Result<()> {
        self.shared
            .connection("write")
            .await?
            .files()
            .write(cx, path, make, content)
            .await
    }

    async fn list(&self, cx: &Context, path: &GuestPath) -> Result<Vec<FileStat>> {
        self.shared.connection("list").await?.files().list(cx, path).await
    }

    async fn stat(&self, cx: &Context, path: &GuestPath) -> Result<FileStat> {
        self.shared.connection("stat").await?.files().stat(cx, path).await
    }

    async fn mkdir(&self, cx: &Context, path: &GuestPath, mode: u32) -> Result<()> {
        self.shared
            .connection("mkdir")
            .await?
            .files()
            .mkdir(cx, path, mode)
            .await
    }

    async fn symlink(&self, cx: &Context, path: &GuestPath, target: &[u8]) -> Result<()> {
        self.shared
            .connection("symlink")
            .await?
            .files()
            .symlink(cx, path, target)
            .await
    }

    async fn remove(&self, cx: &Context, path: &GuestPath, recursive: bool) -> Result<()> {
        self.shared
            .connection("remove")
            .await?
            .files()
            .remove(cx, path, recursive)
            .await
    }

    async fn rename(&self, cx: &Context, from: &GuestPath, to: &GuestPath) -> Result<()> {
        self.shared
            .connection("rename")
            .await?
            .files()
            .rename(cx, from, to)
            .await
    }
}
