//! What the agent says. It is not trusted: each message is allowed by what was asked, or ends the connection.

use agentkernel_backend::{Error, Output};
use agentkernel_protocol::{CONNECTION, DirectoryEntry, ExitReport, ToGuest, ToHost, negotiate};
use agentkernel_types::{ErrorKind, Exit, ExitCause};
use bytes::Bytes;

use super::{Driver, Progress};
use crate::{
    failure::{Lost, harmless, refused},
    stream::{Answer, Kind, Stream},
};

/// The largest folder that is listed.
const MOST_ENTRIES: usize = 1 << 20;
const MOST_ENTRY_BYTES: usize = 128 << 20;

/// Whether the stream goes on.
enum Next {
    Open,
    Ended,
}

impl Driver {
    pub(super) fn receive(&mut self) -> Result<(), Lost> {
        while let Some((number, message)) = self
            .decoder
            .decode::<ToHost>()
            .map_err(|error| Lost::misbehaved(&error.to_string()))?
        {
            if number == CONNECTION {
                self.receive_for_connection(message)?;
                continue;
            }
            if !self.has_greeted {
                return Err(Lost::misbehaved("it does not greet first"));
            }
            let Some(stream) = self.streams.get_mut(&number) else {
                return Err(Lost::misbehaved("a message for a stream that is not open"));
            };
            if let ToHost::Entries(_) = message
                && let Kind::List { entries, bytes } = &stream.kind
                && (entries.len() > MOST_ENTRIES || *bytes > MOST_ENTRY_BYTES)
                && !stream.is_cancelled
            {
                let error = Error::new(
                    ErrorKind::Exhausted,
                    stream.operation,
                    "the folder has too many entries",
                );
                stream.answer(Err(error));
                stream.cancel();
                self.send(number, &ToGuest::Cancel);
                continue;
            }
            match stream.receive(message)? {
                Next::Open => {}
                Next::Ended => self.end(number),
            }
        }
        Ok(())
    }

    fn receive_for_connection(&mut self, message: ToHost) -> Result<(), Lost> {
        match message {
            ToHost::Hello(hello) if !self.has_greeted => {
                negotiate(&hello).map_err(|error| Lost::broken(harmless(&error.to_string())))?;
                self.has_greeted = true;
                if !self.awaits_boot {
                    self.progress.send_replace(Progress::Ready);
                }
                Ok(())
            }
            ToHost::Booted if self.has_greeted && self.awaits_boot => {
                self.awaits_boot = false;
                self.progress.send_replace(Progress::Ready);
                Ok(())
            }
            ToHost::Stopping if self.has_greeted => {
                self.streams
                    .values_mut()
                    .for_each(|stream| stream.is_stopping = true);
                Ok(())
            }
            ToHost::Failed { message, .. } => Err(Lost::broken(harmless(&message))),
            _ => Err(Lost::misbehaved("a message that belongs to no stream")),
        }
    }

    /// The stream is closed for the agent; its reader may still have to take what has come.
    fn end(&mut self, number: u32) {
        let Some(stream) = self.streams.remove(&number) else {
            return;
        };
        match stream.kind {
            Kind::Command { output, .. } if !output.is_empty() => self.leftovers.push(output.into()),
            Kind::Read { content } if !content.is_empty() => self.leftovers.push(content.into()),
            _ => {}
        }
    }

    /// The connection is over: everyone is told.
    pub(super) fn lose(&mut self, lost: Lost) {
        for (number, mut stream) in std::mem::take(&mut self.streams) {
            stream.lose(&lost);
            self.streams.insert(number, stream);
            self.end(number);
        }
        self.progress.send_replace(Progress::Lost(lost.clone()));
        self.lost = Some(lost);
    }
}

impl Stream {
    fn receive(&mut self, message: ToHost) -> Result<Next, Lost> {
        let length = match &message {
            ToHost::Stdout(bytes) | ToHost::Stderr(bytes) | ToHost::FileData(bytes) => bytes.len(),
            _ => 0,
        };
        if !self.window.take(length) {
            return Err(Lost::misbehaved("more bytes than were granted"));
        }
        if self.is_cancelled {
            return Ok(self.receive_cancelled(&message));
        }
        if let ToHost::Failed { kind, message } = message {
            let error = refused(kind, &message, self.operation);
            self.fail(error);
            return Ok(Next::Ended);
        }
        match &self.kind {
            Kind::Command { .. } => self.receive_for_command(message),
            Kind::Read { .. } => self.receive_for_read(message),
            Kind::Detached { .. } => self.receive_for_detached(&message),
            Kind::Write { .. } => self.receive_for_write(&message),
            Kind::List { .. } => self.receive_for_list(message),
            Kind::Simple | Kind::Nothing => self.receive_simple(message),
        }
    }

