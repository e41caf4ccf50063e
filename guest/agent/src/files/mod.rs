//! The file service: every path beneath the sandbox's root, resolved by the kernel.
//!
//! Long work is done in steps, so that no operation stops the others.

mod beneath;
mod change;
mod list;
mod read;
mod remove;
mod write;

use agentkernel_protocol::{FileRequest, ToHost};

use crate::{exec::State, failure::Result, outbox::Outbox, sandbox::Sandbox};

/// An operation that is not done in one step.
pub enum FileOperation {
    Read(read::Reading),
    Write(Box<write::Writing>),
    List(list::Listing),
    Remove(Box<remove::Removing>),
}

/// What a request becomes.
pub enum Begun {
    /// It is done already, and this is the answer.
    Answer(ToHost),
    Operation(FileOperation),
}

pub fn begin(request: FileRequest, sandbox: &Sandbox) -> Result<Begun> {
    let root = &sandbox.root;
    let done = |()| Begun::Answer(ToHost::Done);
    match request {
        FileRequest::Read { path } => read::Reading::begin(root, &path)
            .map(FileOperation::Read)
            .map(Begun::Operation),
        FileRequest::Write { path, mode, modified } => write::Writing::begin(root, &path, mode, modified)
            .map(|writing| Begun::Operation(FileOperation::Write(Box::new(writing)))),
        FileRequest::List { path } => list::Listing::begin(root, &path)
            .map(FileOperation::List)
            .map(Begun::Operation),
        FileRequest::Stat { path } => {
            list::stat(root, &path).map(|entry| Begun::Answer(ToHost::Entry(entry)))
        }
        FileRequest::Mkdir { path, mode } => change::mkdir(root, &path, mode).map(done),
        FileRequest::Symlink { path, target } => change::symlink(root, &path, &target).map(done),
        FileRequest::Rename { from, to } => change::rename(root, &from, &to).map(done),
        FileRequest::Remove {
            path,
            recursive: false,
        } => change::remove(root, &path).map(done),
        FileRequest::Remove {
            path,
            recursive: true,
        } => remove::Removing::begin(root, &path)
            .map(|removing| Begun::Operation(FileOperation::Remove(Box::new(removing)))),
    }
}

impl FileOperation {
    /// There is something to do now, if the connection has room for it.
    pub fn is_runnable(&self) -> bool {
        match self {
            Self::Read(reading) => reading.credit > 0,
            Self::Write(_) => false,
            Self::List(_) | Self::Remove(_) => true,
        }
    }

    /// One step.
    pub fn step(&mut self, stream: u32, outbox: &mut Outbox) -> State {
        let result = match self {
            Self::Read(reading) => reading.step(stream, outbox),
            Self::Write(_) => Ok(State::Open),
            Self::List(listing) => listing.step(stream, outbox),
            Self::Remove(removing) => removing.step().inspect(|state| {
                if *state == State::Ended {
                    outbox.push(stream, &ToHost::Done);
                }
            }),
        };
        result.unwrap_or_else(|failure| {
            outbox.push(stream, &failure.into_message());
            State::Ended
        })
    }
}
