//! A tar stream from a sandbox as files and folders of this machine.
//!
//! The sandbox is hostile: every name is taken apart, every parent is opened beneath the destination
//! without following any link, and nothing that exists is written through.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Read},
    os::{fd::OwnedFd, unix::ffi::OsStrExt as _},
    path::{Component, Path, PathBuf},
};

use rustix::{
    fs::{
        AtFlags, CWD, Mode, OFlags, ResolveFlags, Timespec, Timestamps, fchmod, futimens, mkdirat, openat,
        openat2, symlinkat, unlinkat,
    },
    io::Errno,
};
use tar::{Archive, Entry, EntryType};

/// Where the archive's one file or folder goes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Place {
    /// A folder that exists.
    pub folder: PathBuf,
    /// The new name. None: its content goes into `folder` itself.
    pub name: Option<OsString>,
}

/// What the archive has that cannot be made here is left out; its paths come back.
pub fn unpack(archive: impl Read, place: &Place) -> io::Result<Vec<PathBuf>> {
    let root = openat(
        CWD,
        &place.folder,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let mut unpacker = Unpacker {
        root,
        folders: Vec::new(),
        skipped: Vec::new(),
    };
    let mut archive = Archive::new(archive);
    for entry in archive.entries()? {
        unpacker.entry(&mut entry?, place.name.as_deref())?;
    }
    unpacker.finish()
}

struct Unpacker {
    root: OwnedFd,
    /// Their modes are set last: a folder without write permission could not be filled.
    folders: Vec<(PathBuf, Mode, Timestamps)>,
    skipped: Vec<PathBuf>,
}

impl Unpacker {
    fn entry(&mut self, entry: &mut Entry<'_, impl Read>, name: Option<&OsStr>) -> io::Result<()> {
        let path = entry.path()?.into_owned();
        let place = destination(&path, name)?;
        let made = match (entry.header().entry_type(), place.file_name()) {
            // The folder whose content is copied: it is there.
            (EntryType::Directory, None) => Ok(()),
            (_, None) => Err(refused("it is no folder")),
            (EntryType::Directory, Some(name)) => self.folder(entry, &place, name),
            (EntryType::Regular | EntryType::Continuous, Some(name)) => self.file(entry, &place, name),
            (EntryType::Symlink, Some(name)) => self.link(entry, &place, name),
            _ => {
                self.skipped.push(path.clone());
                Ok(())
            }
        };
        made.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
    }

    fn folder(&mut self, entry: &Entry<'_, impl Read>, place: &Path, name: &OsStr) -> io::Result<()> {
        let parent = self.parent(place)?;
        match mkdirat(&parent, name, Mode::RWXU) {
            // Into a folder that is there already: files are added to it.
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        // Opened so that a link in its place is an error.
        openat(
            &parent,
            name,
            OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        self.folders.push((place.to_owned(), mode(entry)?, times(entry)?));
        Ok(())
    }

    fn file(&self, entry: &mut Entry<'_, impl Read>, place: &Path, name: &OsStr) -> io::Result<()> {
        let parent = self.parent(place)?;
        make_room(&parent, name)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&parent, name, flags, Mode::RUSR | Mode::WUSR)?;
        let (mode, times) = (mode(entry)?, times(entry)?);
        let mut file = File::from(file);
        io::copy(entry, &mut file)?;
        fchmod(&file, mode)?;
        futimens(&file, &times)?;
        Ok(())
    }

    /// The target is kept as it is: a link is data, and nothing here follows it.
    fn link(&self, entry: &Entry<'_, impl Read>, place: &Path, name: &OsStr) -> io::Result<()> {
        let target = entry
            .link_name_bytes()
            .ok_or_else(|| refused("the link has no target"))?;
        let parent = self.parent(place)?;
        make_room(&parent, name)?;
        Ok(symlinkat(OsStr::from_bytes(&target), &parent, name)?)
    }

    /// Innermost first: a folder may lose the permission that its own folders need.
    fn finish(self) -> io::Result<Vec<PathBuf>> {
        for (path, mode, times) in self.folders.iter().rev() {
            let folder = beneath(&self.root, path, OFlags::RDONLY)?;
            fchmod(&folder, *mode)?;
            futimens(&folder, times)?;
        }
        Ok(self.skipped)
    }

    fn parent(&self, place: &Path) -> io::Result<OwnedFd> {
        match place.parent() {
            Some(parent) if parent != Path::new("") => beneath(&self.root, parent, OFlags::PATH),
            _ => Ok(self.root.try_clone()?),
        }
    }
}

/// Where an entry goes, relative to the root: `proj/src/a` becomes `name/src/a`, or `src/a` without a name.
fn destination(path: &Path, name: Option<&OsStr>) -> io::Result<PathBuf> {
    let mut parts = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(part) => parts.push(part),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                return Err(refused(&format!(
                    "the archive has the path {path:?}, which leads out of it"
                )));
            }
        }
    }
    let (_, rest) = parts
        .split_first()
        .ok_or_else(|| refused("the archive has an entry without a name"))?;
    Ok(name.into_iter().chain(rest.iter().copied()).collect())
}

fn beneath(root: &OwnedFd, path: &Path, access: OFlags) -> io::Result<OwnedFd> {
    let flags = access | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    Ok(openat2(root, path, flags, Mode::empty(), resolve)?)
}

/// Takes a file or link out of the way. A folder stays: what follows then fails by its name.
fn make_room(parent: &OwnedFd, name: &OsStr) -> io::Result<()> {
    match unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn mode(entry: &Entry<'_, impl Read>) -> io::Result<Mode> {
    Ok(Mode::from_raw_mode(entry.header().mode()? & 0o777))
}

fn times(entry: &Entry<'_, impl Read>) -> io::Result<Timestamps> {
    let seconds = i64::try_from(entry.header().mtime()?).unwrap_or(0);
    let time = Timespec {
        tv_sec: seconds,
        tv_nsec: 0,
    };
    Ok(Timestamps {
        last_access: time,
        last_modification: time,
    })
}

fn refused(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}
