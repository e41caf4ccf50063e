//! The control groups of one sandbox.

use std::{
    fs::{self, File},
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
    time::Duration,
};

use agentkernel_backend::{Error, Result};
use agentkernel_types::{ErrorKind, Resources, SandboxId};
use rustix::fs::{Mode, OFlags, open};

use super::{Limits, PREFIX};

/// Quota periods of the cpu controllers, in microseconds.
const PERIOD_US: u64 = 100_000;

/// Removed by [`Group::remove`]. Its folders are locked while this process holds it, so that nobody takes one that
/// has no process yet for a leftover.
#[derive(Debug)]
pub struct Group {
    v2: Option<(PathBuf, OwnedFd)>,
    v1: Vec<PathBuf>,
    locks: Vec<File>,
}

/// What the processes of a group use. None: no controller counts it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Usage {
    pub memory: Option<u64>,
    pub cpu_us: Option<u64>,
}

/// A file of a controller and what is written to it. A failing write is refused unless `optional`.
struct Setting {
    file: &'static str,
    value: String,
    optional: bool,
}

fn setting(file: &'static str, value: impl ToString, optional: bool) -> Setting {
    Setting {
        file,
        value: value.to_string(),
        optional,
    }
}

impl Group {
    /// None if no limit that was asked for needs a group.
    pub fn create(limits: &Limits, id: &SandboxId, resources: &Resources) -> Result<Option<Self>> {
        let name = format!("{PREFIX}{id}");
        let mut group = Self {
            v2: None,
            v1: Vec::new(),
            locks: Vec::new(),
        };
        let by_group = resources.pids.filter(|_| !super::counts_per_namespace());
        let mut v2 = Vec::new();
        if let Some(memory) = resources.memory {
            if limits.v2_has("memory") {
                v2.push(setting("memory.max", memory.bytes(), false));
                v2.push(setting("memory.swap.max", 0, true));
                // One process out of memory ends its sandbox's others neither here nor there: as a host would.
            } else {
                limits.memory()?;
                let settings = [
                    setting("memory.limit_in_bytes", memory.bytes(), false),
                    setting("memory.memsw.limit_in_bytes", memory.bytes(), true),
                ];
                group.add_v1(limits.v1_memory.as_deref(), &name, &settings)?;
            }
        }
        if let Some(cpus) = resources.cpus {
            let quota = u64::from(cpus.millis()) * PERIOD_US / 1000;
            if limits.v2_has("cpu") {
                v2.push(setting("cpu.max", format!("{quota} {PERIOD_US}"), false));
            } else {
                limits.cpus()?;
                let settings = [
                    setting("cpu.cfs_period_us", PERIOD_US, false),
                    setting("cpu.cfs_quota_us", quota, false),
                ];
                group.add_v1(limits.v1_cpu.as_deref(), &name, &settings)?;
            }
        }
        if let Some(pids) = by_group {
            if limits.v2_has("pids") {
                v2.push(setting("pids.max", pids, false));
            } else {
                group.add_v1(
                    limits.v1_pids.as_deref(),
                    &name,
                    &[setting("pids.max", pids, false)],
                )?;
            }
        }
        if let Some(parent) = limits.v2.as_deref().filter(|_| !v2.is_empty()) {
            let path = parent.join(&name);
            group.locks.extend(make(&path, &v2)?);
            let folder = open(
                &path,
                OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
                Mode::empty(),
            );
            group.v2 = Some((path.clone(), folder.map_err(|error| failed(&path, error.into()))?));
        }
        Ok((group.v2.is_some() || !group.v1.is_empty()).then_some(group))
    }

    fn add_v1(&mut self, parent: Option<&Path>, name: &str, settings: &[Setting]) -> Result<()> {
        let Some(parent) = parent else { return Ok(()) };
        let path = parent.join(name);
        // In the list before it is made: an error removes what is there.
        self.v1.push(path.clone());
        self.locks.extend(make(&path, settings)?);
        Ok(())
    }

