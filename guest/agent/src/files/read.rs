//! Reading a file, under credit.

use std::os::fd::{AsFd, OwnedFd};

use agentkernel_protocol::{MAX_CHUNK, ToHost, WINDOW, data};
use rustix::fs::{FileType, OFlags, fstat};

use super::beneath::{checked, open};
use crate::{
    exec::State,
    failure::{Failure, Result, shown},
    outbox::Outbox,
};

/// Pieces in one step: then the others have their turn.
const PIECES: usize = 4;

pub struct Reading {
    file: OwnedFd,
    pub credit: u32,
    path: Vec<u8>,
}

impl Reading {
    pub fn begin(root: impl AsFd, path: &[u8]) -> Result<Self> {
        // Without waiting: a named pipe would keep us until somebody writes to it.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let fail = |errno| Failure::errno(errno, "read", path);
        let file = open(root, checked(path)?, flags).map_err(fail)?;
        let kind = FileType::from_raw_mode(fstat(&file).map_err(fail)?.st_mode);
        if kind != FileType::RegularFile {
            return Err(Failure::invalid(format!(
                "cannot read {}: it is not a regular file",
                shown(path)
            )));
        }
        Ok(Self {
            file,
            credit: WINDOW,
            path: path.to_vec(),
        })
    }

    pub fn step(&mut self, stream: u32, outbox: &mut Outbox) -> Result<State> {
        for _ in 0..PIECES {
            if self.credit == 0 || outbox.is_full() {
                break;
            }
            let limit = (self.credit as usize).min(MAX_CHUNK);
            let read = outbox.fill(stream, data::FILE_TO_HOST, limit, self.file.as_fd());
            match read.map_err(|errno| Failure::errno(errno, "read", &self.path))? {
                0 => {
                    outbox.push(stream, &ToHost::Done);
                    return Ok(State::Ended);
                }
                length => self.credit -= length as u32,
            }
        }
        Ok(State::Open)
    }
}
