//! What can be seen from the host: processes, namespaces, mounts, cgroups, files.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use rustix::process::{Pid, Signal, kill_process};

/// A number of seconds that no other process of this host sleeps: `sleep MARKER` can be found from outside.
pub fn marker() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!(
        "300.{:08}{:03}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
}

/// The processes that run exactly `sleep MARKER`, as the host numbers them.
pub fn sleepers(marker: &str) -> Vec<i32> {
    processes_with(
        |argv| matches!(argv, [program, argument] if program.ends_with("sleep") && argument == marker),
    )
}

/// The processes that have `text` in some argument.
pub fn process_mentions(text: &str) -> Vec<i32> {
    processes_with(|argv| argv.iter().any(|argument| argument.contains(text)))
}

pub fn processes_with(matches: impl Fn(&[String]) -> bool) -> Vec<i32> {
    let own = std::process::id() as i32;
    pids()
        .filter(|pid| *pid != own)
        .filter(|pid| matches(&arguments(*pid)))
        .collect()
}

fn pids() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").expect("/proc is mounted");
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

fn arguments(pid: i32) -> Vec<String> {
    // A process may end between the listing and the reading.
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    text.split_terminator('\0').map(str::to_owned).collect()
}

fn status_field(pid: i32, field: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    Some(line.trim_start_matches(':').trim().to_owned())
}

pub fn parent_of(pid: i32) -> Option<i32> {
    status_field(pid, "PPid")?.parse().ok()
}

/// The first process of the innermost pid namespace in which this process lives.
pub fn init_of(pid: i32) -> Option<i32> {
    let mut current = pid;
    loop {
        let numbers = status_field(current, "NSpid")?;
        let numbers: Vec<&str> = numbers.split_whitespace().collect();
        match numbers.as_slice() {
            [_] => return None,
            [.., "1"] => return Some(current),
            _ => current = parent_of(current)?,
        }
    }
}

/// The identity of a namespace of this process, such as `net:[4026531840]`.
pub fn namespace(kind: &str) -> String {
    let link = fs::read_link(format!("/proc/self/ns/{kind}")).expect("a process has its namespaces");
    link.to_string_lossy().into_owned()
}

/// Sends a signal to a process that this test started, directly or through the binary. The gone is a success.
pub fn kill(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid) {
        let _ = kill_process(pid, signal);
    }
}

/// What agentkernel has left on the host at one moment. Two of them can be compared.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Footprint {
    /// Every pid namespace that has a process: a sandbox that lives has one of its own.
    pub namespaces: BTreeSet<String>,
    pub mounts: BTreeSet<String>,
    pub cgroups: BTreeSet<PathBuf>,
    /// Files and folders below the state folder, but not what sandboxes wrote themselves.
    pub files: BTreeSet<PathBuf>,
}

impl Footprint {
    pub fn of(state: &Path) -> Self {
        Self {
            namespaces: pids()
                .filter_map(|pid| fs::read_link(format!("/proc/{pid}/ns/pid")).ok())
                .map(|link| link.to_string_lossy().into_owned())
                .collect(),
            mounts: mounts(state),
            cgroups: folders(Path::new("/sys/fs/cgroup"), 6)
                .into_iter()
                .filter(|path| path.to_string_lossy().contains("agentkernel"))
                .collect(),
            files: files(state),
        }
    }

    /// What is there now and was not before.
    pub fn since(&self, before: &Self) -> Self {
        fn new<T: Ord + Clone>(now: &BTreeSet<T>, before: &BTreeSet<T>) -> BTreeSet<T> {
            now.difference(before).cloned().collect()
        }
        Self {
            namespaces: new(&self.namespaces, &before.namespaces),
            mounts: new(&self.mounts, &before.mounts),
            cgroups: new(&self.cgroups, &before.cgroups),
            files: new(&self.files, &before.files),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.namespaces.is_empty()
            && self.mounts.is_empty()
            && self.cgroups.is_empty()
            && self.files.is_empty()
    }
}

fn mounts(state: &Path) -> BTreeSet<String> {
    let table = fs::read_to_string("/proc/self/mountinfo").expect("a process has its mounts");
    let state = state.to_string_lossy().into_owned();
    table
        .lines()
        .filter(|line| line.contains(&state) || line.contains("agentkernel"))
        .map(str::to_owned)
        .collect()
}

fn folders(root: &Path, depth: usize) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(root) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for entry in entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
    {
        if depth > 1 {
            found.extend(folders(&entry.path(), depth - 1));
        }
        found.push(entry.path());
    }
    found
}

fn files(root: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut open = vec![root.to_path_buf()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_folder && entry.file_name() != "workspace" {
                open.push(entry.path());
            }
            found.insert(entry.path());
        }
    }
    found
}
