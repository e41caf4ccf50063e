//! Removing trees that a hostile sandbox has made.
//!
//! Any depth, any number of entries, any names, folders without permissions, links to anywhere, and others at work in
//! the tree meanwhile. So: no recursion, no path longer than one name, no link followed, two folders open at most,
//! and no memory that grows with the tree. Folders that are not empty are moved into one flat trash folder, numbered,
//! and the numbers are the queue. What a crash leaves of that is again a tree beside the first one.
//!
//! Mounts are never crossed: moving a mount point fails.

use std::{
    ffi::CStr,
    io,
    mem::MaybeUninit,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    path::Path,
};

use rustix::{
    fs::{AtFlags, CWD, FileType, Mode, OFlags, RawDir},
    io::Errno,
    path::Arg,
};

use crate::store::random_bits;

/// How often a folder may turn out to be not empty after all, because somebody fills it.
const MAX_PASSES: usize = 64;
const BUFFER_SIZE: usize = 32 << 10;
const OPEN_FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Removes the file, link or folder at `path` with everything in it. The gone is a success.
///
/// The folder that `path` lies in must be out of the reach of others, and on the same file system: the trash folder
/// is made there and is gone at the end. Works for root and for the owner of the folders. Blocks for as long as it takes: about
/// 10 microseconds a file.
pub fn delete_tree(path: &Path) -> io::Result<()> {
    match remove_entry(CWD, path) {
        Err(Errno::NOTEMPTY | Errno::EXIST) => {}
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(errno) => return Err(errno.into()),
    }
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let place = parent.join(format!(".trash-{:016x}", random_bits()));
    with_room(CWD, path, || rustix::fs::mkdir(&place, Mode::RWXU))?;
    let trash = rustix::fs::open(&place, OPEN_FOLDER, Mode::empty())?;
    let mut queue = Queue {
        trash,
        next: 0,
        end: 0,
        buffer: vec![MaybeUninit::uninit(); BUFFER_SIZE],
    };
    let emptied = queue.take(CWD, path).and_then(|()| queue.work());
    // Kept with what is in it if it could not be emptied; then the first error tells more.
    let removed = rustix::fs::unlinkat(CWD, &place, AtFlags::REMOVEDIR);
    emptied?;
    Ok(removed?)
}

struct Queue {
    trash: OwnedFd,
    /// Folders `next` to `end` in the trash are to be removed.
    next: u64,
    end: u64,
    buffer: Vec<MaybeUninit<u8>>,
}

impl Queue {
    /// Moves a folder that is not empty to the end of the queue.
    fn take<P: Arg + Copy>(&mut self, parent: BorrowedFd<'_>, name: P) -> io::Result<()> {
        let number = self.end.to_string();
        let trash = &self.trash;
        let moved = with_room(parent, name, || {
            match rustix::fs::renameat(parent, name, trash, &number) {
                // Its entry `..` changes, so its owner needs the right to write to it.
                Err(Errno::ACCESS) => {
                    open_up(parent, name)?;
                    rustix::fs::renameat(parent, name, trash, &number)
                }
                moved => moved,
            }
        });
        match moved {
            Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(errno.into()),
            Ok(()) => {
                self.end += 1;
                Ok(())
            }
        }
    }

    fn work(&mut self) -> io::Result<()> {
        while self.next < self.end {
            let number = self.next.to_string();
            self.remove(&number)?;
            self.next += 1;
        }
        Ok(())
    }

    fn remove(&mut self, number: &str) -> io::Result<()> {
        for _ in 0..MAX_PASSES {
            match remove_entry(self.trash.as_fd(), number) {
                Err(Errno::NOTEMPTY | Errno::EXIST) => {}
                Ok(()) | Err(Errno::NOENT) => return Ok(()),
                Err(errno) => return Err(errno.into()),
            }
            let folder = open_folder(self.trash.as_fd(), number)?;
            self.empty(folder.as_fd())?;
        }
        Err(io::Error::new(
            io::ErrorKind::ResourceBusy,
            "a folder is filled again while it is removed",
        ))
    }

