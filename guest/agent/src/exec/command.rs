//! A command that runs for a stream, from its start to the last byte and the exit.

use std::os::fd::{AsRawFd, RawFd};

use agentkernel_protocol::{ExitReport, FailureKind, ToHost, WINDOW, data};
use rustix::io::Errno;

use super::{
    launch::LaunchError,
    leader::Report,
    plan::Plan,
    sink::Sink,
    source::{Pumped, Source},
    start::explain,
    terminal::Terminal,
};
use crate::{
    failure::Failure,
    outbox::Outbox,
    processes::{kill_trees, signal},
};

pub struct Command {
    /// Child of the agent: the command itself, or the leader of its terminal's session.
    child: i32,
    /// The command itself; None until the leader has said it.
    pid: Option<i32>,
    stdin: Sink,
    /// stdout, stderr; with a terminal only the first.
    sources: [Option<Source>; 2],
    terminal: Option<(Terminal, Plan)>,
    credit: u32,
    exit: Option<ExitReport>,
    cancelled: bool,
}

/// Whether a stream goes on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    Open,
    Ended,
}

const VARIANTS: [u8; 2] = [data::STDOUT, data::STDERR];

impl Command {
    pub fn with_pipes(pid: i32, stdin: Sink, stdout: Source, stderr: Source) -> Self {
        Self {
            child: pid,
            pid: Some(pid),
            stdin,
            sources: [Some(stdout), Some(stderr)],
            terminal: None,
            credit: WINDOW,
            exit: None,
            cancelled: false,
        }
    }

    pub fn with_terminal(leader: i32, terminal: Terminal, plan: Plan) -> Self {
        let master = terminal.master.clone();
        Self {
            child: leader,
            pid: None,
            stdin: Sink::new(Some(master.clone()), true),
            sources: [Some(Source::terminal(master)), None],
            terminal: Some((terminal, plan)),
            credit: WINDOW,
            exit: None,
            cancelled: false,
        }
    }

    pub fn pid(&self) -> Option<i32> {
        self.pid
    }

    /// The child of the agent, by whose end the command's is known.
    pub fn child(&self) -> i32 {
        self.child
    }

    /// The root of the processes that end with this command, unless it has ended already.
    pub fn living(&self) -> Option<i32> {
        self.exit.is_none().then_some(self.child)
    }

    pub fn stdin(&mut self) -> &mut Sink {
        &mut self.stdin
    }

    /// The descriptors to read from now, with their places.
    pub fn readable(&self) -> impl Iterator<Item = (usize, RawFd)> {
        // Its output may be there before the leader has told that it runs.
        let sources = self
            .sources
            .iter()
            .enumerate()
            .filter(|_| self.credit > 0 && self.pid.is_some());
        sources.filter_map(|(place, source)| source.as_ref().map(|source| (place, source.raw())))
    }

    pub fn writable(&self) -> Option<RawFd> {
        self.stdin.waits()
    }

    pub fn control(&self) -> Option<RawFd> {
        let (terminal, _) = self.terminal.as_ref()?;
        terminal
            .control
            .as_ref()
            .filter(|_| self.exit.is_none())
            .map(|control| control.as_raw_fd())
    }

    /// The last bytes are there to be read, without waiting for the descriptor.
    pub fn is_finishing(&self) -> bool {
        self.exit.is_some() && self.credit > 0
    }

    pub fn grant(&mut self, credit: u32) {
        self.credit = self.credit.saturating_add(credit);
    }

    pub fn pump(&mut self, place: usize, stream: u32, outbox: &mut Outbox) -> State {
        if let Some(source) = &mut self.sources[place] {
            match source.pump(stream, VARIANTS[place], self.credit, outbox) {
                Pumped::Some(length) => self.credit -= length as u32,
                Pumped::Nothing => {}
                Pumped::End => self.sources[place] = None,
            }
        }
        self.state(stream, outbox)
    }

