//! Which limits this host can enforce, and in which folders: found by looking at what may be written.

use std::{
    fs,
    path::{Path, PathBuf},
};

use agentkernel_backend::{Error, Result};
use rustix::fs::{Access, access};

use super::hierarchy::{Hierarchy, Version, hierarchies};

/// How a limit on processes is kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PidsBy {
    Group,
    /// `RLIMIT_NPROC`: since Linux 5.14 it counts within the sandbox's own user namespace.
    Rlimit,
}

/// What the host offers.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Limits {
    pub(super) hierarchies: Vec<Hierarchy>,
    /// Folders of version 2 in which a group may be made, nearest first, with the controllers that they give.
    pub(super) v2: Vec<Parent>,
    pub(super) v1_memory: Option<PathBuf>,
    pub(super) v1_cpu: Option<PathBuf>,
    pub(super) v1_pids: Option<PathBuf>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Parent {
    pub folder: PathBuf,
    pub controllers: Vec<String>,
}

impl Parent {
    pub fn gives(&self, controller: &str) -> bool {
        self.controllers.iter().any(|known| known == controller)
    }
}

impl Limits {
    pub fn probe() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        Self::from_files(&read("/proc/self/cgroup"), &read("/proc/self/mountinfo"))
    }

    /// From the contents of /proc/self/cgroup and /proc/self/mountinfo.
    pub(super) fn from_files(own_groups: &str, mounts: &str) -> Self {
        let hierarchies = hierarchies(mounts, own_groups);
        let v1 = |controller: &str| {
            let hierarchy = hierarchies
                .iter()
                .find(|hierarchy| hierarchy.has_controller(controller))?;
            hierarchy.own.clone().filter(|folder| is_writable(folder))
        };
        let v2 = hierarchies
            .iter()
            .find(|hierarchy| hierarchy.version == Version::Two);
        Self {
            v1_memory: v1("memory"),
            v1_cpu: v1("cpu"),
            v1_pids: v1("pids"),
            v2: v2.map(parents).unwrap_or_default(),
            hierarchies,
        }
    }

    /// The nearest folder that gives all of these controllers.
    pub(super) fn v2_parent(&self, controllers: &[&str]) -> Option<&Path> {
        let gives_all = |parent: &&Parent| controllers.iter().all(|controller| parent.gives(controller));
        self.v2
            .iter()
            .find(gives_all)
            .map(|parent| parent.folder.as_path())
    }

    pub(super) fn v2_has(&self, controller: &str) -> bool {
        self.v2_parent(&[controller]).is_some()
    }

    pub fn memory(&self) -> Result<()> {
        self.offered(
            self.v2_has("memory") || self.v1_memory.is_some(),
            "memory",
            "resources.memory",
        )
    }

    pub fn cpus(&self) -> Result<()> {
        self.offered(
            self.v2_has("cpu") || self.v1_cpu.is_some(),
            "cpu",
            "resources.cpus",
        )
    }

    pub fn pids(&self) -> Result<PidsBy> {
        if counts_per_namespace() {
            return Ok(PidsBy::Rlimit);
        }
        let group = self.v2_has("pids") || self.v1_pids.is_some();
        self.offered(group, "pids", "resources.pids")
            .map(|()| PidsBy::Group)
    }

    fn offered(&self, is: bool, controller: &str, field: &'static str) -> Result<()> {
        if is {
            return Ok(());
        }
        let (reason, remedy) = self.refusal(controller);
        let message = format!("this limit needs a control group with the {controller} controller: {reason}");
        Err(Error::unsupported("create", field, message).hint(remedy))
    }

    /// Why not, and the way out.
    fn refusal(&self, controller: &str) -> (String, String) {
        let own = |hierarchy: &&Hierarchy| hierarchy.has_controller(controller);
        if let Some(hierarchy) = self.hierarchies.iter().find(own) {
            let folder = hierarchy.own.as_ref().unwrap_or(&hierarchy.mount_point).display();
            return (
                format!("{folder} cannot be written"),
                format!("run as root, or let an administrator give you a folder in {folder}"),
            );
        }
        if let Some(nearest) = self.v2.first() {
            let folder = nearest.folder.display();
            return (
                format!("{folder} does not hand it on"),
                format!("let an administrator write +{controller} to {folder}/cgroup.subtree_control"),
            );
        }
        if self
            .hierarchies
            .iter()
            .any(|hierarchy| hierarchy.version == Version::Two)
        {
            let remedy =
                "start it in a scope of your own: systemd-run --user --scope -p Delegate=yes agentkernel ...";
            return (
                "no group of this process may be written".to_owned(),
                remedy.to_owned(),
            );
        }
        (
            "no hierarchy has it".to_owned(),
            "mount the control groups at /sys/fs/cgroup".to_owned(),
        )
    }
}

/// The process's own group and those above it, up to the first that may not be written: to move a process,
/// the kernel wants to be allowed to write the lowest group above both ends.
///
/// A group that has processes cannot hand on controllers (but the root of all), so usually the one above the
/// process's own is taken. The nearest is the right one: limits of the groups above still hold.
fn parents(hierarchy: &Hierarchy) -> Vec<Parent> {
    let Some(own) = &hierarchy.own else {
        return Vec::new();
    };
    let above = own
        .ancestors()
        .take_while(|folder| folder.starts_with(&hierarchy.mount_point));
    let writable = above.take_while(|folder| is_writable(folder));
    writable.filter_map(parent).collect()
}

fn parent(folder: &Path) -> Option<Parent> {
    let text = fs::read_to_string(folder.join("cgroup.subtree_control")).ok()?;
    let controllers: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    (!controllers.is_empty()).then(|| Parent {
        folder: folder.to_owned(),
        controllers,
    })
}

pub(super) fn is_writable(folder: &Path) -> bool {
    access(folder, Access::WRITE_OK | Access::EXEC_OK).is_ok()
        && access(folder.join("cgroup.procs"), Access::WRITE_OK).is_ok()
}

/// Every run has a limit on processes, so this is asked first: it costs one call.
pub(crate) fn counts_per_namespace() -> bool {
    let release = rustix::system::uname();
    let release = release.release().to_string_lossy();
    let mut numbers = release
        .split(['.', '-'])
        .map_while(|part| part.parse::<u32>().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (5, 14)
}
