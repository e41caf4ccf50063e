//! What waits to be written to one connection. Bounded by its users: they stop at `is_full`.

use std::os::fd::BorrowedFd;

use agentkernel_protocol::{ToHost, encode, encode_in_place};
use rustix::io::Errno;

/// From here on nothing that can wait is added.
const FULL: usize = 512 << 10;

#[derive(Default)]
pub struct Outbox {
    bytes: Vec<u8>,
    sent: usize,
}

impl Outbox {
    pub fn push(&mut self, stream: u32, message: &ToHost) {
        encode(stream, message, &mut self.bytes)
            .expect("the agent's own messages are far below the largest frame");
    }

    /// Reads straight into a data message. Zero is the end of the source.
    pub fn fill(
        &mut self,
        stream: u32,
        data: u8,
        limit: usize,
        source: BorrowedFd<'_>,
    ) -> Result<usize, Errno> {
        encode_in_place(stream, data, limit, &mut self.bytes, |space| {
            rustix::io::read(source, space)
        })
    }

    pub fn is_full(&self) -> bool {
        self.bytes.len() - self.sent >= FULL
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.len() == self.sent
    }

    /// Writes what the peer takes. An error is the end of the connection.
    pub fn flush(&mut self, socket: BorrowedFd<'_>) -> Result<(), Errno> {
        while !self.is_empty() {
            match rustix::io::write(socket, &self.bytes[self.sent..]) {
                Ok(written) => self.sent += written,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    if self.sent >= FULL {
                        self.bytes.drain(..self.sent);
                        self.sent = 0;
                    }
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        self.bytes.clear();
        self.sent = 0;
        Ok(())
    }

    /// Gives unused memory back.
    pub fn trim(&mut self) {
        if self.is_empty() {
            *self = Self::default();
        }
    }
}
