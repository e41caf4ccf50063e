//! Tells a kill by the memory limit from any other.

use std::sync::Arc;

use agentkernel_backend::{Output, Process};
use agentkernel_types::{Exit, ExitCause, ExitStatus};

use crate::limits::Group;

/// Passes everything on; an exit by SIGKILL after the group's memory ran out says so.
pub(crate) fn watch(mut process: Process, group: Arc<Group>) -> Process {
    let (outer, output, mut input) = Process::channel();
    let sink = process.sink();
    let before = group.oom_kills();
    tokio::spawn(async move {
        while let Some(said) = input.recv().await {
            if sink.send(said).await.is_err() {
                return;
            }
        }
    });
    tokio::spawn(async move {
        loop {
            let item = tokio::select! {
                item = process.next() => item,
                // The reader has gone: dropping the inner process kills the command.
                () = output.closed() => return,
            };
            let Some(item) = item else { return };
            let item = item.map(|said| match said {
                Output::Exit(exit) => Output::Exit(explain(exit, before, &group)),
                other => other,
            });
            if output.send(item).await.is_err() {
                return;
            }
        }
    });
    outer
}

fn explain(exit: Exit, before: u64, group: &Group) -> Exit {
    // A shell turns its child's kill into the code 137.
    let killed = matches!(exit.status, ExitStatus::Signal(9) | ExitStatus::Code(137));
    if killed && group.oom_kills() > before {
        return exit.with_cause(ExitCause::OutOfMemory);
    }
    exit
}
