//! Files of the project, put into a sandbox that has just been started.

use std::{io::Read, path::Path, sync::Arc};

use agentkernel_backend::{Context, Error, Files, MakeFile, Result, Sandbox};
use agentkernel_control::InjectedFile;
use agentkernel_types::ErrorKind;
use bytes::Bytes;
use tokio::sync::mpsc;

const CHUNK: usize = 64 << 10;

pub(crate) async fn files(cx: &Context, sandbox: &Arc<dyn Sandbox>, files: &[InjectedFile]) -> Result<()> {
    if files.is_empty() {
        return Ok(());
    }
    let facet = facet(sandbox)?;
    for file in files {
        if let Some(folder) = file.dest.parent().filter(|folder| !folder.is_root()) {
            facet.mkdir(cx, &folder, 0o755).await?;
        }
        let (sender, content) = mpsc::channel(2);
        let source = file.source.clone();
        // Reading a disk may wait: not on the thread of the event loop.
        let reading = tokio::task::spawn_blocking(move || read(&source, &sender));
        let make = MakeFile {
            mode: file.mode & 0o777,
            modified: None,
        };
        facet.write(cx, &file.dest, make, content).await?;
        reading
            .await
            .map_err(|error| Error::new(ErrorKind::Broken, "files", "the reader ended").because(error))?;
    }
    Ok(())
}

/// The file facet, or its refusal by name.
pub(crate) fn facet(sandbox: &Arc<dyn Sandbox>) -> Result<&dyn Files> {
    sandbox.files().ok_or_else(|| {
        Error::unsupported(
            "files",
            "files",
            "this backend cannot reach the files of a sandbox",
        )
    })
}

fn read(source: &Path, sender: &mpsc::Sender<Result<Bytes>>) {
    let failure = |error: std::io::Error| {
        let kind = match error.kind() {
            std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            _ => ErrorKind::InvalidSpec,
        };
        Error::new(
            kind,
            "files",
            format!("cannot read {}: {error}", source.display()),
        )
        .with("field", "files")
    };
    let chunks = || -> std::io::Result<()> {
        // Not a pipe or a device: they would never end.
        if !source.metadata()?.is_file() {
            return Err(std::io::Error::new(
                std::io::ErrorKind::InvalidInput,
                "it is not a file",
            ));
        }
        let mut file = std::fs::File::open(source)?;
        loop {
            let mut chunk = vec![0; CHUNK];
            let length = file.read(&mut chunk)?;
            chunk.truncate(length);
            if length == 0 || sender.blocking_send(Ok(chunk.into())).is_err() {
                return Ok(());
            }
        }
    };
    if let Err(error) = chunks() {
        // The write that listens may have failed already.
        let _ = sender.blocking_send(Err(failure(error)));
    }
}
