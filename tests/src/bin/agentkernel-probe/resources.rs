//! Resources: no core files, and an end to the number of processes. Runs last: it fills the sandbox for a moment.

use crate::{
    attempt::answer,
    facts::Facts,
    process,
    report::{Check, Outcome, blocked, holds, leaked},
};

const CLASS: &str = "resources";
const FAR_TOO_MANY: usize = 10_000;

pub fn checks(_: &Facts) -> Vec<Check> {
    vec![
        Check::new(CLASS, "no core files", |_| {
            limit(libc::RLIMIT_CORE, |limit| {
                limit.rlim_cur == 0 && limit.rlim_max == 0
            })
        }),
        Check::new(CLASS, "processes have a limit", |_| {
            limit(libc::RLIMIT_NPROC, |limit| limit.rlim_max < FAR_TOO_MANY as u64)
        }),
        Check::new(CLASS, "ten thousand processes", |_| many_processes()),
    ]
}

fn limit(kind: libc::__rlimit_resource_t, wanted: fn(&libc::rlimit) -> bool) -> Outcome {
    let mut found = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: a structure of ours.
    match answer(unsafe { libc::getrlimit(kind, &raw mut found) }) {
        Ok(_) => holds(
            wanted(&found),
            format!("{} of at most {}", found.rlim_cur, found.rlim_max),
        ),
        Err(error) => leaked(error),
    }
}

/// Each child only waits. All are ended and collected before the answer.
fn many_processes() -> Outcome {
    let mut children = Vec::new();
    let mut refusal = None;
    while children.len() < FAR_TOO_MANY && refusal.is_none() {
        // SAFETY: this program never starts a thread; the child does nothing but wait.
        match unsafe { libc::fork() } {
            -1 => refusal = Some(std::io::Error::last_os_error()),
            0 => loop {
                // SAFETY: returns only for a signal that is handled, and none is.
                unsafe { libc::pause() };
            },
            child => children.push(child),
        }
    }
    for child in &children {
        // SAFETY: a child that this function has made and not yet collected.
        unsafe { libc::kill(*child, libc::SIGKILL) };
    }
    for child in &children {
        process::wait(*child);
    }
    match refusal {
        Some(error) => blocked(format!("refused after {}: {error}", children.len())),
        None => leaked(format!("{} were made", children.len())),
    }
}
