//! A real pseudo-terminal with a program at its other end.

use std::{
    fs::File,
    io::{Read, Write},
    os::{fd::OwnedFd, unix::process::CommandExt},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use rustix::{
    process::Signal,
    pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt},
    termios::{Termios, Winsize, tcgetattr, tcsetwinsize},
};

use super::{Home, wait_until};

const BOUND: Duration = Duration::from_secs(30);

/// The person's side: types, reads the screen, resizes. Dropping it hangs up and kills the program.
pub struct Terminal {
    master: File,
    /// Kept open, so that the terminal's modes can be looked at after the program's end.
    peer: OwnedFd,
    child: Child,
    screen: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    /// Starts `agentkernel ARGS` as the leader of a session with this terminal.
    pub fn open(home: &Home, arguments: &[&str], rows: u16, columns: u16) -> Self {
        Self::start(home, home.command(arguments), rows, columns)
    }

    /// Starts any program, such as a shell with job control.
    pub fn start(home: &Home, mut command: Command, rows: u16, columns: u16) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)
            .expect("a pseudo-terminal can be opened");
        grantpt(&master).expect("its other side can be granted");
        unlockpt(&master).expect("its other side can be unlocked");
        let peer = ioctl_tiocgptpeer(
            &master,
            OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC,
        )
        .expect("its other side can be opened");
        tcsetwinsize(&peer, size(rows, columns)).expect("a terminal has a size");
        home.prepare(&mut command);
        let copy = || Stdio::from(peer.try_clone().expect("a descriptor can be copied"));
        command.stdin(copy()).stdout(copy()).stderr(copy());
        // SAFETY: only two system calls between fork and exec, neither of which allocates or locks.
        unsafe {
            command.pre_exec(|| {
                rustix::process::setsid()?;
                rustix::process::ioctl_tiocsctty(rustix::stdio::stdin())?;
                Ok(())
            });
        }
        let child = command.spawn().expect("the program can be started");
        let screen = Arc::new(Mutex::new(Vec::new()));
        let (mut reader, seen) = (
            File::from(master.try_clone().expect("a descriptor can be copied")),
            screen.clone(),
        );
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            // Ends with EIO when the last process has closed the terminal.
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                seen.lock()
                    .expect("no reader panics")
                    .extend_from_slice(&buffer[..count]);
            }
        });
        Self {
            master: File::from(master),
            peer,
            child,
            screen,
        }
    }

    /// Everything that was shown so far.
    pub fn screen(&self) -> String {
        String::from_utf8_lossy(&self.screen.lock().expect("no reader panics")).into_owned()
    }

    /// Waits until this is on the screen.
    #[track_caller]
    pub fn expect(&self, text: &str) {
        self.expect_times(text, 1);
    }

    /// Waits until this is on the screen so many times.
    #[track_caller]
    pub fn expect_times(&self, text: &str, times: usize) {
        let start = std::time::Instant::now();
        while self.screen().matches(text).count() < times {
            assert!(
                start.elapsed() < BOUND,
                "waited for {text:?} ({times} times) on: {:?}",
                self.screen()
            );
            thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn send(&mut self, keys: &str) {
        self.master
            .write_all(keys.as_bytes())
            .expect("a terminal can be typed into");
    }

    /// Types this again and again until the text is on the screen: a program that takes over the terminal may throw
    /// away what was typed before.
    #[track_caller]
    pub fn send_until(&mut self, keys: &str, text: &str) {
        let start = std::time::Instant::now();
        while !self.screen().contains(text) {
            assert!(
                start.elapsed() < BOUND,
                "typed {keys:?} in vain on: {:?}",
                self.screen()
            );
            self.send(keys);
            let typed = std::time::Instant::now();
            while !self.screen().contains(text) && typed.elapsed() < Duration::from_secs(1) {
                thread::sleep(Duration::from_millis(5));
            }
        }
    }

    pub fn resize(&self, rows: u16, columns: u16) {
        tcsetwinsize(&self.peer, size(rows, columns)).expect("a terminal can be resized");
    }

    /// The modes (raw, echo and so on) as they are now.
    pub fn modes(&self) -> String {
        let Termios {
            input_modes,
            output_modes,
            control_modes,
            local_modes,
            ..
        } = tcgetattr(&self.peer).expect("a terminal has modes");
        format!("{input_modes:?} {output_modes:?} {control_modes:?} {local_modes:?}")
    }

    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    pub fn signal(&self, signal: Signal) {
        super::kill(self.pid(), signal);
    }

    /// Waits for the program's end.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        let screen = self.screen();
        wait_until(
            &format!("the program ends; its screen: {screen:?}"),
            BOUND,
            || {
                status = self.child.try_wait().expect("a child can be waited for");
                status.is_some()
            },
        );
        status.expect("the loop ends with a status")
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn size(rows: u16, columns: u16) -> Winsize {
    Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}
