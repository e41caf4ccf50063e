//! A running command, as streams.

use agentkernel_types::{ErrorKind, Exit, Signal, TerminalSize};
use bytes::Bytes;
use tokio::sync::mpsc;

use crate::{Error, Result};

/// What a command says. `Exit` is the last item and comes after every byte of output.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Output {
    Stdout(Bytes),
    Stderr(Bytes),
    /// The command was stopped by job control in its terminal (Ctrl-Z); it goes on after `Signal::CONT`.
    Stopped,
    Exit(Exit),
}

/// What is said to a command.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Input {
    Stdin(Bytes),
    CloseStdin,
    /// To the command's whole process group.
    Signal(Signal),
    Resize(TerminalSize),
}

/// A command that runs. Dropping it (or its `output`) kills the command, unless it is detached.
///
/// Both channels are bounded: a reader that does not read stops the command's writing, and not memory.
#[derive(Debug)]
pub struct Process {
    output: mpsc::Receiver<Result<Output>>,
    input: ProcessSink,
}

/// The writing half; cloneable, so that signals can be sent while input is copied.
#[derive(Clone, Debug)]
pub struct ProcessSink(mpsc::Sender<Input>);

impl Process {
    /// How many chunks each channel holds at most.
    pub const CHANNEL_DEPTH: usize = 16;

    /// For backends: the process and the ends that the backend serves.
    pub fn channel() -> (Self, mpsc::Sender<Result<Output>>, mpsc::Receiver<Input>) {
        let (output_sender, output) = mpsc::channel(Self::CHANNEL_DEPTH);
        let (input, input_receiver) = mpsc::channel(Self::CHANNEL_DEPTH);
        (
            Self {
                output,
                input: ProcessSink(input),
            },
            output_sender,
            input_receiver,
        )
    }

    /// The next item; None after `Exit`. An error is the end, too.
    pub async fn next(&mut self) -> Option<Result<Output>> {
        self.output.recv().await
    }

    pub fn sink(&self) -> ProcessSink {
        self.input.clone()
    }

    /// Reads everything to the end: for callers that want it all, such as tests and small replies.
    /// At most `limit` bytes of stdout and stderr each are kept; the rest is read and thrown away.
    pub async fn collect(mut self, limit: usize) -> Result<(Vec<u8>, Vec<u8>, Exit)> {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let keep = |buffer: &mut Vec<u8>, chunk: &Bytes| {
            buffer.extend_from_slice(&chunk[..chunk.len().min(limit.saturating_sub(buffer.len()))]);
        };
        while let Some(item) = self.next().await {
            match item? {
                Output::Stdout(chunk) => keep(&mut stdout, &chunk),
                Output::Stderr(chunk) => keep(&mut stderr, &chunk),
                Output::Stopped => {}
                Output::Exit(exit) => return Ok((stdout, stderr, exit)),
            }
        }
        Err(Error::new(
            ErrorKind::Broken,
            "exec",
            "the stream of the command ended without its exit",
        ))
    }
}

impl ProcessSink {
    /// Waits while the command does not read. Fails when it has ended.
    pub async fn send(&self, input: Input) -> Result<()> {
        self.0
            .send(input)
            .await
            .map_err(|_| Error::new(ErrorKind::Conflict, "exec", "the command has already ended"))
    }
}
