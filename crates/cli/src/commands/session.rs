//! What `run`, `exec` and `attach` have in common: a command that is connected to the caller.

use std::time::Duration;

use agentkernel_types::{EnvVar, StdinMode, TerminalSize};

use crate::{
    args::TerminalArgs,
    failure::{Failure, Outcome},
    render::EventSink,
    streams::{Direction, Drive, Endpoint, Signals, Source, Stdio, drive},
    terminal::{self, Terminal},
};

/// The caller's side of one command.
#[derive(Debug)]
pub struct Session<'a> {
    stdio: Stdio<'a>,
    terminal: Option<Terminal>,
    json: bool,
    quiet: bool,
    announce: bool,
}

impl<'a> Session<'a> {
    /// Looks at the caller's descriptors and changes nothing.
    pub fn open(stdio: Stdio<'a>, wish: &TerminalArgs, json: bool, quiet: bool) -> Result<Self, Failure> {
        // Events are for a program, so a terminal must be asked for.
        let wanted = wish.tty || (!wish.no_tty && !json && terminal::is_interactive(stdio));
        let terminal = match wanted {
            true => Some(Terminal::find(stdio).map_err(cannot_use_terminal)?),
            false => None,
        };
        Ok(Self {
            stdio,
            terminal,
            json,
            quiet,
            announce: false,
        })
    }

    /// The name of the sandbox is not known to the caller yet.
    pub fn announcing(self, announce: bool) -> Self {
        Self { announce, ..self }
    }

    pub fn terminal_size(&self) -> Option<TerminalSize> {
        self.terminal.as_ref().map(Terminal::size)
    }

    /// A job in the background of its terminal has no input: reading would stop it.
    pub fn stdin(&self) -> StdinMode {
        if terminal::is_foreground(self.stdio.stdin) {
            StdinMode::Piped
        } else {
            StdinMode::Null
        }
    }

    /// What a command must know of the terminal that it gets. It comes first, so that `-e TERM=...` wins.
    pub fn terminal_env(&self) -> Option<EnvVar> {
        self.terminal.as_ref()?;
        EnvVar::new("TERM", std::env::var("TERM").ok()?).ok()
    }

    /// Carries the command to its end, and gives the terminal back.
    pub async fn carry(self, source: impl Into<Source>, timeout: Option<Duration>) -> Outcome {
        let source = source.into();
        let failed = |error| Failure::io("connect", "cannot use this process's own streams", error);
        let stdin = match self.stdin() {
            StdinMode::Piped => Some(Endpoint::open(self.stdio.stdin, Direction::Read).map_err(failed)?),
            StdinMode::Null => None,
        };
        let sink = EventSink::new(self.stdio, self.json, self.quiet)
            .map_err(failed)?
            .announcing(self.announce);
        // Listened to before raw mode begins: from there on a signal must not end us without a word.
        let signals = Signals::listen().map_err(failed)?;
        let sink = match &self.terminal {
            Some(terminal) => {
                terminal.raw().map_err(cannot_use_terminal)?;
                sink.raw()
            }
            None => sink,
        };
        drive(
            source,
            Drive {
                stdin,
                sink,
                terminal: self.terminal.as_ref(),
                signals,
                timeout,
            },
        )
        .await
    }
}

fn cannot_use_terminal(error: std::io::Error) -> Failure {
    Failure::io("terminal", "cannot use the terminal", error)
}
