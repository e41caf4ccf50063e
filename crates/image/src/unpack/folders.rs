//! Modes and times of folders, for the end: a folder without write permission could not be filled, and every file in
//! one changes its time.
//!
//! There may be millions: they lie in a nameless file, and memory holds where and how deep.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    os::{fd::OwnedFd, unix::fs::FileExt},
};

use rustix::fs::{Mode, OFlags, fchmod, futimens};

use super::{attributes::timestamps, fault::Fault, tree::open_beneath};

#[derive(Debug)]
pub(super) struct Folders {
    spool: BufWriter<File>,
    length: u64,
    /// Depth and place in the spool.
    index: Vec<(u16, u64)>,
}

/// How a folder is to look.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Look {
    pub(super) mode: u32,
    pub(super) mtime: (i64, u32),
}

const HEAD: usize = 18;

impl Folders {
    /// `spool`: an empty file that is open for reading and writing.
    pub(super) fn new(spool: File) -> Self {
        Self {
            spool: BufWriter::with_capacity(64 << 10, spool),
            length: 0,
            index: Vec::new(),
        }
    }

    /// The last one counts if a folder comes twice.
    pub(super) fn note(&mut self, path: &[u8], look: Look) -> io::Result<()> {
        let depth = match path {
            [] => 0,
            path => 1 + path.iter().filter(|&&byte| byte == b'/').count(),
        };
        // Depths and lengths are within the limits of names by now.
        let number = |value: usize| u16::try_from(value).map_err(io::Error::other);
        let mut head = [0; HEAD];
        head[..4].copy_from_slice(&look.mode.to_le_bytes());
        head[4..12].copy_from_slice(&look.mtime.0.to_le_bytes());
        head[12..16].copy_from_slice(&look.mtime.1.to_le_bytes());
        head[16..].copy_from_slice(&number(path.len())?.to_le_bytes());
        self.spool.write_all(&head)?;
        self.spool.write_all(path)?;
        self.index.push((number(depth)?, self.length));
        self.length += (HEAD + path.len()) as u64;
        Ok(())
    }

    /// Deepest first: a folder may lose the permission that its own folders need.
    pub(super) fn apply(mut self, root: &OwnedFd) -> Result<(), Fault> {
        let unread = |error| Fault::broken("read back what folders look like", error);
        self.spool.flush().map_err(unread)?;
        let spool = self.spool.get_ref();
        self.index.sort_by_key(|&(depth, at)| (u16::MAX - depth, at));
        for &(_, at) in &self.index {
            let (path, look) = read(spool, at).map_err(unread)?;
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let folder = match open_beneath(root, &path, flags) {
                Ok(folder) => folder,
                // An empty folder that a later entry has replaced.
                Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR | rustix::io::Errno::LOOP) => {
                    continue;
                }
                Err(error) => return Err(Fault::broken("open a folder to finish it", error)),
            };
            fchmod(&folder, Mode::from_raw_mode(look.mode))
                .and_then(|()| futimens(&folder, &timestamps(look.mtime)))
                .map_err(|error| Fault::broken("finish a folder", error))?;
        }
        Ok(())
    }
}

fn read(spool: &File, at: u64) -> io::Result<(Vec<u8>, Look)> {
    let mut head = [0; HEAD];
    spool.read_exact_at(&mut head, at)?;
    let (mode, rest) = head.split_at(4);
    let (seconds, rest) = rest.split_at(8);
    let (nanoseconds, length) = rest.split_at(4);
    let look = Look {
        mode: u32::from_le_bytes(mode.try_into().expect("four bytes")),
        mtime: (
            i64::from_le_bytes(seconds.try_into().expect("eight bytes")),
            u32::from_le_bytes(nanoseconds.try_into().expect("four bytes")),
        ),
    };
    let length = u16::from_le_bytes(length.try_into().expect("two bytes"));
    let mut path = vec![0; usize::from(length)];
    spool.read_exact_at(&mut path, at + HEAD as u64)?;
    Ok((path, look))
}