    /// One pass: removes what can be removed at once, and moves the other folders to the queue.
    fn empty(&mut self, folder: BorrowedFd<'_>) -> io::Result<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut entries = RawDir::new(folder, &mut buffer);
        let mut result = Ok(());
        while let Some(entry) = entries.next() {
            result = entry
                .map_err(io::Error::from)
                .and_then(|entry| match entry.file_name() {
                    name if is_dots(name) => Ok(()),
                    name => self.remove_or_take(folder, name, entry.file_type()),
                });
            if result.is_err() {
                break;
            }
        }
        self.buffer = buffer;
        result
    }

    fn remove_or_take(&mut self, folder: BorrowedFd<'_>, name: &CStr, kind: FileType) -> io::Result<()> {
        let removed = match kind {
            FileType::Directory => rustix::fs::unlinkat(folder, name, AtFlags::REMOVEDIR),
            _ => rustix::fs::unlinkat(folder, name, AtFlags::empty()),
        };
        match removed {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            // A folder that is not empty, or one that was a file when the folder was read, or the reverse.
            Err(Errno::NOTEMPTY | Errno::EXIST | Errno::ISDIR | Errno::NOTDIR | Errno::PERM) => {
                self.take(folder, name)
            }
            Err(errno) => Err(errno.into()),
        }
    }
}

/// Removes a file, a link or an empty folder.
fn remove_entry<P: Arg + Copy>(parent: BorrowedFd<'_>, name: P) -> rustix::io::Result<()> {
    match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
        // Linux says ISDIR for a folder, POSIX PERM, which is also said of a file that cannot be removed.
        Err(said @ (Errno::ISDIR | Errno::PERM)) => {
            match rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR) {
                Err(Errno::NOTDIR) => Err(said),
                removed => removed,
            }
        }
        removed => removed,
    }
}

/// Opens a folder with the rights to list it and to remove from it.
fn open_folder<P: Arg + Copy>(parent: BorrowedFd<'_>, name: P) -> rustix::io::Result<OwnedFd> {
    let folder = match rustix::fs::openat(parent, name, OPEN_FOLDER, Mode::empty()) {
        Err(Errno::ACCESS) => {
            open_up(parent, name)?;
            rustix::fs::openat(parent, name, OPEN_FOLDER, Mode::empty())?
        }
        opened => opened?,
    };
    if rustix::fs::fstat(&folder)?.st_mode & 0o700 != 0o700 {
        // Root needs no rights, and for others the next call says what is wrong.
        let _ = rustix::fs::fchmod(&folder, Mode::RWXU);
    }
    Ok(folder)
}

/// Gives the owner all rights to a folder that has none. Through a descriptor of the folder itself: a link that is put
/// in its place at this moment is not followed.
fn open_up<P: Arg>(parent: BorrowedFd<'_>, name: P) -> rustix::io::Result<()> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = rustix::fs::openat(parent, name, flags, Mode::empty())?;
    rustix::fs::chmod(format!("/proc/self/fd/{}", folder.as_raw_fd()), Mode::RWXU)
}

/// Runs `work`; while the disk is full, something of the tree goes first. Removing is the cure of a full disk, so
/// it must not fail on one.
fn with_room<P: Arg + Copy>(
    parent: BorrowedFd<'_>,
    tree: P,
    work: impl Fn() -> rustix::io::Result<()>,
) -> rustix::io::Result<()> {
    loop {
        match work() {
            Err(Errno::NOSPC | Errno::DQUOT) if free_some(parent, tree)? => {}
            worked => return worked,
        }
    }
}

/// Goes down along one branch until something could be removed. False: there is nothing.
fn free_some<P: Arg + Copy>(parent: BorrowedFd<'_>, tree: P) -> rustix::io::Result<bool> {
    let mut buffer = vec![MaybeUninit::uninit(); BUFFER_SIZE];
    let mut folder = open_folder(parent, tree)?;
    loop {
        let mut below = None;
        let mut entries = RawDir::new(&folder, &mut buffer);
        while let Some(entry) = entries.next() {
            let entry = entry?;
            if !is_dots(entry.file_name()) {
                match remove_entry(folder.as_fd(), entry.file_name()) {
                    Ok(()) => return Ok(true),
                    Err(_) => below = Some(entry.file_name().to_owned()),
                }
            }
        }
        match below {
            Some(name) => folder = open_folder(folder.as_fd(), name.as_c_str())?,
            None => return Ok(false),
        }
    }
}

fn is_dots(name: &CStr) -> bool {
    matches!(name.to_bytes(), b"." | b"..")
}