    fn receive_cancelled(&self, message: &ToHost) -> Next {
        match message {
            ToHost::Exited(_)
            | ToHost::Failed { .. }
            | ToHost::Done
            | ToHost::Entry(_)
            | ToHost::Stats(_)
            | ToHost::Detached(_)
            | ToHost::Pong => Next::Ended,
            _ => Next::Open,
        }
    }

    fn receive_for_command(&mut self, message: ToHost) -> Result<Next, Lost> {
        let (has_started, is_stopping) = (self.reply.is_none(), self.is_stopping);
        let Kind::Command { output, input } = &mut self.kind else {
            return Err(unasked());
        };
        match message {
            ToHost::Started { .. } if !has_started => self.answer(Ok(Answer::Started)),
            _ if !has_started => return Err(unasked()),
            ToHost::Stdout(bytes) => output.push(Output::Stdout(Bytes::from(bytes.into_vec()))),
            ToHost::Stderr(bytes) => output.push(Output::Stderr(Bytes::from(bytes.into_vec()))),
            ToHost::Stopped => output.push(Output::Stopped),
            ToHost::StdinCredit(credit) => input.grant(credit),
            ToHost::Exited(report) => {
                let exit = exit_of(report);
                let exit = if is_stopping {
                    exit.with_cause(ExitCause::SandboxStopped)
                } else {
                    exit
                };
                output.push(Output::Exit(exit));
                return Ok(Next::Ended);
            }
            _ => return Err(unasked()),
        }
        Ok(Next::Open)
    }

    fn receive_for_read(&mut self, message: ToHost) -> Result<Next, Lost> {
        self.answer(Ok(Answer::Started));
        let Kind::Read { content } = &mut self.kind else {
            return Err(unasked());
        };
        match message {
            ToHost::FileData(bytes) => {
                content.push(Bytes::from(bytes.into_vec()));
                Ok(Next::Open)
            }
            ToHost::Done => Ok(Next::Ended),
            _ => Err(unasked()),
        }
    }

    fn receive_for_detached(&mut self, message: &ToHost) -> Result<Next, Lost> {
        let Kind::Detached { has_started } = &mut self.kind else {
            return Err(unasked());
        };
        match message {
            ToHost::Started { .. } if !*has_started => {
                *has_started = true;
                Ok(Next::Open)
            }
            ToHost::Done if *has_started => {
                self.answer(Ok(Answer::Started));
                Ok(Next::Ended)
            }
            _ => Err(unasked()),
        }
    }

    fn receive_for_write(&mut self, message: &ToHost) -> Result<Next, Lost> {
        let Kind::Write { content, .. } = &mut self.kind else {
            return Err(unasked());
        };
        match message {
            ToHost::StdinCredit(credit) => {
                content.grant(*credit);
                Ok(Next::Open)
            }
            ToHost::Done => {
                self.answer(Ok(Answer::Done));
                Ok(Next::Ended)
            }
            _ => Err(unasked()),
        }
    }

    fn receive_for_list(&mut self, message: ToHost) -> Result<Next, Lost> {
        let Kind::List { entries, bytes } = &mut self.kind else {
            return Err(unasked());
        };
        match message {
            ToHost::Entries(more) => {
                let size = |entry: &DirectoryEntry| entry.name.len() + entry.link_target.len();
                *bytes += more.iter().map(size).sum::<usize>();
                entries.extend(more);
                Ok(Next::Open)
            }
            ToHost::Done => {
                let entries = std::mem::take(entries);
                self.answer(Ok(Answer::Entries(entries)));
                Ok(Next::Ended)
            }
            _ => Err(unasked()),
        }
    }

    fn receive_simple(&mut self, message: ToHost) -> Result<Next, Lost> {
        let answer = match message {
            ToHost::Done => Answer::Done,
            ToHost::Entry(entry) => Answer::Entry(entry),
            ToHost::Stats(report) => Answer::Stats(report),
            ToHost::Detached(ids) => Answer::Detached(ids),
            ToHost::Pong => Answer::Pong,
            _ => return Err(unasked()),
        };
        self.answer(Ok(answer));
        Ok(Next::Ended)
    }

    /// The agent has refused, or broken off.
    fn fail(&mut self, error: Error) {
        if self.reply.is_some() {
            return self.answer(Err(error));
        }
        match &mut self.kind {
            Kind::Command { output, .. } => output.fail(error),
            Kind::Read { content } => content.fail(error),
            _ => {}
        }
    }

    fn lose(&mut self, lost: &Lost) {
        if self.reply.is_none()
            && let Kind::Command { output, .. } = &mut self.kind
        {
            output.push(Output::Exit(
                Exit::signal(9).with_cause(ExitCause::SandboxStopped),
            ));
            return;
        }
        self.fail(lost.to_error(self.operation));
    }
}

fn unasked() -> Lost {
    Lost::misbehaved("an answer that was not asked for")
}

fn exit_of(report: ExitReport) -> Exit {
    match report {
        ExitReport::Code(code) => Exit::code(code),
        ExitReport::Signal(signal) => Exit::signal(signal),
    }
}
