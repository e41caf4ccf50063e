//! Images in use.

use std::{
    io,
    os::unix::fs::MetadataExt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use agentkernel_types::{Digest, ErrorKind};
use rustix::fs::{Timespec, Timestamps, UTIME_NOW};

use super::{
    Store,
    file::open,
    lock::{Kind, Lock},
    owner, record,
};
use crate::{Error, Image, Result, failure::io_error};

/// An image in use: it cannot be removed as long as this lives.
#[derive(Debug)]
pub struct Lease {
    pub image: Image,
    _record: Lock,
}

impl Store {
    /// Takes an image into use, and notes the time. One small file is read: this is on the path of every run.
    pub fn lease(&self, id: &Digest) -> Result<Lease> {
        let path = self.layout.image(id);
        let gone = || {
            Error::new(
                ErrorKind::NotFound,
                "image",
                format!("the image {} is not in the store", id.short()),
            )
            .hint("agentkernel image list shows what is there")
        };
        let file = match open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(gone()),
            opened => opened.map_err(io_error("open", &path))?,
        };
        let lock = Lock::wait_for(file, Kind::Shared, self.patience)
            .map_err(io_error("lock", &path))?
            .ok_or_else(|| {
                Error::new(
                    ErrorKind::Conflict,
                    "image",
                    format!("the image {} is being removed", id.short()),
                )
            })?;
        let found = lock.file().metadata().map_err(io_error("examine", &path))?;
        if found.nlink() == 0 {
            return Err(gone());
        }
        owner::check(&self.layout, found.uid())?;
        let record = record::read_image(lock.file(), &path, id)?;
        touch(&lock).map_err(io_error("note the use of", &path))?;
        Ok(Lease {
            image: record.into_image(&self.layout),
            _record: lock,
        })
    }

    /// Looks at an image without taking it into use.
    pub fn get(&self, id: &Digest) -> Result<Option<Image>> {
        let path = self.layout.image(id);
        match open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io_error("open", &path)(error)),
            Ok(file) => {
                let record = record::read_image(&file, &path, id)?;
                Ok(Some(record.into_image(&self.layout)))
            }
        }
    }
}

/// Notes the time of the last use: only the owner may, and that is checked.
pub fn touch(lock: &Lock) -> io::Result<()> {
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: UTIME_NOW,
    };
    let times = Timestamps {
        last_access: now,
        last_modification: now,
    };
    rustix::fs::futimens(lock.file(), &times).map_err(io::Error::from)
}

/// Milliseconds since 1970.
pub fn now_ms() -> u64 {
    to_ms(SystemTime::now())
}

pub fn to_ms(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
