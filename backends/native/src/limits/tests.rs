//! Version 2 over a tree of ordinary files, and whatever this host really offers.

use std::{
    fs,
    io::Write as _,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use agentkernel_types::{Resources, SandboxId};
use tempfile::TempDir;

use super::{Group, Limits, found::leftovers_in, offer::Parent, settings::plan, sweep};

fn id(number: u64) -> SandboxId {
    SandboxId::from_random(number)
}

fn asked(memory: Option<&str>, cpus: Option<&str>) -> Resources {
    Resources {
        memory: memory.map(|size| size.parse().expect("a size")),
        cpus: cpus.map(|share| share.parse().expect("a share")),
        ..Resources::default()
    }
}

/// A tree that looks like version 2: each folder with the controllers that it hands on.
struct Tree(TempDir);

impl Tree {
    fn new(folders: &[(&str, &str)]) -> Self {
        let tree = Self(tempfile::tempdir().expect("a folder"));
        for (folder, controllers) in folders {
            let path = tree.path(folder);
            fs::create_dir_all(&path).expect("a folder");
            fs::write(path.join("cgroup.procs"), "").expect("a file");
            fs::write(path.join("cgroup.subtree_control"), controllers).expect("a file");
        }
        tree
    }

    fn path(&self, folder: &str) -> PathBuf {
        self.0.path().join(folder)
    }

    fn seen_from(&self, own: &str) -> Limits {
        let mount = format!("30 25 0:26 / {} rw - cgroup2 cgroup2 rw", self.0.path().display());
        Limits::from_files(&format!("0::/{own}\n"), &mount)
    }

    /// The kernel would fill a new folder.
    fn fill(&self, folder: &str, files: &[&str]) -> PathBuf {
        let path = self.path(folder);
        fs::create_dir_all(&path).expect("a folder");
        files
            .iter()
            .for_each(|file| fs::write(path.join(file), "").expect("a file"));
        path
    }
}

fn content(folder: &Path, file: &str) -> String {
    fs::read_to_string(folder.join(file)).expect("the file is there")
}

#[test]
fn the_nearest_group_that_hands_on_the_controllers_is_the_parent() {
    let tree = Tree::new(&[
        ("", "cpu memory pids"),
        ("user", "memory pids"),
        ("user/scope", ""),
    ]);
    let limits = tree.seen_from("user/scope");
    assert_eq!(limits.v2_parent(&["memory"]), Some(tree.path("user").as_path()));
    // The user's slice does not hand on the processor: both limits are kept one level further up.
    assert_eq!(
        limits.v2_parent(&["memory", "cpu"]),
        Some(tree.path("").as_path())
    );
    assert_eq!(limits.v2_parent(&["io"]), None);
    assert!(limits.memory().is_ok() && limits.cpus().is_ok());
}

#[test]
fn all_limits_of_version_2_are_in_one_group() {
    let tree = Tree::new(&[("", "cpu memory"), ("scope", "")]);
    let limits = tree.seen_from("scope");
    let plans = plan(&limits, &asked(Some("64m"), Some("1.5"))).expect("both are offered");
    assert_eq!(plans.len(), 1);
    let written: Vec<_> = plans[0]
        .settings
        .iter()
        .map(|setting| (setting.file, setting.value.as_str()))
        .collect();
    assert_eq!(
        written,
        [
            ("memory.max", "67108864"),
            ("memory.swap.max", "0"),
            ("cpu.max", "150000 100000")
        ]
    );
}

#[test]
fn a_group_has_its_limits_before_a_process_can_be_born_in_it() {
    let tree = Tree::new(&[("", "memory"), ("scope", "")]);
    let limits = tree.seen_from("scope");
    let name = format!("agentkernel-{}", id(1));
    let folder = tree.fill(
        &name,
        &["memory.max", "memory.events", "memory.current", "cpu.stat"],
    );
    let group = Group::create(&limits, &id(1), &asked(Some("1m"), None))
        .expect("made")
        .expect("needed");
    assert!(group.v2_fd().is_some());
    assert_eq!(content(&folder, "memory.max"), "1048576");
    fs::write(
        folder.join("memory.events"),
        "low 0\noom 3\noom_kill 2\noom_group_kill 0\n",
    )
    .expect("written");
    fs::write(folder.join("memory.current"), "4096\n").expect("written");
    fs::write(folder.join("cpu.stat"), "usage_usec 77\nuser_usec 70\n").expect("written");
    assert_eq!(group.oom_kills(), 2);
    assert_eq!(
        (group.usage().memory, group.usage().cpu_us),
        (Some(4096), Some(77))
    );
}

#[test]
fn what_cannot_be_written_is_an_error_and_leaves_nothing() {
    let tree = Tree::new(&[("", "memory"), ("scope", "")]);
    // No file `memory.max` appears in an ordinary folder.
    let error =
        Group::create(&tree.seen_from("scope"), &id(2), &asked(Some("1m"), None)).expect_err("no file");
    assert!(error.message().contains("memory.max"), "{error}");
    assert!(!tree.path(&format!("agentkernel-{}", id(2))).exists());
}

#[test]
fn nothing_is_made_when_no_limit_needs_it() {
    let tree = Tree::new(&[("", "memory"), ("scope", "")]);
    assert!(
        Group::create(&tree.seen_from("scope"), &id(3), &Resources::default())
            .expect("fine")
            .is_none()
    );
    assert!(leftovers_in(&tree.seen_from("scope")).is_empty());
}

#[test]
fn a_group_is_found_from_anywhere_on_the_host() {
    let tree = Tree::new(&[
        ("", "memory"),
        ("a", "memory"),
        ("a/scope", ""),
        ("b", ""),
        ("b/scope", ""),
    ]);
    let name = format!("a/agentkernel-{}", id(4));
    tree.fill(&name, &["cgroup.procs"]);
    tree.fill("a/agentkernel-not-an-id", &[]);
    for own in ["a/scope", "b/scope"] {
        assert!(Group::open(&tree.seen_from(own), &id(4)).is_some(), "from {own}");
        assert!(Group::open(&tree.seen_from(own), &id(5)).is_none(), "from {own}");
        let found = leftovers_in(&tree.seen_from(own));
        assert_eq!(
            found.iter().map(|found| &found.path).collect::<Vec<_>>(),
            [&tree.path(&name)]
        );
        assert!(!found[0].in_use);
    }
    fs::write(tree.path(&name).join("cgroup.procs"), "7\n").expect("written");
    assert!(leftovers_in(&tree.seen_from("b/scope"))[0].in_use);
}

#[test]
fn a_group_that_is_being_made_is_nobodys_leftover() {
    let tree = Tree::new(&[("", "memory"), ("scope", "")]);
    let limits = tree.seen_from("scope");
    tree.fill(&format!("agentkernel-{}", id(7)), &["memory.max"]);
    let group = Group::create(&limits, &id(7), &asked(Some("1m"), None)).expect("made");
    assert!(leftovers_in(&limits)[0].in_use);
    drop(group);
    assert!(!leftovers_in(&limits)[0].in_use);
}

#[test]
fn only_groups_of_ours_are_swept() {
    let tree = Tree::new(&[("", "")]);
    let ours = tree.fill(&format!("agentkernel-{}", id(6)), &[]);
    let other = tree.fill("agentkernel-precious", &[]);
    assert!(sweep(&ours).is_ok() && !ours.exists());
    assert!(sweep(&ours).is_ok(), "the gone is gone");
    assert!(sweep(&other).is_err() && other.exists());
}

#[test]
fn what_is_not_offered_is_refused_by_name_with_a_way_out() {
    let none = Limits::from_files("", "");
    assert_eq!(
        none.memory().expect_err("nothing is there").field(),
        Some("resources.memory")
    );
    assert_eq!(
        none.cpus().expect_err("nothing is there").field(),
        Some("resources.cpus")
    );
    let tree = Tree::new(&[("", "memory"), ("scope", "")]);
    let refused = tree.seen_from("scope").cpus().expect_err("not handed on");
    assert!(refused.message().contains("does not hand it on"), "{refused}");
    assert!(refused.hint_text().is_some_and(|hint| hint.contains("+cpu")));
    let elsewhere = Limits {
        v2: Vec::<Parent>::new(),
        ..tree.seen_from("scope")
    };
    let hint = elsewhere
        .memory()
        .expect_err("not writable")
        .hint_text()
        .map(str::to_owned);
    assert!(hint.is_some_and(|hint| hint.contains("systemd-run --user --scope")));
}

/// Waits for a line, and then is what the script says: attached before it does anything.
fn waiting(script: &str) -> Child {
    let script = format!("read line; {script}");
    Command::new("/bin/sh")
        .args(["-c", &script])
        .stdin(Stdio::piped())
        .spawn()
        .expect("a shell")
}

fn attach(group: &Group, child: &Child) {
    group.attach(child.id()).expect("attached");
    if let Some(folder) = group.v2_fd() {
        let procs = format!(
            "/proc/self/fd/{}/cgroup.procs",
            std::os::fd::AsRawFd::as_raw_fd(&folder)
        );
        fs::write(procs, child.id().to_string()).expect("attached");
    }
}

fn go(child: &mut Child) {
    child
        .stdin
        .take()
        .expect("piped")
        .write_all(b"go\n")
        .expect("it reads");
}

#[test]
fn memory_over_the_limit_kills_and_is_counted() {
    let limits = Limits::probe();
    let group = Group::create(&limits, &id(0x5eed_0001), &asked(Some("24m"), Some("0.5")));
    if limits.memory().is_err() || limits.cpus().is_err() {
        assert!(group.is_err(), "a limit that cannot be kept is refused");
        return;
    }
    let group = group.expect("made").expect("needed");
    let mut child = waiting("exec tail /dev/zero");
    attach(&group, &child);
    assert_eq!(group.oom_kills(), 0);
    go(&mut child);
    let status = child.wait().expect("it ends");
    assert_eq!(status.signal(), Some(9), "{status}");
    assert!(group.oom_kills() >= 1);
    // Another process finds it, whatever its own group is.
    let elsewhere = Limits::probe();
    assert!(Group::open(&elsewhere, &id(0x5eed_0001)).is_some());
    group.remove().expect("removed");
    assert!(Group::open(&elsewhere, &id(0x5eed_0001)).is_none());
}

#[test]
fn a_killed_group_is_empty_and_can_be_removed() {
    let limits = Limits::probe();
    let group = Group::create(&limits, &id(0x5eed_0002), &asked(Some("64m"), None));
    let Some(group) = group.ok().flatten() else {
        assert!(limits.memory().is_err(), "refused only where it is not offered");
        return;
    };
    let mut child = waiting("sleep 600 & sleep 600 & wait");
    attach(&group, &child);
    go(&mut child);
    group.kill().expect("killed");
    assert_eq!(child.wait().expect("it ends").signal(), Some(9));
    group.remove().expect("removed");
}
