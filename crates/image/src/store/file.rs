//! Files that are whole or not there.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
};

use rustix::{
    fs::{CWD, OFlags, RenameFlags},
    io::Errno,
};

use super::lock::{Kind, Lock};

/// Opens what is ours: no link is followed, nothing makes us wait.
pub fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
}

/// For locks. Makes the file if it is missing.
pub fn open_or_make(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
}

/// All of a file that has at most `limit` bytes.
pub fn read_bounded(file: &File, limit: u64) -> io::Result<Vec<u8>> {
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(invalid("it is not a regular file".to_owned()));
    }
    let room = usize::try_from(found.len().min(limit)).unwrap_or(0);
    let mut bytes = Vec::with_capacity(room + 1);
    file.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(invalid(format!("it is longer than {limit} bytes")));
    }
    Ok(bytes)
}

/// What to do with a file of that name that is there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Existing {
    Kept,
    Replaced,
}

/// Writes a file beside (in `incoming`) and gives it its name when it is on the disk. False: one was there and was
/// kept.
pub fn write(incoming: &Path, path: &Path, bytes: &[u8], existing: Existing) -> io::Result<bool> {
    let (unnamed, lock) = make_locked(incoming)?;
    let written = (|| {
        lock.file().write_all(bytes)?;
        lock.file().sync_all()?;
        let flags = match existing {
            Existing::Kept => RenameFlags::NOREPLACE,
            Existing::Replaced => RenameFlags::empty(),
        };
        match rustix::fs::renameat_with(CWD, &unnamed, CWD, path, flags) {
            Err(Errno::EXIST) => Ok(false),
            renamed => renamed.map(|()| true).map_err(io::Error::from),
        }
    })();
    if !matches!(written, Ok(true)) {
        let _ = std::fs::remove_file(&unnamed);
    }
    if let (Ok(true), Some(folder)) = (&written, path.parent()) {
        sync_folder(folder)?;
    }
    written
}

/// A new file that nobody takes for a leftover: it is locked.
pub fn make_locked(incoming: &Path) -> io::Result<(std::path::PathBuf, Lock)> {
    loop {
        let path = incoming.join(format!("{:016x}.new", random_bits()));
        let made = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path);
        let file = match made {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            made => made?,
        };
        let lock = Lock::wait(file, Kind::Exclusive)?;
        // Between the two calls somebody may have taken it for a leftover.
        if lock.file().metadata()?.nlink() > 0 {
            return Ok((path, lock));
        }
    }
}

pub fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Different at every call, in every process. No secret.
pub fn random_bits() -> u64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u32(std::process::id());
    hasher.finish()
}

fn invalid(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}
