//! One stream of output on its way to the host, under credit.

use std::{
    os::fd::{AsFd, AsRawFd, OwnedFd, RawFd},
    rc::Rc,
};

use rustix::{io::Errno, pipe::fcntl_setpipe_size};

use crate::outbox::Outbox;

/// A pipe that was found full gets this size.
const LARGE_PIPE: usize = 256 << 10;
/// As much as a pipe holds at first: a read of this much found it full.
const FULL_READ: usize = 64 << 10;

pub struct Source {
    descriptor: Rc<OwnedFd>,
    is_pipe: bool,
    enlarged: bool,
    /// The writer has ended: so much is read and no more, for a process that it left behind may write on.
    left: Option<u64>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Pumped {
    Some(usize),
    /// Nothing now.
    Nothing,
    /// Never again.
    End,
}

impl Source {
    pub fn pipe(descriptor: OwnedFd) -> Self {
        Self {
            descriptor: Rc::new(descriptor),
            is_pipe: true,
            enlarged: false,
            left: None,
        }
    }

    pub fn terminal(descriptor: Rc<OwnedFd>) -> Self {
        Self {
            descriptor,
            is_pipe: false,
            enlarged: true,
            left: None,
        }
    }

    pub fn raw(&self) -> RawFd {
        self.descriptor.as_raw_fd()
    }

    /// The main process has ended: what it wrote is there already.
    pub fn finish(&mut self) {
        /// A terminal cannot say how much it holds, but never holds more.
        const TERMINAL_HOLDS: u64 = 256 << 10;
        self.left = match self.is_pipe {
            true => Some(rustix::io::ioctl_fionread(&*self.descriptor).unwrap_or(0)),
            false => Some(TERMINAL_HOLDS),
        };
    }

    /// Reads one piece of at most `credit` bytes into a message.
    pub fn pump(&mut self, stream: u32, data: u8, credit: u32, outbox: &mut Outbox) -> Pumped {
        self.take(credit as usize, |limit, descriptor| {
            outbox.fill(stream, data, limit, descriptor.as_fd())
        })
    }

    /// Reads one piece by `read`, which gets the limit.
    pub fn take(
        &mut self,
        limit: usize,
        read: impl FnOnce(usize, &OwnedFd) -> Result<usize, Errno>,
    ) -> Pumped {
        if self.left == Some(0) {
            return Pumped::End;
        }
        let limit = self.left.map_or(limit, |left| {
            limit.min(usize::try_from(left).unwrap_or(usize::MAX))
        });
        if limit == 0 {
            return Pumped::Nothing;
        }
        match read(limit, &self.descriptor) {
            Ok(0) => Pumped::End,
            Ok(length) => {
                self.enlarge(length);
                if let Some(left) = &mut self.left {
                    *left -= length as u64;
                }
                Pumped::Some(length)
            }
            Err(Errno::INTR) => Pumped::Nothing,
            Err(Errno::AGAIN) if self.left.is_none() => Pumped::Nothing,
            // For a terminal EIO is the end: nobody has it open. Other errors do not exist for pipes.
            Err(_) => Pumped::End,
        }
    }

    /// Only where it pays: a user's memory for pipes is limited, so most commands keep the small one.
    fn enlarge(&mut self, read: usize) {
        if read >= FULL_READ && !self.enlarged {
            self.enlarged = true;
            // Refused beyond the user's limit: then it stays as it is.
            let _ = fcntl_setpipe_size(&*self.descriptor, LARGE_PIPE);
        }
    }
}
