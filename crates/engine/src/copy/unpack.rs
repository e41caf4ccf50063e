//! Unpacks an untrusted archive into a folder of a sandbox. Nothing is ever written through a link of the archive.

use std::collections::HashSet;

use agentkernel_backend::{Context, Error, FileKind, Files, MakeFile, Result};
use agentkernel_control::ByteStream;
use agentkernel_types::{ErrorKind, GuestPath};
use tokio::sync::mpsc;

use super::{
    MAX_DEPTH,
    header::{Header, malformed},
    incoming::Incoming,
};

pub(super) async fn unpack(
    cx: &Context,
    files: &dyn Files,
    into: &GuestPath,
    archive: ByteStream,
) -> Result<()> {
    if !into.is_root() {
        files.mkdir(cx, into, 0o755).await?;
    }
    let mut unpacker = Unpacker {
        cx,
        files,
        into,
        archive: Incoming::new(archive),
        folders: HashSet::new(),
    };
    while let Some(header) = unpacker.archive.next().await? {
        unpacker.entry(header).await?;
    }
    Ok(())
}

struct Unpacker<'a> {
    cx: &'a Context,
    files: &'a dyn Files,
    into: &'a GuestPath,
    archive: Incoming,
    /// Folders below `into` that have been seen to be real ones. Nothing here replaces a folder.
    folders: HashSet<GuestPath>,
}

impl Unpacker<'_> {
    async fn entry(&mut self, header: Header) -> Result<()> {
        let path = self.place(&header.path)?;
        if path == *self.into {
            // `./` of the folder that was packed.
            return if header.kind == b'5' {
                Ok(())
            } else {
                Err(refused(&header, "its name is the folder itself"))
            };
        }
        self.parents(&header, &path).await?;
        match header.kind {
            // Old archives mark a folder by the slash at the end of its name.
            b'0' | 0 | b'7' if header.path.ends_with(b"/") => self.folder(&header, &path).await,
            b'0' | 0 | b'7' => self.file(&header, &path).await,
            b'1' => self.hard_link(&header, &path).await,
            b'2' => self.link(&header, &path).await,
            b'5' => self.folder(&header, &path).await,
            b'3' | b'4' => Err(refused(&header, "devices are not copied")),
            b'6' => Err(refused(&header, "pipes are not copied")),
            b'S' => Err(refused(&header, "sparse files are not supported")),
            kind => Err(refused(
                &header,
                &format!("entries of type {:?} are not known", char::from(kind)),
            )),
        }
    }

    /// As tar does it: an absolute name is taken as a relative one. `..` is refused.
    fn place(&self, name: &[u8]) -> Result<GuestPath> {
        let text = std::str::from_utf8(name).map_err(|_| {
            malformed(format_args!(
                "the name {:?} is not UTF-8",
                String::from_utf8_lossy(name)
            ))
        })?;
        let path = self.into.join(text).map_err(malformed)?;
        if path.as_str().matches('/').count() > MAX_DEPTH {
            return Err(malformed(format_args!(
                "an entry lies more than {MAX_DEPTH} folders deep"
            )));
        }
        Ok(path)
    }

    /// Every folder between `into` and the entry must be a real one; missing ones are made.
    async fn parents(&mut self, header: &Header, path: &GuestPath) -> Result<()> {
        let mut missing = Vec::new();
        let mut parent = path.parent();
        while let Some(folder) = parent.filter(|folder| folder != self.into && !folder.is_root()) {
            if self.folders.contains(&folder) {
                break;
            }
            parent = folder.parent();
            missing.push(folder);
        }
        for folder in missing.into_iter().rev() {
            match self.kind(&folder).await? {
                Some(FileKind::Directory) => {}
                None => self.files.mkdir(self.cx, &folder, 0o755).await?,
                Some(FileKind::Symlink) => {
                    return Err(refused(header, &format!("{folder} on its way is a link")));
                }
                Some(_) => return Err(refused(header, &format!("{folder} on its way is not a folder"))),
            }
            self.folders.insert(folder);
        }
        Ok(())
    }

    async fn kind(&self, path: &GuestPath) -> Result<Option<FileKind>> {
        match self.files.stat(self.cx, path).await {
            Ok(stat) => Ok(Some(stat.kind)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn folder(&mut self, header: &Header, path: &GuestPath) -> Result<()> {
        match self.kind(path).await? {
            None => self.files.mkdir(self.cx, path, header.mode & 0o777).await?,
            Some(FileKind::Directory) => {}
            Some(_) => return Err(refused(header, "something that is not a folder is in its place")),
        }
        self.folders.insert(path.clone());
        Ok(())
    }

    /// Takes away what must not be written through or would be in the way; a folder stays.
    async fn make_room(&self, header: &Header, path: &GuestPath, keep: Option<FileKind>) -> Result<()> {
        match self.kind(path).await? {
            None => Ok(()),
            Some(FileKind::Directory) => Err(refused(header, "a folder is in its place")),
            found if found == keep => Ok(()),
            Some(_) => self.files.remove(self.cx, path, false).await,
        }
    }

    async fn file(&mut self, header: &Header, path: &GuestPath) -> Result<()> {
        self.make_room(header, path, Some(FileKind::File)).await?;
        let (sender, content) = mpsc::channel(4);
        let archive = &mut self.archive;
        let feed = async move {
            loop {
                match archive.content().await {
                    Ok(None) => return Ok(()),
                    Ok(Some(chunk)) => {
                        if sender.send(Ok(chunk)).await.is_err() {
                            // The write has failed: its own error says why.
                            return Ok(());
                        }
                    }
                    Err(error) => {
                        let broken = Error::new(error.kind(), "copy", error.to_string());
                        let _ = sender.send(Err(broken)).await;
                        return Err(error);
                    }
                }
            }
        };
        let make = MakeFile {
            mode: header.mode & 0o777,
            modified: Some(header.modified),
        };
        let (fed, written) = tokio::join!(feed, self.files.write(self.cx, path, make, content));
        fed.and(written)
    }

    async fn link(&mut self, header: &Header, path: &GuestPath) -> Result<()> {
        if header.link.is_empty() || header.link.len() > GuestPath::MAX_LENGTH || header.link.contains(&0) {
            return Err(refused(header, "its link leads nowhere"));
        }
        self.make_room(header, path, None).await?;
        self.files.symlink(self.cx, path, &header.link).await
    }

    /// Becomes a file of its own, copied from the one that the archive has brought before.
    async fn hard_link(&mut self, header: &Header, path: &GuestPath) -> Result<()> {
        let target = self.place(&header.link)?;
        if target == *path {
            return Err(refused(header, "it is a hard link to itself"));
        }
        self.parents(header, &target).await?;
        let stat = match self.files.stat(self.cx, &target).await {
            Ok(stat) if stat.kind == FileKind::File => stat,
            _ => {
                return Err(refused(
                    header,
                    &format!("it is a hard link to {target}, which is no file"),
                ));
            }
        };
        self.make_room(header, path, None).await?;
        let content = self.files.read(self.cx, &target).await?;
        let make = MakeFile {
            mode: stat.mode & 0o777,
            modified: Some(stat.modified),
        };
        self.files.write(self.cx, path, make, content).await
    }
}

fn refused(header: &Header, why: &str) -> Error {
    let name = String::from_utf8_lossy(&header.path).into_owned();
    Error::new(
        ErrorKind::InvalidSpec,
        "copy",
        format!("the archive's entry {name:?} is refused: {why}"),
    )
}
