//! From this machine into a sandbox.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use agentkernel_backend::FileKind;
use agentkernel_control::{Control, Error};
use agentkernel_types::{ErrorKind, GuestPath};
use tokio::sync::mpsc;

use super::{Inside, joined, pipe::ChannelWriter, wrong};
use crate::{
    archive,
    commands::{Connect, streaming},
    failure::Failure,
    render,
};

pub async fn from_host(from: &Path, to: &Inside, connect: Connect) -> Result<(), Failure> {
    let name = name_of(from)?;
    // Before anything is made in the sandbox.
    let found = from
        .symlink_metadata()
        .map_err(|error| cannot_read(from, error))?
        .file_type();
    if !found.is_file() && !found.is_dir() && !found.is_symlink() {
        return Err(wrong(&format!(
            "cannot copy {}: it is no file, folder or link",
            from.display()
        ))
        .into());
    }
    let control = connect()?;
    let (folder, name) = place(&*control, to, name).await?;
    let (sender, receiver) = mpsc::channel(streaming::DEPTH);
    let packing = tokio::task::spawn_blocking({
        let from = from.to_owned();
        move || pack(&from, name.as_deref(), sender)
    });
    let copied = control.copy_in(&to.name, &folder, receiver).await;
    // If the sandbox refused, the packing has lost its reader, and that is not the news.
    copied?;
    let skipped = joined(packing.await)?.map_err(|error| cannot_read(from, error))?;
    render::skipped(&skipped);
    Ok(())
}

fn pack(
    from: &Path,
    name: Option<&OsStr>,
    sender: mpsc::Sender<agentkernel_control::Result<bytes::Bytes>>,
) -> std::io::Result<Vec<PathBuf>> {
    match archive::pack(from, name, ChannelWriter::new(sender.clone())) {
        Ok(skipped) => Ok(skipped.0),
        Err(error) => {
            let cause = Error::new(
                ErrorKind::Broken,
                "cp",
                format!("cannot read {}: {error}", from.display()),
            );
            // Cancels: half an archive must not be taken for a whole one.
            let _ = sender.blocking_send(Err(cause));
            Err(error)
        }
    }
}

/// The last name of the source. None: only its content is meant (`folder/.`).
fn name_of(from: &Path) -> Result<Option<OsString>, Failure> {
    let bytes = from.as_os_str().as_bytes();
    if bytes.ends_with(b"/.") {
        return Ok(None);
    }
    match from.file_name() {
        Some(name) => Ok(Some(name.to_owned())),
        // `.`, `..` and `/`: the folder's real name, if it has one.
        None => {
            let real = from.canonicalize().map_err(|error| cannot_read(from, error))?;
            Ok(Some(
                real.file_name()
                    .ok_or_else(|| wrong("the root folder has no name to copy it under"))?
                    .to_owned(),
            ))
        }
    }
}

/// The folder to unpack into, and the name to unpack under: as `cp -r` has it.
async fn place(
    control: &dyn Control,
    to: &Inside,
    name: Option<OsString>,
) -> Result<(GuestPath, Option<OsString>), Failure> {
    if to.folder || to.path.is_root() || name.is_none() {
        return Ok((to.path.clone(), name));
    }
    match control.stat(&to.name, &to.path).await {
        // A link may well lead to a folder (/bin); if it does not, the unpacking fails and harms nothing.
        Ok(found) if matches!(found.kind, FileKind::Directory | FileKind::Symlink) => {
            Ok((to.path.clone(), name))
        }
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
        _ => {
            let parent = to.path.parent().unwrap_or_else(GuestPath::root);
            Ok((parent, to.path.file_name().map(OsString::from)))
        }
    }
}

fn cannot_read(path: &Path, error: std::io::Error) -> Failure {
    Failure::io("cp", format!("cannot read {}", path.display()), error)
}
