//! What the host has marked, and this check must not find.

use std::{
    fs, io,
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixStream},
    },
};

use crate::{
    attempt::{answer, c},
    facts::{Facts, Profile},
    report::{Check, Outcome, blocked, holds, leaked, skipped},
};

const CLASS: &str = "leaks";
const NOTHING_MARKED: &str = "the host has marked nothing";

/// A sandbox has its PID 1, what it runs, and what this check forks.
const MOST_PROCESSES: usize = 16;

pub fn checks(facts: &Facts) -> Vec<Check> {
    let mut checks = vec![
        Check::new(CLASS, "the host's name", host_name),
        Check::new(CLASS, "a variable of the caller", |facts| {
            if facts.profile == Profile::Permissive {
                skipped("the profile passes the environment on")
            } else {
                absent_variable(facts, "environment")
            }
        }),
        Check::new(CLASS, "a variable with a credential's name", |facts| {
            absent_variable(facts, "secret-environment")
        }),
        Check::new(CLASS, "a marked variable of any process", |facts| {
            in_every_process(facts, "environ", &["secret-environment"])
        }),
        Check::new(CLASS, "descriptors above 2", |facts| {
            holds(facts.descriptors.is_empty(), format!("{:?}", facts.descriptors))
        }),
        Check::new(CLASS, "descriptors 0 to 2 are no folders", |_| standard_streams()),
        Check::new(
            CLASS,
            "a marked file in the host's home folder",
            |facts| match facts.get("home-marker") {
                Some(_) if facts.profile == Profile::Permissive => {
                    skipped("the profile shows the home folder")
                }
                Some(path) => unreadable(path),
                None => skipped(NOTHING_MARKED),
            },
        ),
        Check::new(CLASS, "processes of the host", |_| few_processes()),
        Check::new(CLASS, "a marked process of the host", |facts| {
            in_every_process(facts, "cmdline", &["word"])
        }),
        Check::new(CLASS, "an abstract socket of the host", abstract_socket),
        Check::new(CLASS, "a socket of the host in its /tmp", |facts| {
            match facts.get("unix-socket") {
                Some(path) => match UnixStream::connect(path) {
                    Ok(_) => leaked("connected"),
                    Err(error) => blocked(error),
                },
                None => skipped(NOTHING_MARKED),
            }
        }),
        Check::new(CLASS, "shared memory of the host", shared_memory),
        Check::new(CLASS, "a message queue of the host", message_queue),
    ];
    for (kind, paths) in [
        ("marked file", facts.all("marker-file")),
        ("marked credential", facts.all("credential-marker")),
    ] {
        for path in paths {
            let path = path.clone();
            checks.push(Check::new(CLASS, format!("{kind} {path}"), move |_| {
                unreadable(&path)
            }));
        }
    }
    checks
}

fn host_name(facts: &Facts) -> Outcome {
    let Some(host) = facts.get("host-name") else {
        return skipped(NOTHING_MARKED);
    };
    match fs::read_to_string("/proc/sys/kernel/hostname") {
        Ok(own) => holds(own.trim() != host, own.trim()),
        Err(error) => blocked(error),
    }
}

fn absent_variable(facts: &Facts, fact: &str) -> Outcome {
    match facts.get(fact) {
        Some(name) => holds(std::env::var_os(name).is_none(), name),
        None => skipped(NOTHING_MARKED),
    }
}

fn processes() -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

fn few_processes() -> Outcome {
    let found = processes();
    holds(
        !found.is_empty() && found.len() <= MOST_PROCESSES,
        format!("{} processes, the last is {:?}", found.len(), found.iter().max()),
    )
}

/// None of the words in a file of any process. This check's own processes carry the words as arguments.
fn in_every_process(facts: &Facts, file: &str, words: &[&str]) -> Outcome {
    let words: Vec<&str> = words.iter().filter_map(|name| facts.get(name)).collect();
    if words.is_empty() {
        return skipped(NOTHING_MARKED);
    }
    let (mut looked, mut found) = (0, Vec::new());
    for pid in processes() {
        let Ok(bytes) = fs::read(format!("/proc/{pid}/{file}")) else {
            continue;
        };
        let text = String::from_utf8_lossy(&bytes);
        if file == "cmdline"
            && text
                .split('\0')
                .next()
                .is_some_and(|program| program.ends_with("agentkernel-probe"))
        {
            continue;
        }
        looked += 1;
        if words.iter().any(|word| text.contains(word)) {
            found.push(pid);
        }
    }
    holds(found.is_empty(), format!("{looked} processes, in {found:?}"))
}

fn standard_streams() -> Outcome {
    let folders: Vec<u32> = (0..3)
        .filter(|number| fs::metadata(format!("/proc/self/fd/{number}")).is_ok_and(|found| found.is_dir()))
        .collect();
    holds(folders.is_empty(), format!("{folders:?}"))
}

/// Neither its content nor, where it exists, anything else can be had.
pub fn unreadable(path: &str) -> Outcome {
    match fs::read(path) {
        Ok(bytes) if bytes.is_empty() => blocked("covered by an empty file"),
        Ok(bytes) => leaked(format!("{} bytes can be read", bytes.len())),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied | io::ErrorKind::NotADirectory
            ) =>
        {
            blocked(error)
        }
        Err(error) => leaked(format!("it is there: {error}")),
    }
}

fn abstract_socket(facts: &Facts) -> Outcome {
    let Some(name) = facts.get("abstract-socket") else {
        return skipped(NOTHING_MARKED);
    };
    let address = match SocketAddr::from_abstract_name(name.as_bytes()) {
        Ok(address) => address,
        Err(error) => return leaked(format!("the name is no name: {error}")),
    };
    match UnixStream::connect_addr(&address) {
        Ok(_) => leaked("connected"),
        Err(error) => blocked(error),
    }
}

fn shared_memory(facts: &Facts) -> Outcome {
    let Some(key) = facts.get("shared-memory-key").and_then(|key| key.parse().ok()) else {
        return skipped(NOTHING_MARKED);
    };
    // SAFETY: asks for a segment that exists; numbers only.
    match answer(unsafe { libc::shmget(key, 0, 0) }) {
        Ok(_) => leaked("it is there"),
        Err(error) => holds(error.raw_os_error() == Some(libc::ENOENT), error),
    }
}

fn message_queue(facts: &Facts) -> Outcome {
    let Some(name) = facts.get("message-queue") else {
        return skipped(NOTHING_MARKED);
    };
    let name = c(name);
    // SAFETY: a name of ours; without O_CREAT no further arguments are read.
    match answer(unsafe { libc::mq_open(name.as_ptr(), libc::O_RDONLY) }) {
        Ok(_) => leaked("it is there"),
        Err(error) => blocked(error),
    }
}
