//! A pseudo-terminal of the sandbox's own devpts, and the agent's line to the leader of its session.

use std::{os::fd::OwnedFd, rc::Rc};

use agentkernel_protocol::FailureKind;
use rustix::{
    fs::{CWD, Mode, OFlags, openat},
    io::Errno,
    net::{AddressFamily, SocketFlags, SocketType, socketpair},
    pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt},
    termios::{Winsize, tcgetpgrp, tcsetwinsize},
};

use super::leader::Report;
use crate::failure::{Failure, Result, reason};

pub struct Terminal {
    pub master: Rc<OwnedFd>,
    /// Closing it lets the leader end.
    pub control: Option<OwnedFd>,
}

/// The ends that the leader takes.
pub struct LeaderEnds {
    pub slave: OwnedFd,
    pub control: OwnedFd,
}

impl Terminal {
    pub fn open(rows: u16, columns: u16) -> Result<(Self, LeaderEnds)> {
        Self::try_open(rows, columns).map_err(|errno| {
            let message = format!("cannot open a terminal in the sandbox: {}", reason(errno));
            Failure::new(FailureKind::Exhausted, message)
        })
    }

    fn try_open(rows: u16, columns: u16) -> Result<(Self, LeaderEnds), Errno> {
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let master = openat(CWD, "/dev/ptmx", flags, Mode::empty())?;
        unlockpt(&master)?;
        let slave = ioctl_tiocgptpeer(
            &master,
            OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC,
        )?;
        let (control, leader) = socketpair(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::CLOEXEC,
            None,
        )?;
        rustix::io::ioctl_fionbio(&control, true)?;
        let terminal = Self {
            master: Rc::new(master),
            control: Some(control),
        };
        terminal.resize(rows, columns);
        Ok((
            terminal,
            LeaderEnds {
                slave,
                control: leader,
            },
        ))
    }

    pub fn resize(&self, rows: u16, columns: u16) {
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        // It fails only for a terminal that is gone.
        let _ = tcsetwinsize(&*self.master, size);
    }

    pub fn foreground_group(&self) -> Option<i32> {
        tcgetpgrp(&*self.master)
            .ok()
            .map(|group| group.as_raw_nonzero().get())
    }

    /// What the leader tells next. `Err` is its end.
    pub fn report(&self) -> Result<Option<Report>, ()> {
        let control = self.control.as_ref().ok_or(())?;
        let mut bytes = [0; Report::SIZE];
        match rustix::io::read(control, &mut bytes[..]) {
            // The leader writes each report at once, so none is ever torn.
            Ok(Report::SIZE) => Report::from_bytes(bytes).map(Some).ok_or(()),
            Err(Errno::AGAIN | Errno::INTR) => Ok(None),
            _ => Err(()),
        }
    }
}
