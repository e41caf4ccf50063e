//! Run inside a sandbox: tries what a sandbox must refuse, one attempt a probe, and prints one JSON line for each.
//!
//! `blocked`: refused. `leaked`: it worked, or got further than it may. `skipped`: this profile grants it, or the
//! attempt has no object here. What the host has marked (an environment variable, files, a socket, a process) is
//! told by arguments: `NAME=VALUE`.

#![expect(clippy::print_stdout, reason = "the report is what this program is for")]

mod calls;
mod files;
mod kernel;
mod leaks;
mod processes;

use std::collections::HashMap;

/// What came of one attempt, with what was seen.
pub enum Outcome {
    Blocked(String),
    Leaked(String),
    Skipped(String),
}

/// The facts that the test outside has given.
pub struct Facts(HashMap<String, String>);

impl Facts {
    pub fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    pub fn is(&self, name: &str) -> bool {
        self.get(name) == "yes"
    }
}

pub type Probe = (&'static str, String, Box<dyn Fn(&Facts) -> Outcome>);

/// The errors by which a wall refuses. Anything else means that the kernel has looked at the request.
pub const REFUSALS: [i32; 8] = [
    libc::EPERM,
    libc::EACCES,
    libc::ENOSYS,
    libc::EROFS,
    libc::EAFNOSUPPORT,
    libc::EPROTONOSUPPORT,
    libc::ESOCKTNOSUPPORT,
    libc::ENOTSUP,
];

pub fn last_error() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

pub fn blocked(detail: impl ToString) -> Outcome {
    Outcome::Blocked(detail.to_string())
}

pub fn leaked(detail: impl ToString) -> Outcome {
    Outcome::Leaked(detail.to_string())
}

pub fn skipped(detail: impl ToString) -> Outcome {
    Outcome::Skipped(detail.to_string())
}

/// An attempt whose failure must be a refusal.
pub fn attempt(result: Result<impl ToString, std::io::Error>) -> Outcome {
    match result {
        Ok(seen) => leaked(seen),
        Err(error) if error.raw_os_error().is_some_and(|code| REFUSALS.contains(&code)) => blocked(error),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => blocked(error),
        Err(error) => leaked(format!("reached the kernel: {error}")),
    }
}

fn main() {
    let facts = Facts(
        std::env::args()
            .skip(1)
            .filter_map(|argument| {
                argument
                    .split_once('=')
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
            })
            .collect(),
    );
    let mut probes = Vec::new();
    for collect in [
        kernel::probes,
        calls::probes,
        leaks::probes,
        files::probes,
        processes::probes,
    ] {
        probes.extend(collect());
    }
    for (class, name, probe) in probes {
        let (outcome, detail) = match probe(&facts) {
            Outcome::Blocked(detail) => ("blocked", detail),
            Outcome::Leaked(detail) => ("leaked", detail),
            Outcome::Skipped(detail) => ("skipped", detail),
        };
        let line = serde_json::json!({"class": class, "name": name, "outcome": outcome, "detail": detail});
        println!("{line}");
    }
}
