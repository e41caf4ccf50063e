//! Which limits this host can enforce, and where: found by looking at what may be written.

use std::{
    fs,
    path::{Path, PathBuf},
};

use agentkernel_backend::{Error, Result};
use rustix::fs::{Access, access};

/// How a limit on processes is kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PidsBy {
    Group,
    /// `RLIMIT_NPROC`: since Linux 5.14 it counts within the sandbox's own user namespace.
    Rlimit,
}

/// What the host offers. Folders are parents in which a group may be made.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Limits {
    pub(super) v2: Option<PathBuf>,
    /// The controllers that `v2` gives to groups in it.
    pub(super) v2_controllers: Vec<String>,
    pub(super) v1_memory: Option<PathBuf>,
    pub(super) v1_cpu: Option<PathBuf>,
    pub(super) v1_pids: Option<PathBuf>,
}

impl Limits {
    pub fn probe() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        Self::from_files(&read("/proc/self/cgroup"), &read("/proc/self/mountinfo"))
    }

    /// From the contents of /proc/self/cgroup and /proc/self/mountinfo.
    pub(super) fn from_files(own_groups: &str, mounts: &str) -> Self {
        let mut limits = Self::default();
        for line in mounts.lines() {
            let Some((root, mount_point, kind, options)) = cgroup_mount(line) else {
                continue;
            };
            let own = |controller: &str| own_folder(own_groups, controller, root, Path::new(mount_point));
            match kind {
                "cgroup2" if limits.v2.is_none() => limits.take_v2(own("")),
                "cgroup" => {
                    for (controller, slot) in [
                        ("memory", &mut limits.v1_memory),
                        ("cpu", &mut limits.v1_cpu),
                        ("pids", &mut limits.v1_pids),
                    ] {
                        if options.split(',').any(|option| option == controller) {
                            *slot = own(controller).filter(|folder| is_writable(folder));
                        }
                    }
                }
                _ => {}
            }
        }
        limits
    }

    /// A group with processes cannot give controllers to groups in it, so the parent is tried as well (a
    /// systemd user slice that was delegated, say).
    fn take_v2(&mut self, own: Option<PathBuf>) {
        let Some(own) = own else { return };
        for candidate in [Some(own.as_path()), own.parent()].into_iter().flatten() {
            let controllers =
                fs::read_to_string(candidate.join("cgroup.subtree_control")).unwrap_or_default();
            let controllers: Vec<String> = controllers.split_whitespace().map(str::to_owned).collect();
            if is_writable(candidate) && !controllers.is_empty() {
                (self.v2, self.v2_controllers) = (Some(candidate.to_owned()), controllers);
                return;
            }
        }
    }

    pub(super) fn v2_has(&self, controller: &str) -> bool {
        self.v2.is_some() && self.v2_controllers.iter().any(|known| known == controller)
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
        let group = self.v2_has("pids") || self.v1_pids.is_some();
        self.offered(group, "pids", "resources.pids")
            .map(|()| PidsBy::Group)
    }

    fn offered(&self, is: bool, controller: &str, field: &'static str) -> Result<()> {
        if is {
            return Ok(());
        }
        let message = format!("no control group with the {controller} controller can be made here");
        Err(Error::unsupported("create", field, message).hint(format!(
            "run as root, or let systemd delegate it: `systemd-run --user --scope -p Delegate=yes agentkernel ...` ({controller})"
        )))
    }

    /// Every folder that may hold groups of ours.
    pub(super) fn parents(&self) -> Vec<PathBuf> {
        [&self.v2, &self.v1_memory, &self.v1_cpu, &self.v1_pids]
            .into_iter()
            .flatten()
            .cloned()
            .collect()
    }
}

/// `(root, mount point, type, super options)` of a line of mountinfo.
fn cgroup_mount(line: &str) -> Option<(&str, &str, &str, &str)> {
    let (before, after) = line.split_once(" - ")?;
    let mut before = before.split(' ');
    let (root, mount_point) = (before.nth(3)?, before.next()?);
    let mut after = after.split(' ');
    let kind = after.next()?;
    kind.starts_with("cgroup")
        .then(|| (root, mount_point, kind, after.nth(1).unwrap_or_default()))
}

/// The folder of this process's own group. `controller` is empty for version 2.
fn own_folder(own_groups: &str, controller: &str, root: &str, mount_point: &Path) -> Option<PathBuf> {
    let path = own_groups.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?);
        (controllers.split(',').any(|known| known == controller)).then_some(path)
    })?;
    // In a container the mount shows a part of the tree only.
    let beneath = path.strip_prefix(root.trim_end_matches('/')).unwrap_or(path);
    Some(mount_point.join(beneath.trim_start_matches('/')))
}

fn is_writable(folder: &Path) -> bool {
    access(folder, Access::WRITE_OK | Access::EXEC_OK).is_ok() && folder.join("cgroup.procs").exists()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_controller_is_found_in_the_group_of_this_process() {
        let own = "4:memory:/a/b\n0::/user.slice/x\n";
        assert_eq!(
            own_folder(own, "memory", "/", Path::new("/m")),
            Some(PathBuf::from("/m/a/b"))
        );
        assert_eq!(
            own_folder(own, "", "/", Path::new("/u")),
            Some(PathBuf::from("/u/user.slice/x"))
        );
        assert_eq!(
            own_folder(own, "memory", "/a", Path::new("/m")),
            Some(PathBuf::from("/m/b"))
        );
        assert_eq!(own_folder(own, "pids", "/", Path::new("/m")), None);
    }

    #[test]
    fn a_line_of_mountinfo_tells_the_hierarchy() {
        let line = "30 25 0:26 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory";
        assert_eq!(
            cgroup_mount(line),
            Some(("/", "/sys/fs/cgroup/memory", "cgroup", "rw,memory"))
        );
        assert_eq!(cgroup_mount("30 25 0:26 / /proc rw - proc proc rw"), None);
    }

    #[test]
    fn without_any_hierarchy_limits_are_refused_by_name() {
        let none = Limits::from_files("", "");
        assert_eq!(
            none.memory().expect_err("nothing is offered").field(),
            Some("resources.memory")
        );
        assert_eq!(
            none.cpus().expect_err("nothing is offered").field(),
            Some("resources.cpus")
        );
    }
}
