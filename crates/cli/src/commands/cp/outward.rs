//! From a sandbox to this machine.

use std::{
    ffi::OsString,
    fs, io,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use super::{Inside, joined, pipe::ChannelReader, wrong};
use crate::{
    archive::{self, Place},
    commands::Connect,
    failure::Failure,
    render,
};

pub async fn to_host(from: &Inside, to: &Path, connect: Connect) -> Result<(), Failure> {
    let place = place(from, to)?;
    let archive = connect()?.copy_out(&from.name, &from.path).await?;
    if from.content {
        fs::create_dir_all(to).map_err(|error| cannot_write(to, error))?;
    }
    let unpacking = tokio::task::spawn_blocking(move || unpack(archive, &place));
    let skipped = joined(unpacking.await)?.map_err(|failure| failure.about(to))?;
    render::skipped(&skipped);
    Ok(())
}

enum Broken {
    Here(io::Error),
    There(agentkernel_control::Error),
}

impl Broken {
    fn about(self, to: &Path) -> Failure {
        match self {
            Self::Here(error) => cannot_write(to, error),
            Self::There(error) => error.into(),
        }
    }
}

fn unpack(archive: agentkernel_control::ByteStream, place: &Place) -> Result<Vec<PathBuf>, Broken> {
    let mut reader = ChannelReader::new(archive);
    let unpacked = archive::unpack(&mut reader, place);
    // An error of the engine after the archive's own end must not be lost.
    let rest = unpacked.is_ok().then(|| io::copy(&mut reader, &mut io::sink()));
    match (reader.error.take(), unpacked, rest) {
        (Some(error), ..) => Err(Broken::There(error)),
        (None, Err(error), _) | (None, _, Some(Err(error))) => Err(Broken::Here(error)),
        (None, Ok(skipped), _) => Ok(skipped),
    }
}

/// As `cp -r` has it: into a folder that is there, or under a new name.
fn place(from: &Inside, to: &Path) -> Result<Place, Failure> {
    if from.content {
        return Ok(Place {
            folder: to.to_owned(),
            name: None,
        });
    }
    let name = from.path.file_name().map(OsString::from);
    let name =
        name.ok_or_else(|| wrong("the root of a sandbox has no name").hint("write NAME:/. for its content"))?;
    if to.is_dir() {
        return Ok(Place {
            folder: to.to_owned(),
            name: Some(name),
        });
    }
    if to.as_os_str().as_bytes().ends_with(b"/") {
        return Err(cannot_write(to, io::ErrorKind::NotFound.into()));
    }
    let parent = to
        .parent()
        .filter(|parent| *parent != Path::new(""))
        .unwrap_or(Path::new("."));
    let name = to
        .file_name()
        .ok_or_else(|| cannot_write(to, io::ErrorKind::NotFound.into()))?;
    Ok(Place {
        folder: parent.to_owned(),
        name: Some(name.to_owned()),
    })
}

fn cannot_write(path: &Path, error: io::Error) -> Failure {
    Failure::io("cp", format!("cannot write {}", path.display()), error)
}
