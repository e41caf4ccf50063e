//! The file facet of the fake.

use agentkernel_backend::{Context, Error, FileStat, Files, MakeFile, Result, SandboxState};
use agentkernel_types::{ErrorKind, GuestPath};
use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::mpsc;

use super::{Fault, sandbox::FakeSandbox, tree::Tree};

impl FakeSandbox {
    fn tree<T>(&self, work: impl FnOnce(&mut Tree) -> Result<T>) -> Result<T> {
        let mut inside = self.cell.inside();
        match inside.state {
            SandboxState::Running => work(&mut inside.tree),
            _ => Err(Error::new(ErrorKind::Conflict, "files", "the sandbox is stopped")),
        }
    }
}

fn bytes(path: &GuestPath) -> &[u8] {
    path.as_str().as_bytes()
}

#[async_trait]
impl Files for FakeSandbox {
    async fn read(&self, _: &Context, path: &GuestPath) -> Result<mpsc::Receiver<Result<Bytes>>> {
        let content = Bytes::from(self.tree(|tree| tree.read(bytes(path)))?);
        let (sender, receiver) = mpsc::channel(2);
        tokio::spawn(async move {
            for start in (0..content.len()).step_by(64 << 10) {
                let chunk = content.slice(start..content.len().min(start + (64 << 10)));
                if sender.send(Ok(chunk)).await.is_err() {
                    break;
                }
            }
        });
        Ok(receiver)
    }

    async fn write(
        &self,
        _: &Context,
        path: &GuestPath,
        make: MakeFile,
        mut content: mpsc::Receiver<Result<Bytes>>,
    ) -> Result<()> {
        if make.mode > 0o777 && !self.cell.has(Fault::SetIdAccepted) {
            return Err(Error::new(
                ErrorKind::InvalidSpec,
                "write",
                format!("the mode {:o} has set-id bits", make.mode),
            ));
        }
        let modified = make.modified.unwrap_or(0);
        let mut whole = Vec::new();
        let mut failure = None;
        while let Some(chunk) = content.recv().await {
            match chunk {
                Ok(chunk) => whole.extend_from_slice(&chunk),
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
        }
        if failure.is_none() || self.cell.has(Fault::TornWrite) {
            self.tree(|tree| tree.write(bytes(path), whole, make.mode, modified))?;
        }
        failure.map_or(Ok(()), Err)
    }

    async fn list(&self, _: &Context, path: &GuestPath) -> Result<Vec<FileStat>> {
        self.tree(|tree| tree.list(bytes(path)))
    }

    async fn stat(&self, _: &Context, path: &GuestPath) -> Result<FileStat> {
        self.tree(|tree| tree.stat(bytes(path)))
    }

    async fn mkdir(&self, _: &Context, path: &GuestPath, _: u32) -> Result<()> {
        self.tree(|tree| tree.mkdir(bytes(path)))
    }

    async fn symlink(&self, _: &Context, path: &GuestPath, target: &[u8]) -> Result<()> {
        self.tree(|tree| tree.link(bytes(path), target))
    }

    async fn remove(&self, _: &Context, path: &GuestPath, recursive: bool) -> Result<()> {
        self.tree(|tree| tree.remove(bytes(path), recursive))
    }

    async fn rename(&self, _: &Context, from: &GuestPath, to: &GuestPath) -> Result<()> {
        self.tree(|tree| tree.rename(bytes(from), bytes(to)))
    }
}
