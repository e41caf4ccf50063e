//! The events of a command as they come: its bytes straight through, or one JSON object a line.

use std::io;

use agentkernel_control::{Event, EventKind, Output};
use agentkernel_types::{Exit, ExitCause, NetworkEvent};

use super::{json, safe};
use crate::streams::{Direction, Endpoint, Stdio};

#[derive(Debug)]
pub struct EventSink {
    stdout: Endpoint,
    stderr: Endpoint,
    json: bool,
    quiet: bool,
    announce: bool,
    refused: Vec<NetworkEvent>,
    line_end: &'static str,
}

impl EventSink {
    /// Must be called within a runtime.
    pub fn new(stdio: Stdio<'_>, json: bool, quiet: bool) -> io::Result<Self> {
        Ok(Self {
            stdout: Endpoint::open(stdio.stdout, Direction::Write)?,
            stderr: Endpoint::open(stdio.stderr, Direction::Write)?,
            json,
            quiet,
            announce: false,
            refused: Vec::new(),
            line_end: "\n",
        })
    }

    /// For a terminal in raw mode, which does not go back to the first column by itself.
    pub fn raw(mut self) -> Self {
        self.line_end = "\r\n";
        self
    }

    /// Says under which name the sandbox stays: for a name that was made up.
    pub fn announcing(mut self, announce: bool) -> Self {
        self.announce = announce;
        self
    }

    /// Waits while the reader does not read. Every byte is written when it returns.
    pub async fn event(&mut self, event: &Event) -> io::Result<()> {
        if self.json {
            return self.stdout.write_all(json::event(event).as_bytes()).await;
        }
        match &event.kind {
            EventKind::Output(Output::Stdout(bytes)) => self.stdout.write_all(bytes).await,
            EventKind::Output(Output::Stderr(bytes)) => self.stderr.write_all(bytes).await,
            EventKind::Notice(notice) => {
                self.note(&notice.message).await;
                Ok(())
            }
            EventKind::Finished {
                exit: Exit {
                    cause: Some(cause), ..
                },
                ..
            } => {
                self.ended_because(*cause).await;
                Ok(())
            }
            EventKind::Started { name: Some(name), .. } if self.announce => {
                self.note(&format!("the sandbox stays as {name}")).await;
                Ok(())
            }
            EventKind::Denied(denial) => {
                self.refused.push(denial.clone());
                Ok(())
            }
            // A command that went well does not need what was refused.
            EventKind::Finished { exit, .. } if !exit.is_success() => {
                let refused = std::mem::take(&mut self.refused);
                self.refused_note(&refused).await;
                Ok(())
            }
            EventKind::Started { .. } | EventKind::Finished { .. } | EventKind::Output(_) => Ok(()),
        }
    }

    /// One line about what the policy refused.
    pub async fn refused_note(&mut self, refused: &[NetworkEvent]) {
        if let Some(note) = super::refusals(refused) {
            self.note(&note).await;
        }
    }

    /// Says why the exit code is not the command's own doing. In JSON the event says it.
    pub async fn ended_because(&mut self, cause: ExitCause) {
        let reason = match cause {
            ExitCause::TimedOut => "the command was ended: its time was up",
            ExitCause::OutOfMemory => "the command was ended: the sandbox has used up its memory",
            ExitCause::SandboxStopped => "the command was ended: its sandbox has stopped",
            ExitCause::Cancelled => "the command was ended: it was cancelled",
        };
        self.note(reason).await;
    }

    /// A notice that nobody can read changes nothing.
    async fn note(&mut self, message: &str) {
        if !self.quiet && !self.json {
            let line = format!("agentkernel: {}{}", safe(message), self.line_end);
            let _ = self.stderr.write_all(line.as_bytes()).await;
        }
    }
}
