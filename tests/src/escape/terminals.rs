//! Terminals.

use std::{fs::File, os::fd::AsRawFd as _};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use super::{
    attempt::{Outcome, Probe, Skipped, call, failed, probe, refused},
    facts::Facts,
};

const SET_DISCIPLINE: u64 = 0x5423; // TIOCSETD

pub fn probes(_: &Facts) -> Vec<Probe> {
    let mut probes = Vec::new();
    for (name, command) in [
        ("type into one's own", libc::TIOCSTI),
        ("type into one's own under a high word", libc::TIOCSTI | 1 << 32),
        ("paste on a console", libc::TIOCLINUX),
        ("paste on a console under a high word", libc::TIOCLINUX | 1 << 63),
        ("take the console's output", libc::TIOCCONS),
        ("load a line discipline", SET_DISCIPLINE),
    ] {
        probes.push(probe("terminals", name, move || on_a_terminal(command)));
    }
    for number in 0..3u64 {
        let name = format!("type into standard stream {number}");
        probes.push(probe("terminals", name, move || {
            let letter = b"x";
            refused(call(
                libc::SYS_ioctl,
                &[number, libc::TIOCSTI, letter.as_ptr() as u64],
            ))
        }));
    }
    probes.push(probe("terminals", "open the controlling terminal", || {
        failed(File::open("/dev/tty"), "opened")
    }));
    probes.push(probe("terminals", "open the console", || {
        failed(File::open("/dev/console"), "opened")
    }));
    probes.push(probe("terminals", "open the first virtual one", || {
        failed(File::open("/dev/tty0"), "opened")
    }));
    probes
}

fn on_a_terminal(command: u64) -> Outcome {
    let pair = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).and_then(|controller| {
        grantpt(&controller)?;
        unlockpt(&controller)?;
        let name = ptsname(&controller, Vec::new())?;
        Ok((controller, name))
    });
    let Ok((controller, name)) = pair else {
        return Skipped("no terminal can be made".to_owned());
    };
    let Ok(terminal) = File::options()
        .read(true)
        .write(true)
        .open(name.to_string_lossy().as_ref())
    else {
        return Skipped("the terminal cannot be opened".to_owned());
    };
    let letter = b"x\0\0\0";
    let outcome = refused(call(
        libc::SYS_ioctl,
        &[terminal.as_raw_fd() as u64, command, letter.as_ptr() as u64],
    ));
    drop(controller);
    outcome
}
