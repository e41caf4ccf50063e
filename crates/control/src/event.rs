//! What happens during a run, numbered, for every renderer alike.

use agentkernel_backend::{Output, ProcessSink, Result};
use agentkernel_types::{Exit, ImageRef, Isolation, NetworkEvent, NetworkMode, SandboxId, SandboxName};
use tokio::sync::mpsc;

/// A run that goes on. Dropping it ends the sandbox.
#[derive(Debug)]
pub struct Run {
    pub events: mpsc::Receiver<Result<Event>>,
    pub input: ProcessSink,
}

/// Events of one run are numbered from 1 without a gap.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub sequence: u64,
    pub kind: EventKind,
}

#[derive(Clone, Debug, PartialEq)]
pub enum EventKind {
    /// First event: what was made.
    Started {
        id: SandboxId,
        name: Option<SandboxName>,
        backend: String,
        isolation: Isolation,
        image: ImageRef,
        network: NetworkMode,
    },
    /// Something that the user should know, such as the fallback to the host image.
    Notice(Notice),
    /// Never `Output::Exit`: that is `Finished`.
    Output(Output),
    /// The policy refused something. Told when the command has ended.
    Denied(NetworkEvent),
    /// Last event: the sandbox is gone, or stopped if it is kept.
    Finished { exit: Exit, duration_ms: u64 },
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Notice {
    /// A stable word, such as `host_image`.
    pub code: &'static str,
    pub message: String,
}
