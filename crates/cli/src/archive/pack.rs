//! A file or folder of this machine as a tar stream.

use std::{
    ffi::{CStr, OsStr},
    fs::File,
    io::{self, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, openat, readlinkat, statat},
    io::Errno,
};
use tar::{Builder, EntryType, Header};

/// What is neither a file, a folder nor a link is left out; its paths come back.
#[derive(Debug, Default)]
pub struct Skipped(pub Vec<PathBuf>);

/// Writes `source` under the name `name`, or only its content if there is no name.
pub fn pack(source: &Path, name: Option<&OsStr>, output: impl Write) -> io::Result<Skipped> {
    let mut packer = Packer {
        archive: Builder::new(output),
        skipped: Skipped::default(),
    };
    match name {
        Some(name) => packer.entry(CWD, source.as_os_str(), Path::new(name))?,
        None => {
            // The slash follows a link to the folder: its content was asked for.
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            packer.content(openat(CWD, source, flags, Mode::empty())?, Path::new(""))?;
        }
    }
    packer.archive.into_inner()?.flush()?;
    Ok(packer.skipped)
}

struct Packer<W: Write> {
    archive: Builder<W>,
    skipped: Skipped,
}

impl<W: Write> Packer<W> {
    fn entry(&mut self, folder: impl AsFd, name: &OsStr, path: &Path) -> io::Result<()> {
        let stat =
            statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW).map_err(|error| named(error.into(), path))?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => self.file(folder, name, path),
            FileType::Directory => self.folder(folder, name, path),
            FileType::Symlink => self.link(folder, name, path, &stat),
            _ => {
                self.skipped.0.push(path.to_owned());
                Ok(())
            }
        }
        .map_err(|error| named(error, path))
    }

    fn file(&mut self, folder: impl AsFd, name: &OsStr, path: &Path) -> io::Result<()> {
        // A fifo that has taken the file's place must not make the open wait.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = openat(folder, name, flags, Mode::empty())?;
        let stat = rustix::fs::fstat(&file)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(io::Error::other("it was replaced while it was copied"));
        }
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        let mut header = header(EntryType::Regular, &stat, size);
        let mut content = Exactly {
            file: File::from(file),
            left: size,
        };
        self.archive.append_data(&mut header, path, &mut content)
    }

    fn folder(&mut self, folder: impl AsFd, name: &OsStr, path: &Path) -> io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = openat(folder, name, flags, Mode::empty())?;
        let mut header = header(EntryType::Directory, &rustix::fs::fstat(&folder)?, 0);
        self.archive.append_data(&mut header, path, io::empty())?;
        self.content(folder, path)
    }

    fn content(&mut self, folder: OwnedFd, path: &Path) -> io::Result<()> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&folder)? {
            let entry = entry?;
            if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
                names.push(entry.file_name().to_owned());
            }
        }
        // The same folder gives the same archive.
        names.sort();
        names.iter().try_for_each(|name| {
            let name = as_name(name);
            self.entry(&folder, name, &path.join(name))
        })
    }

    fn link(&mut self, folder: impl AsFd, name: &OsStr, path: &Path, stat: &Stat) -> io::Result<()> {
        let target = readlinkat(folder, name, Vec::new())?;
        self.archive.append_link(
            &mut header(EntryType::Symlink, stat, 0),
            path,
            Path::new(as_name(&target)),
        )
    }
}

/// Without owner and set-id bits: a sandbox has one user, and no use for the others.
fn header(kind: EntryType, stat: &Stat, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(stat.st_mode & 0o777);
    header.set_mtime(u64::try_from(stat.st_mtime).unwrap_or(0));
    header.set_uid(0);
    header.set_gid(0);
    header
}

fn as_name(name: &CStr) -> &OsStr {
    OsStr::from_bytes(name.to_bytes())
}

/// Keeps the kind of the error, which decides what it means, and says where it happened.
fn named(error: io::Error, path: &Path) -> io::Error {
    match error.raw_os_error() {
        Some(number) => {
            let text = Errno::from_raw_os_error(number);
            io::Error::new(error.kind(), format!("{}: {text}", path.display()))
        }
        None => error,
    }
}

/// As many bytes as the header has promised: a file that shrinks meanwhile would shift all that follows.
struct Exactly {
    file: File,
    left: u64,
}

impl io::Read for Exactly {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Ok(0);
        }
        let read = (&mut self.file).take(self.left).read(buffer)?;
        if read == 0 {
            return Err(io::Error::other("a file became shorter while it was copied"));
        }
        self.left -= read as u64;
        Ok(read)
    }
}
