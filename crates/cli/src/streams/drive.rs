//! Carries one command from its first byte to its exit code.

use std::time::Duration;

use agentkernel_backend::Input;
use agentkernel_control::{Error, EventKind, Output, ProcessSink};
use agentkernel_types::{ErrorKind, Exit, ExitCause, Signal};

use super::{
    Endpoint, Signals, Source,
    forward::{Stopping, forward, resume, suspend},
};
use crate::{
    failure::{Failure, Outcome},
    render::EventSink,
    terminal::Terminal,
};

/// How long a killed command may take to be gone, before we go.
const FAREWELL: Duration = Duration::from_secs(5);
/// How long it may take if the kill reaches it.
const PROMPT: Duration = Duration::from_secs(1);

/// What is connected to the command.
#[derive(Debug)]
pub struct Drive<'a> {
    /// None: nothing is read.
    pub stdin: Option<Endpoint>,
    pub sink: EventSink,
    /// Set where the command has a terminal.
    pub terminal: Option<&'a Terminal>,
    pub signals: Signals,
    /// None: as long as it takes, or as the engine has it.
    pub timeout: Option<Duration>,
}

/// Copies everything both ways until the command has ended. Gives its exit code.
pub async fn drive(mut source: Source, drive: Drive<'_>) -> Outcome {
    let Drive {
        stdin,
        mut sink,
        terminal,
        mut signals,
        timeout,
    } = drive;
    let input = source.sink();
    let stopping = Stopping::default();
    let expired = async {
        match timeout {
            Some(limit) => tokio::time::sleep(limit).await,
            None => std::future::pending().await,
        }
    };
    let ended = tokio::select! {
        ended = copy_out(&mut source, &input, &mut sink, terminal, &stopping) => ended,
        never = copy_in(stdin, &input) => match never {},
        signal = forward(&mut signals, &input, terminal, &stopping) => {
            end(source, &input).await;
            return Ok(Exit::signal(signal).exit_code());
        }
        () = expired => {
            end(source, &input).await;
            sink.ended_because(ExitCause::TimedOut).await;
            return Ok(124);
        }
    };
    if ended.is_err() {
        end(source, &input).await;
    }
    ended
}

enum Never {}

async fn copy_out(
    source: &mut Source,
    input: &ProcessSink,
    sink: &mut EventSink,
    terminal: Option<&Terminal>,
    stopping: &Stopping,
) -> Outcome {
    while let Some(event) = source.next().await {
        let event = event?;
        sink.event(&event).await.map_err(Failure::output)?;
        match event.kind {
            EventKind::Output(Output::Stopped) if stopping.asked.get() => stopping.done.notify_one(),
            EventKind::Output(Output::Stopped) => {
                suspend(terminal)?;
                resume(input, terminal).await?;
            }
            EventKind::Finished { exit, .. } => return Ok(exit.exit_code()),
            _ => {}
        }
    }
    Err(Error::new(
        ErrorKind::Broken,
        "exec",
        "the command's stream ended without its exit code",
    )
    .into())
}

async fn copy_in(stdin: Option<Endpoint>, input: &ProcessSink) -> Never {
    if let Some(stdin) = stdin {
        // An error of a read is an end, too: a terminal that has hung up, for one.
        while let Ok(bytes) = stdin.read().await {
            if bytes.is_empty() || input.send(Input::Stdin(bytes)).await.is_err() {
                break;
            }
        }
        // A command that has ended needs no end of input: its exit is on the way.
        let _ = input.send(Input::CloseStdin).await;
    }
    std::future::pending().await
}

/// Kills the command and waits, within bounds, until it is gone: then nothing of it outlives us.
async fn end(mut source: Source, input: &ProcessSink) {
    let kill = async {
        // Reading goes on meanwhile: a command that is stuck in a write must still get the signal.
        let kill = input.send(Input::Signal(Signal::KILL));
        let drain = async { while let Some(Ok(_)) = source.next().await {} };
        tokio::join!(kill, drain)
    };
    if tokio::time::timeout(PROMPT, kill).await.is_ok() {
        return;
    }
    // The way to the command is blocked by input that it does not read. Leaving it ends it, too, and
    // its end of the way is closed when that is done.
    drop(source);
    let gone = async { while input.send(Input::Signal(Signal::KILL)).await.is_ok() {} };
    let _ = tokio::time::timeout(FAREWELL, gone).await;
}
