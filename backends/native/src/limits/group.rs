//! The control groups of one sandbox: at most one of version 2, and some of version 1.

use std::{
    fs::{self, File},
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
    time::Duration,
};

use agentkernel_backend::{Error, Result};
use agentkernel_types::{ErrorKind, Resources, SandboxId};
use rustix::{
    fs::{Mode, OFlags, open},
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};

use super::{
    Limits, PREFIX, counters,
    counters::Usage,
    found::folders_of,
    settings::{PlannedGroup, plan},
};

#[derive(Debug)]
pub struct Group {
    v2: Option<(PathBuf, OwnedFd)>,
    v1: Vec<PathBuf>,
    /// Made here. Dropped while it is still empty, it goes; with a process in it, the kernel keeps it.
    made: bool,
    /// On its folders, so that `gc` takes none for a leftover that has no process yet.
    locks: Vec<File>,
}

impl Group {
    /// None if no limit that was asked for needs a group. An error leaves nothing behind.
    pub fn create(limits: &Limits, id: &SandboxId, resources: &Resources) -> Result<Option<Self>> {
        let plans = plan(limits, resources)?;
        if plans.is_empty() {
            return Ok(None);
        }
        let mut group = Self {
            v2: None,
            v1: Vec::new(),
            made: true,
            locks: Vec::new(),
        };
        for plan in &plans {
            group.add(plan, id)?;
        }
        Ok(Some(group))
    }

    fn add(&mut self, plan: &PlannedGroup, id: &SandboxId) -> Result<()> {
        let path = plan.parent.join(format!("{PREFIX}{id}"));
        match fs::create_dir(&path) {
            // Of an earlier start that was killed: limits are written anew.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => made.map_err(|error| failed(&path, error))?,
        }
        let lock = File::open(&path)
            .ok()
            .filter(|folder| folder.try_lock_shared().is_ok());
        self.locks.extend(lock);
        // Known before it is filled, so that an error removes it.
        if plan.version_two {
            match open_folder(&path) {
                Ok(folder) => self.v2 = Some((path.clone(), folder)),
                Err(error) => {
                    let _ = fs::remove_dir(&path);
                    return Err(failed(&path, error));
                }
            }
        } else {
            self.v1.push(path.clone());
        }
        for setting in &plan.settings {
            let file = path.join(setting.file);
            match write(&file, &setting.value) {
                Err(error) if setting.may_be_absent && error.kind() == io::ErrorKind::NotFound => {}
                written => written.map_err(|error| failed(&file, error))?,
            }
        }
        Ok(())
    }

    /// The groups of a sandbox that another process has started, wherever on the host they are.
    pub fn open(limits: &Limits, id: &SandboxId) -> Option<Self> {
        let mut group = Self {
            v2: None,
            v1: Vec::new(),
            made: false,
            locks: Vec::new(),
        };
        for (path, version_two) in folders_of(limits, id) {
            if !version_two {
                group.v1.push(path);
            } else if let Ok(folder) = open_folder(&path) {
                group.v2 = Some((path, folder));
            }
        }
        (group.v2.is_some() || !group.v1.is_empty()).then_some(group)
    }

    /// For a process that is born in the group (`CLONE_INTO_CGROUP`): costs nothing.
    pub fn v2_fd(&self) -> Option<BorrowedFd<'_>> {
        self.v2.as_ref().map(|(_, folder)| folder.as_fd())
    }

    /// Version 1 takes a process only after it was born, and may let the caller wait some milliseconds.
    pub fn attach(&self, pid: u32) -> Result<()> {
        for path in &self.v1 {
            let file = path.join("cgroup.procs");
            write(&file, &pid.to_string()).map_err(|error| failed(&file, error))?;
        }
        Ok(())
    }

    /// How many processes the memory limit has killed so far.
    pub fn oom_kills(&self) -> u64 {
        self.folders().map(counters::oom_kills).sum()
    }

    pub fn usage(&self) -> Usage {
        self.folders()
            .map(counters::usage)
            .fold(Usage::default(), Usage::or)
    }

    /// Kills whatever is inside. For a sandbox whose PID 1 cannot be reached any other way.
    pub fn kill(&self) -> Result<()> {
        for path in self.folders() {
            match write(&path.join("cgroup.kill"), "1") {
                Err(error) if error.kind() == io::ErrorKind::NotFound => kill_one_by_one(path)?,
                written => written.map_err(|error| failed(path, error))?,
            }
        }
        Ok(())
    }

    /// After every process in it has ended. The kernel may need a moment to notice; at most a second is given.
    pub fn remove(&self) -> Result<()> {
        const ATTEMPTS: u32 = 200;
        for path in self.folders() {
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

    fn folders(&self) -> impl Iterator<Item = &Path> {
        self.v2
            .iter()
            .map(|(path, _)| path)
            .chain(&self.v1)
            .map(PathBuf::as_path)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for path in self.folders().filter(|_| self.made) {
            let _ = fs::remove_dir(path);
        }
    }
}

/// Version 1, and version 2 before Linux 5.14. A process may make children meanwhile, so until none is seen.
fn kill_one_by_one(path: &Path) -> Result<()> {
    const ROUNDS: u32 = 100;
    let file = path.join("cgroup.procs");
    for _ in 0..ROUNDS {
        let listed = || fs::read_to_string(&file).unwrap_or_default();
        let members: Vec<i32> = listed().lines().filter_map(|line| line.parse().ok()).collect();
        if members.is_empty() {
            return Ok(());
        }
        // A number may have been given to another process since; a descriptor stays with the one that had it.
        let held: Vec<(i32, OwnedFd)> = members
            .into_iter()
            .filter_map(|pid| Some((pid, pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?)))
            .collect();
        let still_there = listed();
        for (pid, descriptor) in held {
            if still_there.lines().any(|line| line.parse() == Ok(pid)) {
                let _ = pidfd_send_signal(descriptor, Signal::KILL);
            }
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let message = format!("processes in {} do not end", path.display());
    Err(Error::new(ErrorKind::Broken, "stop", message))
}

/// Never makes the file: a control group has the files that it has.
fn write(file: &Path, value: &str) -> io::Result<()> {
    use io::Write as _;
    fs::OpenOptions::new()
        .write(true)
        .open(file)?
        .write_all(value.as_bytes())
}

fn open_folder(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(open(path, flags, Mode::empty())?)
}

fn failed(path: &Path, error: io::Error) -> Error {
    Error::new(
        ErrorKind::Broken,
        "start",
        format!("cannot use the control group {}", path.display()),
    )
    .because(error)
}
