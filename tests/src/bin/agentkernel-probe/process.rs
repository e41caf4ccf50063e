//! Each check in a process of its own. What it changes ends with it, and what kills it does not end the report.

use std::{
    fs::File,
    io::{Read, Write},
    os::fd::{FromRawFd, OwnedFd},
};

use crate::{
    facts::Facts,
    report::{Check, Outcome, leaked},
};

/// Seconds after which a check is ended: no attempt waits for anything that comes later than this.
const BOUND: u32 = 60;

pub fn run(check: &Check, facts: &Facts) -> Outcome {
    let (mut reader, writer) = pipe();
    match fork() {
        0 => {
            drop(reader);
            // SAFETY: only sets a timer of this process.
            unsafe { libc::alarm(BOUND) };
            let outcome = (check.run)(facts);
            write_outcome(writer, &outcome);
            exit(0)
        }
        child => {
            drop(writer);
            let mut answer = String::new();
            let read = reader.read_to_string(&mut answer);
            let end = wait(child);
            match (read, answer.split_at_checked(1)) {
                (Ok(_), Some(("b", detail))) => Outcome::Blocked(detail.to_owned()),
                (Ok(_), Some(("s", detail))) => Outcome::Skipped(detail.to_owned()),
                (Ok(_), Some(("l", detail))) => Outcome::Leaked(detail.to_owned()),
                _ => leaked(format!("the check did not finish: {end:?}")),
            }
        }
    }
}

fn write_outcome(mut writer: File, outcome: &Outcome) {
    let (letter, detail) = match outcome {
        Outcome::Blocked(detail) => ('b', detail),
        Outcome::Skipped(detail) => ('s', detail),
        Outcome::Leaked(detail) => ('l', detail),
    };
    // Without an answer the parent reports the check as unfinished.
    let _ = write!(writer, "{letter}{detail}");
}

/// How a child ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End {
    Code(i32),
    Signal(i32),
    Unknown,
}

/// Runs this in a child and waits for its end.
pub fn in_child(body: impl FnOnce() -> i32) -> End {
    match fork() {
        0 => exit(body()),
        child => wait(child),
    }
}

/// Forks this process, which has no other thread.
#[track_caller]
pub fn fork() -> i32 {
    // SAFETY: this program never starts a thread, so the child may do everything.
    let child = unsafe { libc::fork() };
    assert!(
        child >= 0,
        "a process can be made: {}",
        std::io::Error::last_os_error()
    );
    child
}

pub fn exit(code: i32) -> ! {
    // SAFETY: ends the process at once; buffers of the parent's copy are not written twice.
    unsafe { libc::_exit(code) }
}

pub fn wait(child: i32) -> End {
    let mut status = 0;
    // SAFETY: a child of this process and an integer of ours.
    if unsafe { libc::waitpid(child, &raw mut status, 0) } != child {
        return End::Unknown;
    }
    if libc::WIFSIGNALED(status) {
        End::Signal(libc::WTERMSIG(status))
    } else if libc::WIFEXITED(status) {
        End::Code(libc::WEXITSTATUS(status))
    } else {
        End::Unknown
    }
}

pub fn pipe() -> (File, File) {
    let mut ends = [0; 2];
    // SAFETY: the kernel writes two descriptors, which nobody else owns.
    let (reader, writer) = unsafe {
        assert_eq!(
            libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC),
            0,
            "a pipe can be made"
        );
        (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1]))
    };
    (reader.into(), writer.into())
}
