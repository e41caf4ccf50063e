//! The input of one command, under credit.

use std::{
    collections::VecDeque,
    os::fd::{AsRawFd, OwnedFd, RawFd},
    rc::Rc,
};

use agentkernel_protocol::{ToHost, WINDOW};
use rustix::{
    io::Errno,
    pipe::fcntl_setpipe_size,
    termios::{LocalModes, tcgetattr},
};

use crate::outbox::Outbox;

const LARGE_PIPE: usize = 256 << 10;
/// Credit is given back in pieces of at least this size, so that it costs few messages.
const GRANT: u32 = WINDOW / 4;

pub struct Sink {
    /// None: whatever comes is thrown away.
    descriptor: Option<Rc<OwnedFd>>,
    is_terminal: bool,
    enlarged: bool,
    queue: VecDeque<Vec<u8>>,
    /// So much of the first piece has been written.
    offset: usize,
    /// The host has said that no more comes.
    closing: bool,
    last_byte: u8,
    credit: Credit,
}

/// What the host may still send, and what it has not been told yet.
pub struct Credit {
    allowed: u32,
    owed: u32,
}

impl Credit {
    pub fn new() -> Self {
        Self {
            allowed: WINDOW,
            owed: 0,
        }
    }

    /// False: the host sends more than it may.
    pub fn take(&mut self, length: usize) -> bool {
        match u32::try_from(length)
            .ok()
            .and_then(|length| self.allowed.checked_sub(length))
        {
            Some(rest) => {
                self.allowed = rest;
                true
            }
            None => false,
        }
    }

    pub fn give_back(&mut self, length: usize, stream: u32, outbox: &mut Outbox) {
        self.owed += length as u32;
        if self.owed >= GRANT {
            outbox.push(stream, &ToHost::StdinCredit(self.owed));
            self.allowed += self.owed;
            self.owed = 0;
        }
    }
}

impl Sink {
    pub fn new(descriptor: Option<Rc<OwnedFd>>, is_terminal: bool) -> Self {
        Self {
            descriptor,
            is_terminal,
            enlarged: is_terminal,
            queue: VecDeque::new(),
            offset: 0,
            closing: false,
            last_byte: b'\n',
            credit: Credit::new(),
        }
    }

    /// Where it waits to write; None if it has nothing to write.
    pub fn waits(&self) -> Option<RawFd> {
        self.descriptor
            .as_ref()
            .filter(|_| !self.queue.is_empty())
            .map(|descriptor| descriptor.as_raw_fd())
    }

    /// False: more than was granted.
    pub fn push(&mut self, bytes: Vec<u8>, stream: u32, outbox: &mut Outbox) -> bool {
        if !self.credit.take(bytes.len()) {
            return false;
        }
        if let Some(&last) = bytes.last().filter(|_| !self.closing) {
            self.last_byte = last;
            self.queue.push_back(bytes);
            self.write(stream, outbox);
        }
        true
    }

    pub fn close(&mut self, stream: u32, outbox: &mut Outbox) {
        if !self.closing {
            self.closing = true;
            self.write(stream, outbox);
        }
    }

    /// Writes what the command takes.
    pub fn write(&mut self, stream: u32, outbox: &mut Outbox) {
        while let Some(piece) = self.queue.front() {
            let rest = &piece[self.offset..];
            let Some(descriptor) = &self.descriptor else {
                self.credit.give_back(rest.len(), stream, outbox);
                self.next_piece();
                continue;
            };
            match rustix::io::write(descriptor, rest) {
                Ok(written) => {
                    self.offset += written;
                    let done = written == rest.len();
                    self.credit.give_back(written, stream, outbox);
                    if done {
                        self.next_piece();
                    }
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return self.enlarge(),
                // The command has closed its input: the rest goes nowhere, as in any pipe.
                Err(_) => self.descriptor = None,
            }
        }
        if self.closing {
            self.end();
        }
    }

    fn next_piece(&mut self) {
        self.queue.pop_front();
        self.offset = 0;
    }

    fn enlarge(&mut self) {
        if let (Some(descriptor), false) = (&self.descriptor, self.enlarged) {
            self.enlarged = true;
            // Refused beyond the user's limit: then it stays as it is.
            let _ = fcntl_setpipe_size(descriptor, LARGE_PIPE);
        }
    }

    /// A pipe ends when it is closed; a terminal when its end-of-file character is typed, which it only knows in
    /// line mode, and in the middle of a line only the second time.
    fn end(&mut self) {
        let Some(descriptor) = self.descriptor.take() else {
            return;
        };
        if !self.is_terminal {
            return;
        }
        if let Ok(modes) = tcgetattr(&*descriptor)
            && modes.local_modes.contains(LocalModes::ICANON)
        {
            let character = modes.special_codes[rustix::termios::SpecialCodeIndex::VEOF];
            let count = if self.last_byte == b'\n' { 1 } else { 2 };
            // A terminal that is full of unread lines loses it: then nobody reads them anyway.
            let _ = rustix::io::write(&*descriptor, &[character; 2][..count]);
        }
    }
}
