//! Writing a file: beside its place, then renamed over it.

use std::{
    ffi::CString,
    os::fd::{AsFd, OwnedFd},
};

use rustix::{
    fs::{
        AtFlags, FileType, Mode, OFlags, Timespec, Timestamps, fchmod, futimens, openat, renameat, statat,
        unlinkat,
    },
    io::Errno,
    time::{ClockId, clock_gettime},
};

use super::beneath::{Place, followed_place};
use crate::{
    detached::write_all,
    exec::Credit,
    failure::{Failure, Result, shown},
};

pub struct Writing {
    place: Place,
    temporary: CString,
    file: OwnedFd,
    mode: u32,
    modified: Option<i64>,
    path: Vec<u8>,
    pub credit: Credit,
    complete: bool,
}

impl Writing {
    pub fn begin(root: impl AsFd, path: &[u8], mode: u32, modified: Option<i64>) -> Result<Self> {
        let place = followed_place(root, path, "write")?;
        match statat(&place.folder, &*place.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile => {
                return Err(Failure::invalid(format!(
                    "cannot write {}: it is not a regular file",
                    shown(path)
                )));
            }
            Ok(_) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(Failure::errno(errno, "write", path)),
        }
        let (temporary, file) =
            temporary(&place.folder).map_err(|errno| Failure::errno(errno, "write", path))?;
        let (path, credit) = (path.to_vec(), Credit::new());
        Ok(Self {
            place,
            temporary,
            file,
            mode: mode & 0o777,
            modified,
            path,
            credit,
            complete: false,
        })
    }

    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        write_all(self.file.as_fd(), bytes).map_err(|errno| Failure::errno(errno, "write", &self.path))
    }

    /// The file appears.
    pub fn finish(mut self) -> Result<()> {
        self.try_finish()
            .map_err(|errno| Failure::errno(errno, "write", &self.path))
    }

    fn try_finish(&mut self) -> Result<(), Errno> {
        fchmod(&self.file, Mode::from_raw_mode(self.mode))?;
        if let Some(seconds) = self.modified {
            let time = Timespec {
                tv_sec: seconds,
                tv_nsec: 0,
            };
            futimens(
                &self.file,
                &Timestamps {
                    last_access: time,
                    last_modification: time,
                },
            )?;
        }
        renameat(
            &self.place.folder,
            &*self.temporary,
            &self.place.folder,
            &*self.place.name,
        )?;
        self.complete = true;
        Ok(())
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        if !self.complete {
            let _ = unlinkat(&self.place.folder, &*self.temporary, AtFlags::empty());
        }
    }
}

/// A new file under a name that nobody has.
fn temporary(folder: &OwnedFd) -> Result<(CString, OwnedFd), Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    for _ in 0..64 {
        // Enough to tell names apart: nothing secret depends on it, and a name that is taken is refused.
        let now = clock_gettime(ClockId::Monotonic);
        let name = format!(".agentkernel-{:x}-{:x}", now.tv_sec, now.tv_nsec);
        let name = CString::new(name).expect("no NUL in it");
        match openat(folder, &*name, flags, Mode::RUSR | Mode::WUSR) {
            Err(Errno::EXIST) => {}
            result => return result.map(|file| (name, file)),
        }
    }
    Err(Errno::EXIST)
}