    /// The groups of a sandbox that another process has started.
    pub fn open(limits: &Limits, id: &SandboxId) -> Option<Self> {
        let name = format!("{PREFIX}{id}");
        let there = |parent: &Option<PathBuf>| {
            parent
                .as_ref()
                .map(|parent| parent.join(&name))
                .filter(|path| path.is_dir())
        };
        let v2 = there(&limits.v2).and_then(|path| {
            let folder = open(
                &path,
                OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
                Mode::empty(),
            )
            .ok()?;
            Some((path, folder))
        });
        let mut v1: Vec<PathBuf> = [&limits.v1_memory, &limits.v1_cpu, &limits.v1_pids]
            .into_iter()
            .filter_map(there)
            .collect();
        v1.dedup();
        (v2.is_some() || !v1.is_empty()).then_some(Self {
            v2,
            v1,
            locks: Vec::new(),
        })
    }

    /// For a process that is born in the group: costs nothing.
    pub fn v2_fd(&self) -> Option<BorrowedFd<'_>> {
        self.v2.as_ref().map(|(_, folder)| folder.as_fd())
    }

    /// Version 1 takes a process only after it was born, and may let the caller wait some milliseconds.
    pub fn attach(&self, pid: u32) -> Result<()> {
        for path in &self.v1 {
            fs::write(path.join("cgroup.procs"), pid.to_string()).map_err(|error| failed(path, error))?;
        }
        Ok(())
    }

    /// How many processes the memory limit has killed so far.
    pub fn oom_kills(&self) -> u64 {
        let count = |path: &Path, file: &str| {
            let text = fs::read_to_string(path.join(file)).unwrap_or_default();
            text.lines()
                .find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
                .unwrap_or(0)
        };
        let v2 = self
            .v2
            .as_ref()
            .map_or(0, |(path, _)| count(path, "memory.events"));
        v2 + self
            .v1
            .iter()
            .map(|path| count(path, "memory.oom_control"))
            .sum::<u64>()
    }

    pub fn usage(&self) -> Usage {
        let number = |path: &Path, file: &str| -> Option<u64> {
            fs::read_to_string(path.join(file)).ok()?.trim().parse().ok()
        };
        let v2 = |file: &str| self.v2.as_ref().and_then(|(path, _)| number(path, file));
        let v1 = |file: &str| self.v1.iter().find_map(|path| number(path, file));
        let cpu_v2 = self.v2.as_ref().and_then(|(path, _)| {
            let text = fs::read_to_string(path.join("cpu.stat")).ok()?;
            text.lines()
                .find_map(|line| line.strip_prefix("usage_usec ")?.parse().ok())
        });
        Usage {
            memory: v2("memory.current").or_else(|| v1("memory.usage_in_bytes")),
            cpu_us: cpu_v2.or_else(|| v1("cpuacct.usage").map(|ns| ns / 1000)),
        }
    }

    /// After every process in it has ended. The kernel may need a moment to notice.
    pub fn remove(&self) -> Result<()> {
        const ATTEMPTS: u32 = 200;
        for path in self.v2.iter().map(|(path, _)| path).chain(&self.v1) {
            for attempt in 1.. {
                match fs::remove_dir(path) {
                    Ok(()) => break,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                    Err(error) if attempt == ATTEMPTS => return Err(failed(path, error)),
                    Err(_) => std::thread::sleep(Duration::from_millis(5)),
                }
            }
        }
        Ok(())
    }
}

fn make(path: &Path, settings: &[Setting]) -> Result<Option<File>> {
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(failed(path, error)),
        _ => {}
    }
    let lock = File::open(path)
        .ok()
        .filter(|folder| folder.try_lock_shared().is_ok());
    for setting in settings {
        let written = fs::write(path.join(setting.file), &setting.value);
        if let Err(error) = written
            && !setting.optional
        {
            let _ = fs::remove_dir(path);
            return Err(failed(&path.join(setting.file), error));
        }
    }
    Ok(lock)
}

fn failed(path: &Path, error: io::Error) -> Error {
    Error::new(
        ErrorKind::Broken,
        "start",
        format!("cannot use the control group {}", path.display()),
    )
    .because(error)
}
