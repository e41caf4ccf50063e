//! Unix sockets at paths of any length: the address itself holds at most 107 bytes.

use std::{
    io,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
};

use rustix::fs::{Mode, OFlags, open};

const LONGEST: usize = 107;

pub(crate) fn listen(path: &Path) -> io::Result<UnixListener> {
    let (_folder, address) = address(path)?;
    UnixListener::bind(address)
}

pub(crate) fn connect(path: &Path) -> io::Result<UnixStream> {
    let (_folder, address) = address(path)?;
    UnixStream::connect(address)
}

/// A short name for the path. It holds as long as the folder's descriptor is open.
fn address(path: &Path) -> io::Result<(Option<OwnedFd>, PathBuf)> {
    if path.as_os_str().len() <= LONGEST {
        return Ok((None, path.to_owned()));
    }
    let (parent, name) = path
        .parent()
        .zip(path.file_name())
        .ok_or(io::ErrorKind::InvalidInput)?;
    let folder = open(
        parent,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let address = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd())).join(name);
    Ok((Some(folder), address))
}
