//! Terminals: nothing is typed into one, and the caller's is not here.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::fd::AsRawFd,
};

use crate::{
    attempt::{answer, call, judge},
    facts::Facts,
    report::{Check, Outcome, blocked, holds, leaked},
};

const CLASS: &str = "terminals";

/// An own terminal first, so that nothing but the filter can refuse.
const CONTROLS: [(&str, usize); 8] = [
    ("TIOCSTI", 0x5412),
    ("TIOCSTI with bits above the number", 1 << 32 | 0x5412),
    ("TIOCLINUX", 0x541c),
    ("TIOCLINUX with bits above the number", 1 << 32 | 0x541c),
    ("TIOCCONS", 0x541d),
    ("TIOCCONS with bits above the number", 1 << 32 | 0x541d),
    ("TIOCSETD", 0x5423),
    ("TIOCSETD with bits above the number", 1 << 32 | 0x5423),
];

pub fn checks(_: &Facts) -> Vec<Check> {
    let mut checks: Vec<Check> = CONTROLS
        .iter()
        .map(|&(name, number)| Check::new(CLASS, name, move |_| control(number)))
        .collect();
    checks.extend([
        Check::new(CLASS, "there is no controlling terminal", |_| no_terminal()),
        Check::new(CLASS, "0 to 2 are no terminal of the host", |_| {
            standard_streams()
        }),
        Check::new(CLASS, "no terminal of the host in /dev/pts", |_| terminals()),
        Check::new(CLASS, "the session is the sandbox's own", |_| {
            // SAFETY: asks for numbers. 0: the leader is outside of this pid namespace.
            let (session, group, parent) = unsafe { (libc::getsid(0), libc::getpgid(0), libc::getppid()) };
            holds(
                session > 0 && group > 0 && parent > 0,
                format!("session {session}, group {group}, parent {parent}"),
            )
        }),
    ]);
    checks
}

fn control(number: usize) -> Outcome {
    let terminal = match own_terminal() {
        Ok(terminal) => terminal,
        Err(error) => return leaked(format!("every sandbox can have a terminal of its own: {error}")),
    };
    // Zero: a byte, a line discipline and a subcommand that do nothing.
    let value = 0u64;
    judge(
        call(
            libc::SYS_ioctl,
            &[terminal.as_raw_fd() as usize, number, &raw const value as usize],
        ),
        &[libc::EPERM],
    )
}

/// The controlling terminal of this check's process, made by itself.
fn own_terminal() -> io::Result<File> {
    let master = OpenOptions::new().read(true).write(true).open("/dev/ptmx")?;
    let (mut unlock, mut number) = (0i32, 0i32);
    // SAFETY: integers of ours, as these requests expect them; setsid takes nothing.
    unsafe {
        answer(libc::ioctl(master.as_raw_fd(), libc::TIOCSPTLCK, &raw mut unlock))?;
        answer(libc::ioctl(master.as_raw_fd(), libc::TIOCGPTN, &raw mut number))?;
        answer(libc::setsid())?;
    }
    let peer = OpenOptions::new()
        .read(true)
        .write(true)
        .open(format!("/dev/pts/{number}"))?;
    // SAFETY: the argument is a number: take it only if it is free.
    answer(unsafe { libc::ioctl(peer.as_raw_fd(), libc::TIOCSCTTY, 0) })?;
    // The other side stays open until the process ends.
    std::mem::forget(master);
    Ok(peer)
}

fn no_terminal() -> Outcome {
    match File::open("/dev/tty") {
        Ok(_) => leaked("it can be opened"),
        Err(error) => judge(
            Err::<(), _>(error),
            &[libc::ENXIO, libc::EIO, libc::ENOENT, libc::EACCES],
        ),
    }
}

fn standard_streams() -> Outcome {
    // SAFETY: asks about a number.
    let terminals: Vec<i32> = (0..3)
        .filter(|number| unsafe { libc::isatty(*number) } == 1)
        .collect();
    holds(terminals.is_empty(), format!("{terminals:?}"))
}

fn terminals() -> Outcome {
    match fs::read_dir("/dev/pts") {
        Err(error) => blocked(error),
        Ok(entries) => {
            let names: Vec<_> = entries
                .flatten()
                .map(|entry| entry.file_name())
                .filter(|name| name != "ptmx")
                .collect();
            holds(names.is_empty(), format!("{names:?}"))
        }
    }
}
