//! A run or an exec, as one stream of events.

use std::time::Instant;

use agentkernel_control::{Event, EventKind, Output, Process, ProcessSink, Result, Run};
use tokio::sync::mpsc;

/// Dropping it ends the command.
#[derive(Debug)]
pub enum Source {
    Run {
        events: mpsc::Receiver<Result<Event>>,
        input: ProcessSink,
    },
    Exec {
        process: Process,
        sequence: u64,
        started: Instant,
    },
}

impl Source {
    pub async fn next(&mut self) -> Option<Result<Event>> {
        match self {
            Self::Run { events, .. } => events.recv().await,
            Self::Exec {
                process,
                sequence,
                started,
            } => {
                let kind = match process.next().await? {
                    Ok(Output::Exit(exit)) => {
                        let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
                        EventKind::Finished { exit, duration_ms }
                    }
                    Ok(output) => EventKind::Output(output),
                    Err(error) => return Some(Err(error)),
                };
                *sequence += 1;
                Some(Ok(Event {
                    sequence: *sequence,
                    kind,
                }))
            }
        }
    }

    pub fn sink(&self) -> ProcessSink {
        match self {
            Self::Run { input, .. } => input.clone(),
            Self::Exec { process, .. } => process.sink(),
        }
    }
}

impl From<Run> for Source {
    fn from(run: Run) -> Self {
        Self::Run {
            events: run.events,
            input: run.input,
        }
    }
}

impl From<Process> for Source {
    fn from(process: Process) -> Self {
        Self::Exec {
            process,
            sequence: 0,
            started: Instant::now(),
        }
    }
}
