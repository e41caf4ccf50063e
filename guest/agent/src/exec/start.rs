//! From a request to a command that runs.

use std::{
    os::fd::{AsRawFd, OwnedFd},
    rc::Rc,
};

use agentkernel_protocol::{ExecRequest, FailureKind};
use rustix::{
    fs::{CWD, Mode, OFlags, openat},
    io::Errno,
    pipe::{PipeFlags, pipe_with},
};

use super::{
    command::Command,
    launch::{LaunchError, Stage},
    leader,
    plan::Plan,
    sink::Sink,
    source::Source,
    terminal::Terminal,
};
use crate::{
    failure::{Failure, Result, kind_of, reason, shown},
    sandbox::Sandbox,
};

/// A command that runs, and its ends of the pipes.
pub struct Started {
    pub pid: i32,
    pub stdout: OwnedFd,
    pub stderr: OwnedFd,
    pub stdin: Option<OwnedFd>,
}

/// A command that belongs to a stream. With a terminal the leader has still to say whether it runs.
pub fn start(request: &ExecRequest, sandbox: &mut Sandbox) -> Result<Command> {
    let plan = plan(request, sandbox)?;
    if let Some((rows, columns)) = request.terminal {
        return start_in_terminal(plan, rows, columns);
    }
    let Started {
        pid,
        stdout,
        stderr,
        stdin,
    } = Started::new(&plan, request.piped_stdin, sandbox)?;
    let sink = Sink::new(stdin.map(Rc::new), false);
    Ok(Command::with_pipes(
        pid,
        sink,
        Source::pipe(stdout),
        Source::pipe(stderr),
    ))
}

fn plan(request: &ExecRequest, sandbox: &Sandbox) -> Result<Plan> {
    let booted = sandbox
        .booted
        .as_ref()
        .expect("a connection serves nothing before `Boot`");
    Plan::new(request, booted)
}

impl Started {
    /// For commands without a terminal; the sandbox's own log keeps what a detached one says.
    pub fn detached(request: &ExecRequest, sandbox: &mut Sandbox) -> Result<Self> {
        let plan = plan(request, sandbox)?;
        Self::new(&plan, false, sandbox)
    }

    fn new(plan: &Plan, piped_stdin: bool, sandbox: &mut Sandbox) -> Result<Self> {
        let exhausted = |errno| Failure::new(kind_of(errno), format!("cannot open pipes: {}", reason(errno)));
        let (stdout, child_stdout) = pipe(End::Read).map_err(exhausted)?;
        let (stderr, child_stderr) = pipe(End::Read).map_err(exhausted)?;
        let (stdin, child_stdin) = match piped_stdin {
            true => pipe(End::Write).map(|(ours, theirs)| (Some(ours), theirs)),
            false => openat(CWD, "/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
                .map(|null| (None, null)),
        }
        .map_err(exhausted)?;
        let stdio = [&child_stdin, &child_stdout, &child_stderr].map(|end| end.as_raw_fd());
        let pid = sandbox
            .launcher
            .launch(plan, stdio, false)
            .map_err(|error| explain(error, plan))?;
        Ok(Self {
            pid,
            stdout,
            stderr,
            stdin,
        })
    }
}

fn start_in_terminal(plan: Plan, rows: u16, columns: u16) -> Result<Command> {
    let (terminal, ends) = Terminal::open(rows, columns)?;
    let leader = leader::fork(&plan, ends.slave.as_raw_fd(), ends.control.as_raw_fd());
    let leader = leader.map_err(|error| explain(error, &plan))?;
    Ok(Command::with_terminal(leader, terminal, plan))
}

enum End {
    Read,
    Write,
}

/// Our end, which never blocks, and the child's.
fn pipe(ours: End) -> Result<(OwnedFd, OwnedFd), Errno> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
    let (ours, theirs) = match ours {
        End::Read => (read, write),
        End::Write => (write, read),
    };
    rustix::io::ioctl_fionbio(&ours, true)?;
    Ok((ours, theirs))
}

/// A launch that failed, in words of the request.
pub fn explain(error: LaunchError, plan: &Plan) -> Failure {
    let LaunchError { stage, errno } = error;
    match stage {
        Stage::Setup => Failure::new(
            kind_of(errno),
            format!("cannot start {}: {}", plan.program(), reason(errno)),
        ),
        Stage::Workdir => {
            let folder = shown(plan.workdir.as_bytes());
            let kind = if errno == Errno::NOENT {
                FailureKind::Invalid
            } else {
                kind_of(errno)
            };
            Failure::new(
                kind,
                format!("cannot enter the working directory {folder}: {}", reason(errno)),
            )
        }
        Stage::Lookup => {
            let message = format!("{}: no such command in the sandbox", plan.program());
            Failure::new(FailureKind::CommandNotFound, message)
        }
        Stage::Execute => match errno {
            Errno::TOOBIG | Errno::NOMEM | Errno::AGAIN | Errno::MFILE | Errno::NFILE => Failure::new(
                kind_of(errno),
                format!("cannot execute {}: {}", plan.program(), reason(errno)),
            ),
            Errno::NOENT => {
                let message = format!(
                    "cannot execute {}: its interpreter does not exist",
                    plan.program()
                );
                Failure::new(FailureKind::NotExecutable, message)
            }
            Errno::NOEXEC => {
                let message = format!(
                    "cannot execute {}: it is not a program for this machine",
                    plan.program()
                );
                Failure::new(FailureKind::NotExecutable, message)
            }
            _ => {
                let message = format!("cannot execute {}: {}", plan.program(), reason(errno));
                Failure::new(FailureKind::NotExecutable, message)
            }
        },
    }
}
