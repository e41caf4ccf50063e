//! Removing is the cure of a full disk, so it must not fail on one. In a private mount namespace.

#![expect(clippy::unwrap_used, reason = "a test fails with a panic")]

mod support;

use std::{
    fs,
    io::{ErrorKind::StorageFull, Write},
    path::Path,
    process::Command,
};

use agentkernel_store::{Phase, delete_tree};
use rustix::{
    mount::{MountFlags, MountPropagationFlags, mount, mount_change},
    thread::{UnshareFlags, unshare_unsafe},
};
use support::{child, name, record, store_in};

#[test]
fn trees_and_sandboxes_are_removed_from_a_full_disk() {
    let temp = tempfile::tempdir().unwrap();
    let mut command = child("on_a_small_disk");
    if !rustix::process::geteuid().is_root() {
        // A process with threads cannot make a user namespace for itself.
        let mut wrapped = Command::new("unshare");
        wrapped
            .arg("--map-root-user")
            .arg(command.get_program())
            .args(command.get_args());
        command = wrapped;
    }
    let status = command.env("STORE_TEST_BASE", temp.path()).status().unwrap();
    assert!(status.success());
}

#[test]
#[ignore = "a child of the test above"]
fn on_a_small_disk() {
    let base = std::env::var_os("STORE_TEST_BASE").expect("the parent says where");
    let base = Path::new(&base);
    mount_small_disk(base);

    let root = base.join("tree");
    fs::create_dir_all(root.join("a/b")).unwrap();
    fill_names(&root.join("a/b"));
    assert_eq!(fs::create_dir(base.join("more")).unwrap_err().kind(), StorageFull);
    delete_tree(&root).unwrap();
    assert_eq!(fs::read_dir(base).unwrap().count(), 0);

    let store = store_in(base);
    let mut claim = store.reserve(&name("a"), record()).unwrap();
    claim.update(|record| record.phase = Phase::Ready).unwrap();
    fs::create_dir(claim.workspace().join("folder")).unwrap();
    fill_bytes(&claim.workspace().join("folder/big"));
    fill_names(&claim.workspace().join("folder"));
    let before = claim.record().clone();
    claim
        .update(|record| record.agent = Some("x".to_owned()))
        .expect_err("the disk is full");
    assert_eq!(store.read(&name("a")).unwrap(), Some(before));
    claim.remove().unwrap();
    assert_eq!(fs::read_dir(support::sandboxes(base)).unwrap().count(), 0);
}

fn fill_names(folder: &Path) {
    let full = (0..10_000)
        .find_map(|number| fs::create_dir(folder.join(number.to_string())).err())
        .unwrap();
    assert_eq!(full.kind(), StorageFull);
}

fn fill_bytes(path: &Path) {
    let mut file = fs::File::create(path).unwrap();
    let full = (0..10_000)
        .find_map(|_| file.write_all(&[1; 4096]).err())
        .unwrap();
    assert_eq!(full.kind(), StorageFull);
}

/// 256 KiB and 200 names, seen by this thread alone.
fn mount_small_disk(place: &Path) {
    // SAFETY: file descriptors stay shared; only the mounts that this thread sees become its own.
    unsafe { unshare_unsafe(UnshareFlags::NEWNS) }.unwrap();
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).unwrap();
    mount(
        "small",
        place,
        "tmpfs",
        MountFlags::empty(),
        c"size=256k,nr_inodes=200,mode=700",
    )
    .unwrap();
}
