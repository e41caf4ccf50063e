//! Files that are whole or not there.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::OpenOptionsExt,
    },
    path::Path,
};

use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags, RenameFlags, renameat_with},
    io::Errno,
};

/// Reads a regular file of at most `limit` bytes. One of another kind, or a longer one, is `InvalidData`.
pub fn read_bounded(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    // NONBLOCK: a pipe under that name must not make us wait for its writer.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)?;
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "it is not a regular file",
        ));
    }
    let length = usize::try_from(found.len()).unwrap_or(usize::MAX);
    let mut bytes = Vec::with_capacity(length.min(limit) + 1);
    file.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > limit {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("it is longer than {limit} bytes"),
        ));
    }
    Ok(bytes)
}

/// Writes a file, mode 0600, and waits until it is on the disk. What was there is overwritten.
pub fn write_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let flags = OFlags::NOFOLLOW.bits().cast_signed();
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .custom_flags(flags)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Waits until the names in a folder are on the disk.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// A folder as it is now, whatever happens to its name later.
pub fn open_folder(path: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, path, flags, Mode::empty())
}

/// Whether what was opened is what the path names now.
pub fn is_at(opened: impl AsFd, path: &Path) -> io::Result<bool> {
    let own = rustix::fs::fstat(opened)?;
    match rustix::fs::lstat(path) {
        Ok(named) => Ok((own.st_dev, own.st_ino) == (named.st_dev, named.st_ino)),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// Renames a folder, but never onto another one: `AlreadyExists` then.
pub fn rename_to_free_name(from: &Path, to: &Path) -> io::Result<()> {
    let renamed = match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Some network file systems do not know the flag. The plain call refuses a folder that is not empty, and one
        // of ours never is: it holds its lock.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => rustix::fs::rename(from, to),
        renamed => renamed,
    };
    match renamed {
        Err(Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR) => {
            Err(io::Error::from(io::ErrorKind::AlreadyExists))
        }
        renamed => Ok(renamed?),
    }
}

/// Whether a folder has an entry of that name.
pub fn has_entry(folder: impl AsFd, name: &str) -> io::Result<bool> {
    match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(_) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}
