//! The file facet over an agent.

use agentkernel_backend::{Context, Error, FileKind, FileStat, Files, MakeFile, Result};
use agentkernel_protocol::{DirectoryEntry, EntryKind, FileRequest, ToGuest};
use agentkernel_types::{ErrorKind, GuestPath};
use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::mpsc;

use crate::{
    AgentConnection,
    connection::unexpected,
    stream::{Answer, Opening},
};

/// Chunks that wait for the reader.
const DEPTH: usize = 4;

#[derive(Clone, Debug)]
pub struct AgentFiles(AgentConnection);

impl AgentFiles {
    pub(crate) fn new(connection: AgentConnection) -> Self {
        Self(connection)
    }

    async fn done(
        &self,
        cx: &Context,
        operation: &'static str,
        request: FileRequest,
        opening: Opening,
    ) -> Result<()> {
        match self
            .0
            .request(cx, operation, ToGuest::File(request), opening)
            .await?
        {
            Answer::Done => Ok(()),
            _ => Err(unexpected(operation)),
        }
    }
}

#[async_trait]
impl Files for AgentFiles {
    async fn read(&self, cx: &Context, path: &GuestPath) -> Result<mpsc::Receiver<Result<Bytes>>> {
        let (content, receiver) = mpsc::channel(DEPTH);
        let request = ToGuest::File(FileRequest::Read { path: bytes(path) });
        match self
            .0
            .request(cx, "read", request, Opening::Read { content })
            .await?
        {
            Answer::Started => Ok(receiver),
            _ => Err(unexpected("read")),
        }
    }

    async fn write(
        &self,
        cx: &Context,
        path: &GuestPath,
        make: MakeFile,
        content: mpsc::Receiver<Result<Bytes>>,
    ) -> Result<()> {
        if make.mode > 0o777 {
            let message = format!("the mode {:o} of {path} has more than permission bits", make.mode);
            return Err(Error::new(ErrorKind::InvalidSpec, "write", message));
        }
        let request = FileRequest::Write {
            path: bytes(path),
            mode: make.mode,
            modified: make.modified,
        };
        self.done(cx, "write", request, Opening::Write { content }).await
    }

    async fn list(&self, cx: &Context, path: &GuestPath) -> Result<Vec<FileStat>> {
        let request = ToGuest::File(FileRequest::List { path: bytes(path) });
        match self.0.request(cx, "list", request, Opening::List).await? {
            Answer::Entries(entries) => entries.into_iter().map(|entry| stat(entry, "list")).collect(),
            _ => Err(unexpected("list")),
        }
    }

    async fn stat(&self, cx: &Context, path: &GuestPath) -> Result<FileStat> {
        let request = ToGuest::File(FileRequest::Stat { path: bytes(path) });
        match self.0.request(cx, "stat", request, Opening::Simple).await? {
            Answer::Entry(entry) => stat(entry, "stat"),
            _ => Err(unexpected("stat")),
        }
    }

    async fn mkdir(&self, cx: &Context, path: &GuestPath, mode: u32) -> Result<()> {
        self.done(
            cx,
            "mkdir",
            FileRequest::Mkdir {
                path: bytes(path),
                mode,
            },
            Opening::Simple,
        )
        .await
    }

    async fn symlink(&self, cx: &Context, path: &GuestPath, target: &[u8]) -> Result<()> {
        let request = FileRequest::Symlink {
            path: bytes(path),
            target: target.to_vec().into(),
        };
        self.done(cx, "symlink", request, Opening::Simple).await
    }

    async fn remove(&self, cx: &Context, path: &GuestPath, recursive: bool) -> Result<()> {
        self.done(
            cx,
            "remove",
            FileRequest::Remove {
                path: bytes(path),
                recursive,
            },
            Opening::Simple,
        )
        .await
    }

    async fn rename(&self, cx: &Context, from: &GuestPath, to: &GuestPath) -> Result<()> {
        let request = FileRequest::Rename {
            from: bytes(from),
            to: bytes(to),
        };
        self.done(cx, "rename", request, Opening::Simple).await
    }
}

fn bytes(path: &GuestPath) -> agentkernel_protocol::ByteBuf {
    path.as_str().as_bytes().to_vec().into()
}

/// What the sandbox says is not trusted: a name that would lead elsewhere is refused here.
fn stat(entry: DirectoryEntry, operation: &'static str) -> Result<FileStat> {
    let name = entry.name.into_vec();
    if name.contains(&b'/') || name.contains(&0) || matches!(&name[..], b"." | b"..") {
        let message = "the agent in the sandbox gave a name that is none";
        return Err(Error::new(ErrorKind::Broken, operation, message));
    }
    let kind = match entry.kind {
        EntryKind::File => FileKind::File,
        EntryKind::Directory => FileKind::Directory,
        EntryKind::Symlink => FileKind::Symlink,
        EntryKind::Other => FileKind::Other,
    };
    Ok(FileStat {
        name,
        kind,
        mode: entry.mode & 0o7777,
        size: entry.size,
        modified: entry.modified,
        link_target: (kind == FileKind::Symlink).then(|| entry.link_target.into_vec()),
    })
}
