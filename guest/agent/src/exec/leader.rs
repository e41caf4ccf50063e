//! The process between the agent and a command with a terminal: leader of the session.
//!
//! The command's group has a parent in its own session, so it is not orphaned and Ctrl-Z stops it. The leader only
//! waits and tells; it stays until the agent has read the terminal empty, because its end hangs the terminal up.

use rustix::io::Errno;

use super::{
    launch::{LaunchError, Launcher, Stage, close_from},
    plan::Plan,
};
use crate::start::last_error;

/// What a leader tells, as eight bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Report {
    Started(i32),
    Failed(Stage, i32),
    Stopped,
    /// The status as `waitpid` gives it.
    Ended(i32),
}

impl Report {
    pub const SIZE: usize = 8;

    pub fn to_bytes(self) -> [u8; Self::SIZE] {
        let (tag, value) = match self {
            Self::Started(pid) => (0_u32, pid),
            Self::Stopped => (1, 0),
            Self::Ended(status) => (2, status),
            Self::Failed(Stage::Setup, errno) => (3, errno),
            Self::Failed(Stage::Workdir, errno) => (4, errno),
            Self::Failed(Stage::Lookup, errno) => (5, errno),
            Self::Failed(Stage::Execute, errno) => (6, errno),
        };
        let mut bytes = [0; Self::SIZE];
        bytes[..4].copy_from_slice(&tag.to_le_bytes());
        bytes[4..].copy_from_slice(&value.to_le_bytes());
        bytes
    }

    pub fn from_bytes(bytes: [u8; Self::SIZE]) -> Option<Self> {
        let [a, b, c, d, rest @ ..] = bytes;
        let value = i32::from_le_bytes(rest);
        Some(match u32::from_le_bytes([a, b, c, d]) {
            0 => Self::Started(value),
            1 => Self::Stopped,
            2 => Self::Ended(value),
            3 => Self::Failed(Stage::Setup, value),
            4 => Self::Failed(Stage::Workdir, value),
            5 => Self::Failed(Stage::Lookup, value),
            6 => Self::Failed(Stage::Execute, value),
            _ => return None,
        })
    }
}

/// Forks the leader. `slave` is the terminal, `control` the leader's end of the socket to the agent.
pub fn fork(plan: &Plan, slave: i32, control: i32) -> Result<i32, LaunchError> {
    // SAFETY: this process has one thread, so the child may do anything.
    match unsafe { libc::fork() } {
        -1 => Err(LaunchError {
            stage: Stage::Setup,
            errno: last_error(),
        }),
        0 => lead(plan, slave, control),
        pid => Ok(pid),
    }
}

/// The places of the two descriptors in the leader.
const TERMINAL: i32 = 0;
const CONTROL: i32 = 3;

fn lead(plan: &Plan, slave: i32, control: i32) -> ! {
    // SAFETY: plain numbers; a fresh process whose descriptors nobody else uses. Neither is 0, 1
    // or 2, which the agent keeps open, so no source is overwritten before it is copied.
    unsafe {
        libc::dup2(slave, TERMINAL);
        libc::dup2(control, CONTROL);
        close_from(CONTROL + 1);
        libc::setsid();
        // As the first process the agent takes all with it anyway; elsewhere nobody else would end the leader.
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        if libc::ioctl(TERMINAL, libc::TIOCSCTTY, 0) < 0 {
            tell(Report::Failed(Stage::Setup, last_error().raw_os_error()));
            libc::_exit(1);
        }
    }
    match Launcher::default().launch(plan, [TERMINAL; 3], true) {
        Ok(pid) => {
            tell(Report::Started(pid));
            watch(pid);
        }
        Err(LaunchError { stage, errno }) => tell(Report::Failed(stage, errno.raw_os_error())),
    }
    // SAFETY: a plain number.
    unsafe { libc::_exit(0) }
}

fn watch(pid: i32) {
    let mut status = 0;
    loop {
        // SAFETY: our own child and a place for its status.
        let ended = unsafe { libc::waitpid(pid, &mut status, libc::WUNTRACED | libc::__WALL) };
        if ended < 0 && last_error() == Errno::INTR {
            continue;
        }
        if ended < 0 || !libc::WIFSTOPPED(status) {
            break;
        }
        tell(Report::Stopped);
    }
    tell(Report::Ended(status));
    // The agent never writes: this returns when it closes its end.
    // SAFETY: one byte of our own.
    unsafe { libc::read(CONTROL, (&raw mut status).cast(), 1) };
}

/// A failure means that the agent is gone, and so will be this process.
fn tell(report: Report) {
    let bytes = report.to_bytes();
    // SAFETY: the bytes outlive the call.
    unsafe { libc::write(CONTROL, bytes.as_ptr().cast(), bytes.len()) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_report_survives_its_bytes() {
        let stages = [Stage::Setup, Stage::Workdir, Stage::Lookup, Stage::Execute];
        let failures = stages.map(|stage| Report::Failed(stage, 13));
        for report in [Report::Started(7), Report::Stopped, Report::Ended(0x8b)]
            .into_iter()
            .chain(failures)
        {
            assert_eq!(Report::from_bytes(report.to_bytes()), Some(report));
        }
    }
}
