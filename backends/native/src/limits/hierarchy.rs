//! Where the hierarchies of control groups are mounted, and where this process is in them. Pure: parses what
//! /proc/self/mountinfo and /proc/self/cgroup say.

use std::path::{Component, Path, PathBuf};

/// One mounted hierarchy.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Hierarchy {
    pub version: Version,
    pub mount_point: PathBuf,
    /// The folder of this process's own group. None if it is not beneath the mount.
    pub own: Option<PathBuf>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Version {
    /// With these controllers, several where they are mounted together.
    One(Vec<String>),
    Two,
}

impl Hierarchy {
    pub fn has_controller(&self, controller: &str) -> bool {
        matches!(&self.version, Version::One(controllers) if controllers.iter().any(|known| known == controller))
    }
}

/// In the order of mountinfo.
pub(super) fn hierarchies(mounts: &str, own_groups: &str) -> Vec<Hierarchy> {
    mounts
        .lines()
        .filter_map(|line| hierarchy(line, own_groups))
        .collect()
}

fn hierarchy(line: &str, own_groups: &str) -> Option<Hierarchy> {
    let mount = CgroupMount::parse(line)?;
    let (version, any_controller) = match mount.kind {
        "cgroup2" => (Version::Two, ""),
        // Not every option is a controller (`rw`, `name=systemd`), but no option is called like one.
        _ => {
            let options: Vec<String> = mount.options.split(',').map(str::to_owned).collect();
            let known = options
                .iter()
                .find_map(|option| CONTROLLERS.iter().find(|known| *known == option))?;
            (Version::One(options), *known)
        }
    };
    let mount_point = PathBuf::from(unescape(mount.mount_point));
    let own = own_path(own_groups, any_controller)
        .and_then(|path| beneath(path, &unescape(mount.root)))
        .map(|path| mount_point.join(path));
    Some(Hierarchy {
        version,
        mount_point,
        own,
    })
}

/// The controllers that limits use.
const CONTROLLERS: [&str; 3] = ["memory", "cpu", "pids"];

struct CgroupMount<'a> {
    root: &'a str,
    mount_point: &'a str,
    kind: &'a str,
    options: &'a str,
}

impl<'a> CgroupMount<'a> {
    /// A line of mountinfo: `id parent device root mount-point options [tags] - type source super-options`.
    fn parse(line: &'a str) -> Option<Self> {
        let (before, after) = line.split_once(" - ")?;
        let mut before = before.split(' ');
        let (root, mount_point) = (before.nth(3)?, before.next()?);
        let mut after = after.split(' ');
        let kind = after
            .next()
            .filter(|kind| matches!(*kind, "cgroup" | "cgroup2"))?;
        Some(Self {
            root,
            mount_point,
            kind,
            options: after.nth(1)?,
        })
    }
}

/// This process's path in the hierarchy of a controller; the one of version 2 has none.
fn own_path<'a>(own_groups: &'a str, controller: &str) -> Option<&'a str> {
    own_groups.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?);
        controllers
            .split(',')
            .any(|known| known == controller)
            .then_some(path)
    })
}

/// What is left of the path where the mount shows a part of the tree only. In a namespace of control groups
/// a process above its root has a path with `..`: that is not beneath anything.
fn beneath<'a>(path: &'a str, root: &str) -> Option<&'a Path> {
    let path = Path::new(path).strip_prefix(root).ok()?;
    path.components()
        .all(|part| matches!(part, Component::Normal(_)))
        .then_some(path)
}

/// Spaces and the like are written in octal.
fn unescape(text: &str) -> String {
    let mut parts = text.split('\\');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part
            .get(..3)
            .and_then(|digits| u8::from_str_radix(digits, 8).ok())
        {
            Some(byte) => {
                plain.push(char::from(byte));
                plain.push_str(&part[3..]);
            }
            None => {
                plain.push('\\');
                plain.push_str(part);
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HYBRID: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:4 - cgroup cgroup rw,cpu,cpuacct
36 31 0:33 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw";

    #[test]
    fn a_hybrid_host_has_hierarchies_of_both_versions() {
        let own = "9:name=systemd:/\n4:memory:/a/b\n2:cpu,cpuacct:/\n0::/user.slice/x\n";
        let found = hierarchies(HYBRID, own);
        let own: Vec<_> = found.iter().map(|hierarchy| hierarchy.own.as_deref()).collect();
        let expected = [
            "/sys/fs/cgroup/cpu,cpuacct",
            "/sys/fs/cgroup/memory/a/b",
            "/sys/fs/cgroup/unified/user.slice/x",
        ];
        assert_eq!(own, expected.map(|path| Some(Path::new(path))));
        assert!(found[0].has_controller("cpu") && found[0].has_controller("cpuacct"));
        assert_eq!(found[2].version, Version::Two);
    }

    #[test]
    fn a_container_sees_a_part_of_the_tree() {
        let mount = "30 25 0:26 /docker/abc /sys/fs/cgroup rw - cgroup2 cgroup rw";
        let own = |path: &str| hierarchies(mount, &format!("0::{path}\n"))[0].own.clone();
        assert_eq!(
            own("/docker/abc/inner"),
            Some(PathBuf::from("/sys/fs/cgroup/inner"))
        );
        assert_eq!(own("/docker/abc"), Some(PathBuf::from("/sys/fs/cgroup/")));
        assert_eq!(own("/elsewhere"), None);
        let namespaced = "30 25 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup rw";
        assert_eq!(hierarchies(namespaced, "0::/../outside\n")[0].own, None);
    }

    #[test]
    fn a_mount_point_with_a_space_is_found() {
        let mount = "30 25 0:26 / /my\\040groups rw - cgroup2 cgroup rw";
        assert_eq!(
            hierarchies(mount, "0::/\n")[0].mount_point,
            Path::new("/my groups")
        );
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_without_a_panic(mounts in "[ -~\\\\\n]{0,200}", own in "[ -~\n]{0,200}") {
            let found = hierarchies(&mounts, &own);
            prop_assert!(found.len() <= mounts.lines().count());
        }
    }
}
