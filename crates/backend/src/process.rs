//! A running command, as streams.

use std::task::{Context, Poll};

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
///
/// Signals and resizes have a way of their own: they pass input that waits for a command that does not read.
#[derive(Clone, Debug)]
pub struct ProcessSink {
    stdin: mpsc::Sender<Input>,
    urgent: mpsc::Sender<Input>,
}

/// The backend's end of a [`ProcessSink`].
#[derive(Debug)]
pub struct ProcessInput {
    stdin: mpsc::Receiver<Input>,
    urgent: mpsc::Receiver<Input>,
}

impl Process {
    /// How many chunks each channel holds at most.
    pub const CHANNEL_DEPTH: usize = 16;

    /// For backends: the process and the ends that the backend serves.
    pub fn channel() -> (Self, mpsc::Sender<Result<Output>>, ProcessInput) {
        let (output_sender, output) = mpsc::channel(Self::CHANNEL_DEPTH);
        let (stdin, stdin_receiver) = mpsc::channel(Self::CHANNEL_DEPTH);
        let (urgent, urgent_receiver) = mpsc::channel(Self::CHANNEL_DEPTH);
        (
            Self {
                output,
                input: ProcessSink { stdin, urgent },
            },
            output_sender,
            ProcessInput {
                stdin: stdin_receiver,
                urgent: urgent_receiver,
            },
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
    /// Input waits while the command does not read. Fails when it has ended.
    pub async fn send(&self, input: Input) -> Result<()> {
        let way = match input {
            Input::Stdin(_) | Input::CloseStdin => &self.stdin,
            Input::Signal(_) | Input::Resize(_) => &self.urgent,
        };
        way.send(input)
            .await
            .map_err(|_| Error::new(ErrorKind::Conflict, "exec", "the command has already ended"))
    }
}

impl ProcessInput {
    /// The next thing said, urgent things first; None when every sink is gone and all has been heard.
    pub async fn recv(&mut self) -> Option<Input> {
        std::future::poll_fn(|cx| self.poll_recv(cx)).await
    }

    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Input>> {
        match self.poll_urgent(cx) {
            Poll::Ready(Some(input)) => Poll::Ready(Some(input)),
            // Both ways end together: what is left of the input is still heard.
            Poll::Ready(None) | Poll::Pending => self.stdin.poll_recv(cx),
        }
    }

    /// For a backend that can take no more input now.
    pub fn poll_urgent(&mut self, cx: &mut Context<'_>) -> Poll<Option<Input>> {
        self.urgent.poll_recv(cx)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn stdin() -> Input {
        Input::Stdin(Bytes::from_static(b"x"))
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_signal_passes_input_that_nobody_reads() {
        let (process, _output, mut input) = Process::channel();
        let sink = process.sink();
        for _ in 0..Process::CHANNEL_DEPTH {
            sink.send(stdin()).await.expect("there is room");
        }
        sink.send(Input::Signal(Signal::TERM))
            .await
            .expect("there is room");
        assert_eq!(input.recv().await, Some(Input::Signal(Signal::TERM)));
        assert_eq!(input.recv().await, Some(stdin()));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn what_was_said_is_heard_after_every_sink_is_gone() {
        let (process, _output, mut input) = Process::channel();
        for said in [stdin(), Input::CloseStdin, Input::Signal(Signal::INT)] {
            process.sink().send(said).await.expect("there is room");
        }
        drop(process);
        let mut heard = Vec::new();
        while let Some(input) = input.recv().await {
            heard.push(input);
        }
        assert_eq!(heard, [Input::Signal(Signal::INT), stdin(), Input::CloseStdin]);
    }
}
