//! Signals and job control: what we get is the command's, and a stop of one is a stop of both.

use std::{cell::Cell, time::Duration};

use agentkernel_backend::Input;
use agentkernel_control::ProcessSink;
use agentkernel_types::Signal;
use tokio::{sync::Notify, time::timeout};

use super::Signals;
use crate::{failure::Failure, terminal::Terminal};

/// How long a signal may be on its way. It waits behind input that the command does not read.
const DELIVERY: Duration = Duration::from_secs(1);
/// How long a command may take to stop before we stop ourselves: nobody serves it while we are stopped.
const STOPPING: Duration = Duration::from_millis(100);
/// As many interrupts as show that somebody means it.
const PATIENCE: u32 = 3;

/// Tells a stop that we asked for from one that the command's terminal has made.
#[derive(Debug, Default)]
pub struct Stopping {
    pub asked: Cell<bool>,
    pub done: Notify,
}

/// Passes signals on. Ends with the signal that must end the command at once: one that cannot be
/// delivered, or the third interrupt.
pub async fn forward(
    signals: &mut Signals,
    input: &ProcessSink,
    terminal: Option<&Terminal>,
    stopping: &Stopping,
) -> u8 {
    let mut interrupts = 0;
    loop {
        match signals.next().await {
            libc::SIGWINCH | libc::SIGCONT => reclaim(input, terminal).await,
            libc::SIGTSTP => {
                stopping.asked.set(true);
                deliver(input, Input::Signal(Signal::STOP)).await;
                let _ = timeout(STOPPING, stopping.done.notified()).await;
                stopping.asked.set(false);
                if suspend(terminal).is_ok() {
                    let _ = resume(input, terminal).await;
                }
            }
            number => {
                // Only numbers that we listen to.
                let Ok(signal) = Signal::new(number) else { continue };
                interrupts += u32::from(signal == Signal::INT);
                if interrupts >= PATIENCE || !deliver(input, Input::Signal(signal)).await {
                    return signal.number();
                }
            }
        }
    }
}

/// Gives the terminal back and stops this process, as the shell of the caller expects of a job.
/// Returns when somebody continues it.
pub fn suspend(terminal: Option<&Terminal>) -> Result<(), Failure> {
    let failed = |error| Failure::io("suspend", "cannot give the terminal back", error);
    if let Some(terminal) = terminal {
        terminal.restore().map_err(failed)?;
    }
    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::STOP)
        .map_err(|error| failed(error.into()))
}

pub async fn resume(input: &ProcessSink, terminal: Option<&Terminal>) -> Result<(), Failure> {
    if let Some(terminal) = terminal {
        terminal
            .raw()
            .map_err(|error| Failure::io("resume", "cannot take the terminal again", error))?;
        deliver(input, Input::Resize(terminal.size())).await;
    }
    deliver(input, Input::Signal(Signal::CONT)).await;
    Ok(())
}

/// The terminal has another size, or somebody else has had it in between.
async fn reclaim(input: &ProcessSink, terminal: Option<&Terminal>) {
    if let Some(terminal) = terminal {
        let _ = terminal.raw();
        deliver(input, Input::Resize(terminal.size())).await;
    }
}

/// False if it could not be handed over in time. A command that has ended needs no signal.
async fn deliver(input: &ProcessSink, message: Input) -> bool {
    timeout(DELIVERY, input.send(message)).await.is_ok()
}
