//! Raw mode that ends with its guard, whichever way the program goes.

use std::{
    io,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
};

use agentkernel_types::TerminalSize;
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr};

use crate::streams::Stdio;

/// What most programs assume when nobody knows.
const USUAL: TerminalSize = TerminalSize {
    rows: 24,
    columns: 80,
};

/// A terminal as it was found. Dropping it restores that, also while panicking.
#[derive(Debug)]
pub struct Terminal {
    /// The descriptor and the modes to go back to. None: stdin is no terminal, so there is nothing to change.
    keyboard: Option<(OwnedFd, Termios)>,
    /// Who knows the size.
    screen: Option<OwnedFd>,
}

impl Terminal {
    /// Remembers the present state and changes nothing.
    pub fn find(stdio: Stdio<'_>) -> io::Result<Self> {
        let keyboard = match isatty(stdio.stdin) {
            true => Some((stdio.stdin.try_clone_to_owned()?, tcgetattr(stdio.stdin)?)),
            false => None,
        };
        let screen = [stdio.stdout, stdio.stdin, stdio.stderr]
            .into_iter()
            .find(|descriptor| isatty(descriptor));
        Ok(Self {
            keyboard,
            screen: screen
                .map(|descriptor| descriptor.try_clone_to_owned())
                .transpose()?,
        })
    }

    pub fn size(&self) -> TerminalSize {
        let size = self.screen.as_ref().and_then(|screen| size_of(screen.as_fd()));
        size.unwrap_or(USUAL)
    }

    /// Every key goes to the command as it is.
    pub fn raw(&self) -> io::Result<()> {
        let Some((descriptor, found)) = &self.keyboard else {
            return Ok(());
        };
        let mut raw = found.clone();
        raw.make_raw();
        Ok(tcsetattr(descriptor, OptionalActions::Now, &raw)?)
    }

    /// As it was found.
    pub fn restore(&self) -> io::Result<()> {
        let Some((descriptor, found)) = &self.keyboard else {
            return Ok(());
        };
        Ok(tcsetattr(descriptor, OptionalActions::Now, found)?)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // A terminal that is gone cannot be restored, and nobody misses it.
        let _ = self.restore();
    }
}

/// None also for a terminal of no size, as a serial line has it.
fn size_of(descriptor: BorrowedFd<'_>) -> Option<TerminalSize> {
    let size = tcgetwinsize(descriptor)
        .ok()
        .filter(|size| size.ws_row > 0 && size.ws_col > 0)?;
    Some(TerminalSize {
        rows: size.ws_row,
        columns: size.ws_col,
    })
}

#[cfg(test)]
mod tests {
    use rustix::{
        pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
        termios::{LocalModes, OutputModes, Winsize, tcsetwinsize},
    };

    use super::*;

    /// Both ends of a new terminal: the controlling one and the one that a program has.
    fn terminal() -> (OwnedFd, OwnedFd) {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY;
        let slave = rustix::fs::open(name, flags, rustix::fs::Mode::empty()).unwrap();
        (master, slave)
    }

    fn stdio(descriptor: &OwnedFd) -> Stdio<'_> {
        Stdio {
            stdin: descriptor.as_fd(),
            stdout: descriptor.as_fd(),
            stderr: descriptor.as_fd(),
        }
    }

    fn is_raw(descriptor: &OwnedFd) -> bool {
        let modes = tcgetattr(descriptor).unwrap();
        !modes
            .local_modes
            .intersects(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG)
            && !modes.output_modes.contains(OutputModes::OPOST)
    }

    #[test]
    fn raw_mode_ends_with_its_guard() {
        let (_master, slave) = terminal();
        let found = tcgetattr(&slave).unwrap().local_modes;
        let guard = Terminal::find(stdio(&slave)).unwrap();
        assert!(!is_raw(&slave));
        guard.raw().unwrap();
        assert!(is_raw(&slave));
        drop(guard);
        assert_eq!(tcgetattr(&slave).unwrap().local_modes, found);
    }

    #[test]
    fn raw_mode_ends_with_a_panic() {
        let (_master, slave) = terminal();
        let result = std::panic::catch_unwind(|| {
            let guard = Terminal::find(stdio(&slave)).unwrap();
            guard.raw().unwrap();
            assert!(!is_raw(&slave), "this assertion fails on purpose");
        });
        assert!(result.is_err());
        assert!(!is_raw(&slave));
    }

    #[test]
    fn a_suspended_program_takes_the_terminal_again() {
        let (_master, slave) = terminal();
        let guard = Terminal::find(stdio(&slave)).unwrap();
        guard.raw().unwrap();
        guard.restore().unwrap();
        assert!(!is_raw(&slave));
        guard.raw().unwrap();
        assert!(is_raw(&slave));
    }

    #[test]
    fn the_size_is_the_terminals_or_the_usual_one() {
        let (_master, slave) = terminal();
        let guard = Terminal::find(stdio(&slave)).unwrap();
        assert_eq!(guard.size(), USUAL);
        let size = Winsize {
            ws_row: 40,
            ws_col: 132,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&slave, size).unwrap();
        assert_eq!(
            guard.size(),
            TerminalSize {
                rows: 40,
                columns: 132
            }
        );
    }

    #[test]
    fn a_pipe_is_left_alone() {
        let (reader, _writer) = io::pipe().unwrap();
        let descriptor = OwnedFd::from(reader);
        let guard = Terminal::find(stdio(&descriptor)).unwrap();
        guard.raw().unwrap();
        assert_eq!(guard.size(), USUAL);
        assert!(!crate::terminal::is_interactive(stdio(&descriptor)));
    }
}
