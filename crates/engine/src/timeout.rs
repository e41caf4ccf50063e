//! The time limit of a command in a kept sandbox.

use std::time::Duration;

use agentkernel_backend::{Input, Output, Process};
use agentkernel_types::{Exit, ExitCause, Signal};
use tokio::time::{Instant, sleep_until};

/// What a command that has run out of time is told to have ended by.
pub(crate) const TIMED_OUT: Exit = Exit::signal(9).with_cause(ExitCause::TimedOut);

/// The same command, killed when `limit` has passed. Its exit then says so.
pub(crate) fn limited(mut process: Process, limit: Duration) -> Process {
    let deadline = Instant::now() + limit;
    let sink = process.sink();
    let (outer, output, mut input) = Process::channel();
    tokio::spawn(async move {
        let speak = async {
            while let Some(said) = input.recv().await {
                if sink.send(said).await.is_err() {
                    break;
                }
            }
            std::future::pending::<()>().await;
        };
        let listen = async {
            while let Some(item) = process.next().await {
                if output.send(item).await.is_err() {
                    break;
                }
            }
        };
        let timed_out = tokio::select! {
            () = listen => false,
            () = speak => unreachable!("it waits for ever"),
            () = output.closed() => false,
            () = sleep_until(deadline) => true,
        };
        if timed_out {
            // Dropping it kills it as well; a full channel must not keep us.
            let kill = sink.send(Input::Signal(Signal::KILL));
            let _ = tokio::time::timeout(Duration::from_millis(100), kill).await;
            drop(process);
            // Whoever asked may have gone.
            let _ = output.send(Ok(Output::Exit(TIMED_OUT))).await;
        }
    });
    outer
}
