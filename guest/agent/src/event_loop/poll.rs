//! The descriptors of one turn, and what each stands for.

use std::{os::fd::RawFd, time::Duration};

#[derive(Clone, Copy, Debug)]
pub enum Token {
    Signals,
    Listener,
    Connection(u32),
    /// Connection, stream, and which of its outputs.
    Output(u32, u32, usize),
    Input(u32, u32),
    Control(u32, u32),
    /// Process and which of its outputs.
    Detached(i32, usize),
}

#[derive(Default)]
pub struct PollSet {
    descriptors: Vec<libc::pollfd>,
    tokens: Vec<Token>,
}

impl PollSet {
    pub fn clear(&mut self) {
        self.descriptors.clear();
        self.tokens.clear();
    }

    pub fn add(&mut self, fd: RawFd, events: i16, token: Token) {
        self.descriptors.push(libc::pollfd {
            fd,
            events,
            revents: 0,
        });
        self.tokens.push(token);
    }

    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// How many are ready; None waits for ever.
    pub fn wait(&mut self, timeout: Option<Duration>) -> usize {
        // Rounded up, or the last millisecond would be spent in a busy loop.
        let milliseconds = timeout.map_or(-1, |timeout| {
            i32::try_from(timeout.as_micros().div_ceil(1000)).unwrap_or(-1)
        });
        // SAFETY: the array is ours and has this length.
        let ready = unsafe {
            libc::poll(
                self.descriptors.as_mut_ptr(),
                self.descriptors.len() as _,
                milliseconds,
            )
        };
        if ready < 0 {
            if std::io::Error::last_os_error().kind() != std::io::ErrorKind::Interrupted {
                // It would fail for ever, and an agent that hears nothing would outlive its owner.
                // SAFETY: ends the process, and as the first one the sandbox with it.
                unsafe { libc::_exit(1) };
            }
            // Interrupted: nothing of what it left there counts.
            self.descriptors
                .iter_mut()
                .for_each(|descriptor| descriptor.revents = 0);
        }
        usize::try_from(ready).unwrap_or(0)
    }

    pub fn ready(&self, index: usize) -> Option<(Token, i16)> {
        let events = self.descriptors[index].revents;
        (events != 0).then(|| (self.tokens[index], events))
    }
}
