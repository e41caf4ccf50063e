//! Carries one command from its first byte to its exit code.

use std::time::Duration;

use agentkernel_control::{EventKind, Output, ProcessSink};
use agentkernel_types::{ExitCause, Signal};

use super::{Endpoint, Signals, Source};
use crate::{
    failure::{Failure, Outcome},
    render::EventSink,
    terminal::Terminal,
};

/// How long a killed command may take to be gone, before we go.
const FAREWELL: Duration = Duration::from_secs(5);
/// Time for a signal to reach the sandbox before we stop ourselves: nobody delivers it while we are stopped.
const DELIVERY: Duration = Duration::from_millis(20);
/// As many interrupts as show that somebody means it.
const PATIENCE: u32 = 3;

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
    let expired = async {
        match timeout {
            Some(limit) => tokio::time::sleep(limit).await,
            None => std::future::pending().await,
        }
    };
    let ended = tokio::select! {
        ended = copy_out(&mut source, &input, &mut sink, terminal) => ended,
        never = copy_in(stdin, &input) => match never {},
        never = forward(&mut signals, &input, terminal) => match never {},
        () = expired => {
            end(&mut source, &input).await;
            sink.ended_because(ExitCause::TimedOut).await.map_err(Failure::output)?;
            return Ok(124);
        }
    };
    if ended.is_err() {
        end(&mut source, &input).await;
    }
    ended
}

enum Never {}

async fn copy_out(
    source: &mut Source,
    input: &ProcessSink,
    sink: &mut EventSink,
    terminal: Option<&Terminal>,
) -> Outcome {
    while let Some(event) = source.next().await {
        let event = event?;
        sink.event(&event).await.map_err(Failure::output)?;
        match event.kind {
            EventKind::Output(Output::Stopped) => {
                suspend(terminal)?;
                resume(input, terminal).await?;
            }
            EventKind::Finished { exit, .. } => return Ok(exit.exit_code()),
            _ => {}
        }
    }
    Err(agentkernel_control::Error::new(
        agentkernel_types::ErrorKind::Broken,
        "exec",
        "the command's stream ended without its exit code",
    )
    .into())
}

async fn copy_in(stdin: Option<Endpoint>, input: &ProcessSink) -> Never {
    use agentkernel_backend::Input;
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

async fn forward(signals: &mut Signals, input: &ProcessSink, terminal: Option<&Terminal>) -> Never {
    use agentkernel_backend::Input;
    let mut interrupts = 0;
    loop {
        let number = signals.next().await;
        let message = match number {
            libc::SIGWINCH | libc::SIGCONT => {
                if let Some(terminal) = terminal {
                    // Who continues us may have changed the terminal in between.
                    let _ = terminal.raw();
                    let _ = input.send(Input::Resize(terminal.size())).await;
                }
                continue;
            }
            libc::SIGTSTP => {
                let _ = input.send(Input::Signal(Signal::STOP)).await;
                tokio::time::sleep(DELIVERY).await;
                if suspend(terminal).is_ok() {
                    let _ = resume(input, terminal).await;
                }
                continue;
            }
            libc::SIGINT => {
                interrupts += 1;
                if interrupts >= PATIENCE {
                    Signal::KILL
                } else {
                    Signal::INT
                }
            }
            other => match Signal::new(other) {
                Ok(signal) => signal,
                Err(_) => continue,
            },
        };
        let _ = input.send(Input::Signal(message)).await;
    }
}

/// Gives the terminal back and stops this process, as the shell of the caller expects of a job.
/// Returns when somebody continues it.
fn suspend(terminal: Option<&Terminal>) -> Result<(), Failure> {
    let failed = |error| Failure::io("suspend", "cannot give the terminal back", error);
    if let Some(terminal) = terminal {
        terminal.restore().map_err(failed)?;
    }
    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::STOP)
        .map_err(|error| failed(error.into()))
}

async fn resume(input: &ProcessSink, terminal: Option<&Terminal>) -> Result<(), Failure> {
    use agentkernel_backend::Input;
    if let Some(terminal) = terminal {
        terminal
            .raw()
            .map_err(|error| Failure::io("resume", "cannot take the terminal again", error))?;
        let _ = input.send(Input::Resize(terminal.size())).await;
    }
    let _ = input.send(Input::Signal(Signal::CONT)).await;
    Ok(())
}

/// Kills the command and waits, within a bound, until it is gone: then nothing of it outlives us.
async fn end(source: &mut Source, input: &ProcessSink) {
    let gone = async {
        // Reading goes on meanwhile: a command that is stuck in a write must still get the signal.
        let kill = input.send(agentkernel_backend::Input::Signal(Signal::KILL));
        let drain = async { while let Some(Ok(_)) = source.next().await {} };
        let _ = tokio::join!(kill, drain);
    };
    let _ = tokio::time::timeout(FAREWELL, gone).await;
}
