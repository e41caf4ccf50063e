//! The signals that we get while a command runs.

use std::{future::poll_fn, io, mem::MaybeUninit, ptr, task::Poll};

use tokio::signal::unix::{Signal as Listener, SignalKind, signal};

/// What is passed on to the command as it is.
const FORWARDED: [i32; 6] = [
    libc::SIGINT,
    libc::SIGTERM,
    libc::SIGHUP,
    libc::SIGQUIT,
    libc::SIGUSR1,
    libc::SIGUSR2,
];
/// What concerns the terminal and its job control.
const TERMINAL: [i32; 3] = [libc::SIGTSTP, libc::SIGCONT, libc::SIGWINCH];

#[derive(Debug)]
pub struct Signals(Vec<(i32, Listener)>);

impl Signals {
    /// Begins to listen. A signal that the caller had us ignore (`nohup`, a job in the background of a
    /// script) stays ignored. Must be called within a runtime.
    pub fn listen() -> io::Result<Self> {
        let mut listeners = Vec::with_capacity(FORWARDED.len() + TERMINAL.len());
        for number in FORWARDED.into_iter().chain(TERMINAL) {
            if !is_ignored(number) {
                listeners.push((number, signal(SignalKind::from_raw(number))?));
            }
        }
        Ok(Self(listeners))
    }

    /// The number of the next signal.
    pub async fn next(&mut self) -> i32 {
        poll_fn(|cx| {
            for (number, listener) in &mut self.0 {
                if let Poll::Ready(Some(())) = listener.poll_recv(cx) {
                    return Poll::Ready(*number);
                }
            }
            Poll::Pending
        })
        .await
    }
}

fn is_ignored(number: i32) -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: without a new action the call only writes the present one to memory that is large enough.
    let asked = unsafe { libc::sigaction(number, ptr::null(), action.as_mut_ptr()) };
    // SAFETY: zeroed bytes are a valid `sigaction`, whether or not the call has written to it.
    asked == 0 && unsafe { action.assume_init() }.sa_sigaction == libc::SIG_IGN
}
