//! One of the caller's descriptors, read or written without blocking and without changing it.
//!
//! `O_NONBLOCK` belongs to the open file description, which the caller's shell shares with us: setting
//! it there breaks the shell. So a pipe or terminal is opened a second time through /proc, a socket is
//! asked call by call, and whatever allows neither is asked whether it is ready first. Regular files and
//! devices that epoll refuses are always ready.

use std::{
    io,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
};

use bytes::Bytes;
use rustix::{
    buffer::spare_capacity,
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{FileType, Mode, OFlags},
    io::Errno,
    net::{RecvFlags, SendFlags},
};
use tokio::io::{Interest, unix::AsyncFd};

/// As much as a pipe holds, and as much as one message to a guest takes.
const CHUNK: usize = 64 << 10;
/// A pipe that is ready for writing takes this much without blocking (`PIPE_BUF`).
const ATOMIC: usize = 4096;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Direction {
    Read,
    Write,
}

#[derive(Debug)]
pub struct Endpoint {
    descriptor: Descriptor,
    direction: Direction,
}

#[derive(Debug)]
enum Descriptor {
    /// Never blocks for long, and cannot be waited for.
    Plain(OwnedFd),
    Waitable(AsyncFd<OwnedFd>, Way),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Way {
    /// A description of our own, which does not block.
    Reopened,
    /// Each call says that it must not block.
    Socket,
    /// Asked for readiness before each call.
    Polled,
}

impl Endpoint {
    /// Must be called within a runtime.
    pub fn open(descriptor: BorrowedFd<'_>, direction: Direction) -> io::Result<Self> {
        let (descriptor, way) = match reopen(descriptor, direction)? {
            Some(reopened) => (reopened, Way::Reopened),
            None if kind(descriptor)? == FileType::Socket => (descriptor.try_clone_to_owned()?, Way::Socket),
            None => (descriptor.try_clone_to_owned()?, Way::Polled),
        };
        let interest = match direction {
            Direction::Read => Interest::READABLE,
            Direction::Write => Interest::WRITABLE,
        };
        // SAFETY: the descriptor is owned, and `AsyncFd` keeps it until it has left epoll.
        let descriptor = match unsafe { AsyncFd::register_with_interest(descriptor, interest) } {
            Ok(waitable) => Descriptor::Waitable(waitable, way),
            Err(refused) => {
                let (descriptor, error) = refused.into_parts();
                // epoll refuses what is always ready.
                if error.raw_os_error() != Some(libc::EPERM) {
                    return Err(error);
                }
                Descriptor::Plain(descriptor)
            }
        };
        Ok(Self {
            descriptor,
            direction,
        })
    }

    /// The next bytes; empty at the end. Dropping the future loses nothing.
    pub async fn read(&self) -> io::Result<Bytes> {
        debug_assert_eq!(self.direction, Direction::Read);
        self.attempt(|descriptor, way| {
            let mut chunk = Vec::with_capacity(CHUNK);
            match way {
                Some(Way::Socket) => {
                    rustix::net::recv(descriptor, spare_capacity(&mut chunk), RecvFlags::DONTWAIT)?;
                }
                _ => {
                    rustix::io::read(descriptor, spare_capacity(&mut chunk))?;
                }
            }
            // A key stroke should not hold 64 KiB while it waits in a channel.
            let small = chunk.len() < ATOMIC;
            Ok(if small {
                Bytes::copy_from_slice(&chunk)
            } else {
                Bytes::from(chunk)
            })
        })
        .await
    }

    pub async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        debug_assert_eq!(self.direction, Direction::Write);
        while !bytes.is_empty() {
            let written = self
                .attempt(|descriptor, way| match way {
                    Some(Way::Socket) => {
                        rustix::net::send(descriptor, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)
                    }
                    Some(Way::Polled) => rustix::io::write(descriptor, &bytes[..bytes.len().min(ATOMIC)]),
                    _ => rustix::io::write(descriptor, bytes),
                })
                .await?;
            bytes = &bytes[written..];
        }
        Ok(())
    }

    /// Tries at once, and waits only when told to: then an end of file that no event announces is seen, too.
    async fn attempt<T>(
        &self,
        mut call: impl FnMut(BorrowedFd<'_>, Option<Way>) -> rustix::io::Result<T>,
    ) -> io::Result<T> {
        let (waitable, way) = match &self.descriptor {
            Descriptor::Plain(descriptor) => {
                return again(|| call(descriptor.as_fd(), None)).map_err(Into::into);
            }
            Descriptor::Waitable(waitable, way) => (waitable, *way),
        };
        let descriptor = waitable.get_ref().as_fd();
        let mut once = || {
            if way == Way::Polled && !self.is_ready(descriptor)? {
                return Err(Errno::AGAIN);
            }
            again(|| call(descriptor, Some(way)))
        };
        loop {
            match once() {
                Err(Errno::AGAIN) => {}
                done => return Ok(done?),
            }
            let mut guard = match self.direction {
                Direction::Read => waitable.readable().await?,
                Direction::Write => waitable.writable().await?,
            };
            match once() {
                Err(Errno::AGAIN) => guard.clear_ready(),
                done => return Ok(done?),
            }
        }
    }

    fn is_ready(&self, descriptor: BorrowedFd<'_>) -> rustix::io::Result<bool> {
        let wanted = match self.direction {
            Direction::Read => PollFlags::IN,
            Direction::Write => PollFlags::OUT,
        };
        let mut polled = [PollFd::new(&descriptor, wanted)];
        again(|| {
            poll(
                &mut polled,
                Some(&Timespec {
                    tv_sec: 0,
                    tv_nsec: 0,
                }),
            )
        })?;
        // A hang-up or error is an answer that the call itself gives.
        Ok(!polled[0].revents().is_empty())
    }
}

fn again<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> rustix::io::Result<T> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            done => return done,
        }
    }
}

fn kind(descriptor: BorrowedFd<'_>) -> io::Result<FileType> {
    Ok(FileType::from_raw_mode(rustix::fs::fstat(descriptor)?.st_mode))
}

/// A second, non-blocking description of a pipe or terminal. None where there cannot be one.
fn reopen(descriptor: BorrowedFd<'_>, direction: Direction) -> io::Result<Option<OwnedFd>> {
    let stat = rustix::fs::fstat(descriptor)?;
    let may_reopen = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Fifo => true,
        // Opening the multiplexer again would make a new terminal.
        FileType::CharacterDevice => rustix::termios::isatty(descriptor) && !is_multiplexer(stat.st_rdev),
        _ => false,
    };
    if !may_reopen {
        return Ok(None);
    }
    let access = match direction {
        Direction::Read => OFlags::RDONLY,
        Direction::Write => OFlags::WRONLY,
    };
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&descriptor));
    let flags = access | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    // Fails without /proc, after `su`, and when a pipe's reader has gone: then there is the slower way.
    Ok(rustix::fs::open(path, flags, Mode::empty()).ok())
}

/// The same number for /dev/ptmx and for the one in each devpts.
fn is_multiplexer(device: u64) -> bool {
    rustix::fs::major(device) == 5 && rustix::fs::minor(device) == 2
}

#[cfg(test)]
mod tests;
