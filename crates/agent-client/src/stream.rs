//! One stream of a connection: what was asked, what may come, and where it goes.

mod inlet;
mod outlet;

use agentkernel_backend::{Error, Output, ProcessInput, Result};
use agentkernel_protocol::{DirectoryEntry, StatsReport, ToGuest, WINDOW};
use bytes::Bytes;
pub use inlet::{Content, Inlet};
pub use outlet::Outlet;
use tokio::sync::{mpsc, oneshot};

/// What a stream is opened for.
pub enum Opening {
    /// One answer.
    Simple,
    List,
    /// A command that goes on without us.
    Detached,
    Command {
        output: mpsc::Sender<Result<Output>>,
        input: ProcessInput,
    },
    Read {
        content: mpsc::Sender<Result<Bytes>>,
    },
    Write {
        content: mpsc::Receiver<Result<Bytes>>,
    },
}

/// What the opener waits for.
pub enum Answer {
    /// The command runs, or content comes.
    Started,
    Done,
    Entry(DirectoryEntry),
    Entries(Vec<DirectoryEntry>),
    Stats(StatsReport),
    Detached(Vec<String>),
    Pong,
}

pub struct Stream {
    pub operation: &'static str,
    /// Until it is answered.
    pub reply: Option<oneshot::Sender<Result<Answer>>>,
    pub kind: Kind,
    pub window: Window,
    /// Nobody waits any more: what still comes is thrown away, until the agent ends the stream.
    pub is_cancelled: bool,
    /// A shutdown of the sandbox has begun: an exit is its doing.
    pub is_stopping: bool,
}

pub enum Kind {
    Simple,
    List {
        entries: Vec<DirectoryEntry>,
        bytes: usize,
    },
    Detached {
        has_started: bool,
    },
    Command {
        output: Outlet<Output>,
        input: Inlet<ProcessInput>,
    },
    Read {
        content: Outlet<Bytes>,
    },
    Write {
        content: Inlet<mpsc::Receiver<Result<Bytes>>>,
        is_complete: bool,
    },
    /// Of a cancelled stream.
    Nothing,
}

/// What the agent may still send on a stream.
pub struct Window {
    left: u32,
    owed: u32,
}

impl Window {
    pub const GRANT: u32 = WINDOW / 4;

    /// False: the agent sends more than it may.
    pub fn take(&mut self, length: usize) -> bool {
        match u32::try_from(length)
            .ok()
            .and_then(|length| self.left.checked_sub(length))
        {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }

    /// So many bytes have been taken away: the message that grants them anew, when it pays.
    pub fn give_back(&mut self, length: usize) -> Option<ToGuest> {
        // Never more than the window, because only what was taken is given back.
        self.owed += length as u32;
        if self.owed < Self::GRANT {
            return None;
        }
        self.left += self.owed;
        Some(ToGuest::OutputCredit(std::mem::take(&mut self.owed)))
    }
}

impl Stream {
    pub fn new(operation: &'static str, reply: oneshot::Sender<Result<Answer>>, opening: Opening) -> Self {
        let kind = match opening {
            Opening::Simple => Kind::Simple,
            Opening::List => Kind::List {
                entries: Vec::new(),
                bytes: 0,
            },
            Opening::Detached => Kind::Detached { has_started: false },
            Opening::Command { output, input } => Kind::Command {
                output: Outlet::new(output),
                input: Inlet::new(input),
            },
            Opening::Read { content } => Kind::Read {
                content: Outlet::new(content),
            },
            Opening::Write { content } => Kind::Write {
                content: Inlet::new(content),
                is_complete: false,
            },
        };
        let window = Window {
            left: WINDOW,
            owed: 0,
        };
        Self {
            operation,
            reply: Some(reply),
            kind,
            window,
            is_cancelled: false,
            is_stopping: false,
        }
    }

    pub fn answer(&mut self, result: Result<Answer, Error>) {
        if let Some(reply) = self.reply.take() {
            // Whoever asked may have gone.
            let _ = reply.send(result);
        }
    }
}
