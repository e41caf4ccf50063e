//! One connection: frames in, messages out, and the streams between.

use std::{
    collections::BTreeMap,
    os::fd::{AsFd, AsRawFd, OwnedFd, RawFd},
    time::{Duration, Instant},
};

use agentkernel_protocol::{CONNECTION, Decoder, FailureKind, Hello, ToGuest, ToHost};
use rustix::io::Errno;

use crate::{
    exec::{Command, State},
    files::FileOperation,
    outbox::Outbox,
    requests,
    sandbox::Sandbox,
};

/// A stranger who says nothing gives his place back.
const GREETING: Duration = Duration::from_secs(10);
/// Reads in one turn: then the others have theirs.
const READS: usize = 4;

pub struct Connection {
    socket: OwnedFd,
    decoder: Decoder,
    pub outbox: Outbox,
    pub is_owner: bool,
    pub phase: Phase,
    pub streams: BTreeMap<u32, Stream>,
    /// Messages wait in the decoder until there is room for their answers.
    is_stalled: bool,
    since: Instant,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Phase {
    /// Nothing has come yet.
    Greeting,
    /// The owner's, before `Boot`.
    Booting,
    Serving,
}

pub enum Stream {
    Command(Box<Command>),
    File(FileOperation),
}

/// The connection is over, by the peer or because of it.
#[derive(Debug)]
pub struct Lost;

impl Connection {
    pub fn owner(socket: OwnedFd) -> Self {
        Self::new(socket, true)
    }

    pub fn accepted(socket: OwnedFd) -> Self {
        Self::new(socket, false)
    }

    fn new(socket: OwnedFd, is_owner: bool) -> Self {
        let mut outbox = Outbox::default();
        outbox.push(
            CONNECTION,
            &ToHost::Hello(Hello::new(concat!(
                "agentkernel-agent ",
                env!("CARGO_PKG_VERSION")
            ))),
        );
        Self {
            socket,
            decoder: Decoder::new(),
            outbox,
            is_owner,
            phase: Phase::Greeting,
            streams: BTreeMap::new(),
            is_stalled: false,
            since: Instant::now(),
        }
    }

    pub fn raw(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// What the poll loop waits for on the socket.
    pub fn interest(&self) -> i16 {
        let read = if self.outbox.is_full() { 0 } else { libc::POLLIN };
        let write = if self.outbox.is_empty() { 0 } else { libc::POLLOUT };
        read | write
    }

    pub fn is_late(&self, now: Instant) -> bool {
        self.is_greeting() && now.duration_since(self.since) > GREETING
    }

    pub fn is_greeting(&self) -> bool {
        self.phase == Phase::Greeting && !self.is_owner
    }

    /// Takes what has come.
    pub fn receive(&mut self, sandbox: &mut Sandbox) -> Result<(), Lost> {
        for _ in 0..READS {
            self.serve(sandbox)?;
            if self.is_stalled {
                break;
            }
            let space = self.decoder.space();
            let room = space.len();
            match rustix::io::read(&self.socket, space) {
                Ok(0) => return Err(Lost),
                Ok(length) => {
                    self.decoder.advance(length);
                    if length < room {
                        return self.serve(sandbox);
                    }
                }
                Err(Errno::AGAIN | Errno::INTR) => break,
                Err(_) => return Err(Lost),
            }
        }
        self.serve(sandbox)
    }

    fn serve(&mut self, sandbox: &mut Sandbox) -> Result<(), Lost> {
        loop {
            self.is_stalled = self.outbox.is_full();
            if self.is_stalled {
                return Ok(());
            }
            let served = match self.decoder.decode::<ToGuest>() {
                Ok(None) => return Ok(()),
                Ok(Some((stream, message))) => requests::serve(self, sandbox, stream, message),
                Err(error) => Err(requests::Violation(error.to_string())),
            };
            if let Err(requests::Violation(message)) = served {
                self.outbox.push(
                    CONNECTION,
                    &ToHost::Failed {
                        kind: FailureKind::Invalid,
                        message,
                    },
                );
                // As a farewell: if it does not go through now, it never does.
                let _ = self.outbox.flush(self.socket.as_fd());
                return Err(Lost);
            }
        }
    }

    pub fn flush(&mut self) -> Result<(), Lost> {
        self.outbox.flush(self.socket.as_fd()).map_err(|_| Lost)
    }

    /// Work that waits for nothing but its turn. True: there is more of it.
    pub fn work(&mut self, sandbox: &mut Sandbox) -> Result<bool, Lost> {
        if self.is_stalled && !self.outbox.is_full() {
            self.serve(sandbox)?;
        }
        let outbox = &mut self.outbox;
        self.streams.retain(|&number, stream| {
            if outbox.is_full() || !stream.is_runnable() {
                return true;
            }
            let state = match stream {
                Stream::Command(command) => command.finish(number, outbox),
                Stream::File(operation) => operation.step(number, outbox),
            };
            state == State::Open
        });
        Ok(!self.outbox.is_full() && (self.is_stalled || self.streams.values().any(Stream::is_runnable)))
    }

    /// Calls `act` with a command and ends its stream if it says so.
    pub fn with_command(&mut self, number: u32, act: impl FnOnce(&mut Command, &mut Outbox) -> State) {
        if let Some(Stream::Command(command)) = self.streams.get_mut(&number)
            && act(command, &mut self.outbox) == State::Ended
        {
            self.streams.remove(&number);
        }
    }

    /// The children whose commands end with this connection.
    pub fn living(&self) -> Vec<i32> {
        let commands = self.streams.values().filter_map(|stream| match stream {
            Stream::Command(command) => command.living(),
            Stream::File(_) => None,
        });
        commands.collect()
    }

    /// The stream whose command is this child of the agent.
    pub fn stream_of(&self, child: i32) -> Option<u32> {
        let is_it = |stream: &Stream| matches!(stream, Stream::Command(command) if command.child() == child);
        self.streams
            .iter()
            .find(|(_, stream)| is_it(stream))
            .map(|(&number, _)| number)
    }

    pub fn trim(&mut self) {
        self.decoder.trim();
        self.outbox.trim();
    }
}

impl Stream {
    fn is_runnable(&self) -> bool {
        match self {
            Self::Command(command) => command.is_finishing(),
            Self::File(operation) => operation.is_runnable(),
        }
    }
}
