//! Who descends from whom, by /proc; and how to end them all.

use std::collections::{BTreeMap, BTreeSet};

use rustix::{
    fs::{CWD, Dir, Mode, OFlags, openat},
    io::Errno,
};

/// Rounds of stopping before the killing: each round stops what the round before let through.
const ROUNDS: usize = 64;

struct Relation {
    parent: i32,
    group: i32,
    session: i32,
}

/// SIGKILL to these processes, their groups, sessions and descendants.
///
/// They are stopped first: a stopped process cannot start another one behind our back, and the chain
/// of parents stays whole until the last one is known.
pub fn kill_trees(roots: &[i32]) {
    if roots.is_empty() {
        return;
    }
    let family = stop(|| family_of(roots, &read_all()));
    roots.iter().for_each(|&root| signal(-root, libc::SIGKILL));
    family.iter().for_each(|&pid| signal(pid, libc::SIGKILL));
}

/// SIGKILL to everything but this process.
pub fn kill_all(first: bool) {
    if first {
        // Of the whole namespace, at once.
        return signal(-1, libc::SIGKILL);
    }
    stop(descendants)
        .iter()
        .for_each(|&pid| signal(pid, libc::SIGKILL));
}

/// Stops everyone whom `find` finds, until it finds nobody new.
fn stop(find: impl Fn() -> BTreeSet<i32>) -> BTreeSet<i32> {
    let mut family = BTreeSet::new();
    for _ in 0..ROUNDS {
        let found = find();
        let new: Vec<i32> = found.difference(&family).copied().collect();
        if new.is_empty() {
            break;
        }
        new.iter().for_each(|&pid| signal(pid, libc::SIGSTOP));
        family.extend(new);
    }
    family
}

/// Every process of the sandbox but this one: without a namespace of our own, our descendants.
pub fn signal_all(first: bool, number: i32) {
    if first {
        signal(-1, number);
        return;
    }
    descendants().into_iter().for_each(|pid| signal(pid, number));
}

pub fn count_all(first: bool) -> usize {
    if first {
        read_all().len().saturating_sub(1)
    } else {
        descendants().len()
    }
}

/// An error is a process that is gone already.
pub fn signal(pid: i32, number: i32) {
    // SAFETY: plain numbers.
    unsafe { libc::kill(pid, number) };
}

fn descendants() -> BTreeSet<i32> {
    let myself = rustix::process::getpid().as_raw_nonzero().get();
    let mut family = family_of(&[myself], &read_all());
    family.remove(&myself);
    family
}

fn family_of(roots: &[i32], all: &BTreeMap<i32, Relation>) -> BTreeSet<i32> {
    let myself = rustix::process::getpid().as_raw_nonzero().get();
    let mut family: BTreeSet<i32> = roots
        .iter()
        .copied()
        .filter(|pid| all.contains_key(pid))
        .collect();
    let related = |relation: &Relation| roots.contains(&relation.group) || roots.contains(&relation.session);
    family.extend(
        all.iter()
            .filter(|(pid, relation)| **pid != myself && related(relation))
            .map(|(pid, _)| *pid),
    );
    loop {
        let before = family.len();
        for (&pid, relation) in all {
            if pid != myself && family.contains(&relation.parent) {
                family.insert(pid);
            }
        }
        if family.len() == before {
            return family;
        }
    }
}

fn read_all() -> BTreeMap<i32, Relation> {
    let mut all = BTreeMap::new();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(folder) = openat(CWD, "/proc", flags, Mode::empty()) else {
        return all;
    };
    let Ok(entries) = Dir::read_from(&folder) else {
        return all;
    };
    for entry in entries.flatten() {
        let Some(pid) = std::str::from_utf8(entry.file_name().to_bytes())
            .ok()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let mut text = [0; 512];
        let read = openat(
            &folder,
            format!("{pid}/stat"),
            OFlags::RDONLY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .and_then(|file| rustix::io::read(&file, &mut text[..]))
        .map_err(|_: Errno| ());
        if let Some(relation) = read.ok().and_then(|length| parse(&text[..length])) {
            all.insert(pid, relation);
        }
    }
    all
}

/// `PID (NAME) STATE PARENT GROUP SESSION ...`: the name may hold anything, so from its last bracket on.
fn parse(stat: &[u8]) -> Option<Relation> {
    let end = stat.iter().rposition(|&byte| byte == b')')?;
    let mut fields = std::str::from_utf8(&stat[end + 1..])
        .ok()?
        .split_ascii_whitespace()
        .skip(1);
    let mut number = || fields.next()?.parse().ok();
    Some(Relation {
        parent: number()?,
        group: number()?,
        session: number()?,
    })
}