    /// Reads what the command has left behind, as far as credit and space go.
    pub fn finish(&mut self, stream: u32, outbox: &mut Outbox) -> State {
        for place in 0..self.sources.len() {
            while self.credit > 0 && !outbox.is_full() && self.sources[place].is_some() {
                if self.pump(place, stream, outbox) == State::Ended {
                    return State::Ended;
                }
            }
        }
        self.state(stream, outbox)
    }

    /// Ended with the last message pushed, if all has been read and the exit is known.
    fn state(&mut self, stream: u32, outbox: &mut Outbox) -> State {
        match self.exit {
            Some(exit) if self.sources.iter().all(Option::is_none) => {
                outbox.push(stream, &ToHost::Exited(exit));
                State::Ended
            }
            _ => State::Open,
        }
    }

    /// The kernel has told the end of `child`.
    pub fn child_ended(&mut self, status: i32, stream: u32, outbox: &mut Outbox) -> State {
        if self.terminal.is_some() && self.exit.is_none() {
            if self.hear(stream, outbox) == State::Ended {
                return State::Ended;
            }
            if self.exit.is_none() {
                // Somebody has killed the leader: its command has lost its terminal and ends with it.
                kill_trees(&[self.child]);
                if self.pid.is_none() {
                    let failure = Failure::new(
                        FailureKind::Broken,
                        "the command's terminal was killed at its start",
                    );
                    outbox.push(stream, &failure.into_message());
                    return State::Ended;
                }
                let killed = ExitReport::Signal(libc::SIGKILL as u8);
                let report = Some(report_of(status)).filter(|report| matches!(report, ExitReport::Signal(_)));
                self.exited(report.unwrap_or(killed));
            }
        } else if self.exit.is_none() {
            self.exited(report_of(status));
        }
        self.finish(stream, outbox)
    }

    fn exited(&mut self, report: ExitReport) {
        self.exit = Some(report);
        if self.cancelled {
            self.sources = [None, None];
        }
        self.sources.iter_mut().flatten().for_each(Source::finish);
    }

    /// Reads what the leader tells.
    pub fn hear(&mut self, stream: u32, outbox: &mut Outbox) -> State {
        while let Some((terminal, plan)) = &mut self.terminal {
            match terminal.report() {
                Ok(None) => break,
                Ok(Some(Report::Started(pid))) => {
                    self.pid = Some(pid);
                    outbox.push(stream, &ToHost::Started { pid: pid as u32 });
                }
                Ok(Some(Report::Stopped)) => outbox.push(stream, &ToHost::Stopped),
                Ok(Some(Report::Failed(stage, errno))) => {
                    let error = LaunchError {
                        stage,
                        errno: Errno::from_raw_os_error(errno),
                    };
                    outbox.push(stream, &explain(error, plan).into_message());
                    return State::Ended;
                }
                Ok(Some(Report::Ended(status))) => {
                    self.exited(report_of(status));
                    return self.finish(stream, outbox);
                }
                Err(()) => {
                    // The end of the leader itself is told by the kernel.
                    terminal.control = None;
                    break;
                }
            }
        }
        State::Open
    }

    pub fn resize(&self, rows: u16, columns: u16) {
        if let Some((terminal, _)) = &self.terminal {
            terminal.resize(rows, columns);
        }
    }

    pub fn signal(&self, number: u8) {
        let foreground = self
            .terminal
            .as_ref()
            .and_then(|(terminal, _)| terminal.foreground_group());
        // After the exit the number may be another process's.
        if let Some(group) = foreground
            .or(self.pid)
            .filter(|_| self.exit.is_none() && (1..=64).contains(&number))
        {
            signal(-group, i32::from(number));
        }
    }

    /// Kills it; `Exited` follows when the kernel has told the end.
    pub fn cancel(&mut self, stream: u32, outbox: &mut Outbox) -> State {
        if let Some(child) = self.living() {
            kill_trees(&[child]);
        }
        self.cancelled = true;
        self.sources = [None, None];
        self.state(stream, outbox)
    }
}

pub fn report_of(status: i32) -> ExitReport {
    if libc::WIFSIGNALED(status) {
        ExitReport::Signal(libc::WTERMSIG(status) as u8)
    } else {
        ExitReport::Code(libc::WEXITSTATUS(status) as u8)
    }
}
