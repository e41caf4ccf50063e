//! Trees as a hostile sandbox would make them, in temporary folders.

#![expect(clippy::unwrap_used, reason = "a test fails with a panic")]

mod support;

use std::{
    ffi::OsStr,
    fs,
    os::{
        fd::{AsFd, OwnedFd},
        unix::{
            ffi::OsStrExt,
            fs::{PermissionsExt, symlink},
        },
    },
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use agentkernel_store::delete_tree;
use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};
use support::{child, fast_folder};

fn open(parent: impl AsFd, name: &str) -> OwnedFd {
    openat(parent, name, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).unwrap()
}

fn assert_only(base: &Path, names: &[&str]) {
    let mut left: Vec<_> = fs::read_dir(base)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, names);
}

#[test]
fn files_links_empty_folders_and_the_gone_are_removed() {
    let temp = tempfile::tempdir().unwrap();
    let path = |name| temp.path().join(name);
    fs::write(path("file"), "").unwrap();
    fs::create_dir(path("folder")).unwrap();
    fs::create_dir(path("target")).unwrap();
    symlink(path("target"), path("link")).unwrap();
    for name in ["file", "folder", "link", "gone", "gone/further"] {
        delete_tree(&path(name)).unwrap();
    }
    assert_only(temp.path(), &["target"]);
}

#[test]
fn a_hundred_thousand_nested_folders_are_removed() {
    let temp = fast_folder();
    let root = temp.path().join("tree");
    fs::create_dir(&root).unwrap();
    let mut folder = open(CWD, root.to_str().unwrap());
    // As long as a name may be: the whole path is 25 million bytes long.
    let long = "d".repeat(255);
    for _ in 0..100_000 {
        mkdirat(&folder, long.as_str(), Mode::RWXU).unwrap();
        folder = open(&folder, &long);
    }
    delete_tree(&root).unwrap();
    assert_only(temp.path(), &[]);
}

#[test]
fn wide_trees_with_any_names_are_removed() {
    let temp = fast_folder();
    let root = temp.path().join("tree");
    for folder in 0..40 {
        let folder = root.join(format!("{folder}/a/b"));
        fs::create_dir_all(&folder).unwrap();
        for file in 0..2_500 {
            fs::File::create(folder.join(file.to_string())).unwrap();
        }
    }
    // Every byte that a name may hold, names like ours, and names that mean something to a shell.
    for byte in (1..=255u8).filter(|byte| *byte != b'/') {
        let folder = root.join(OsStr::from_bytes(&[b'x', byte, 0xff]));
        fs::create_dir_all(folder.join(OsStr::from_bytes(&[byte; 255])).join("inner")).unwrap();
    }
    for name in ["0", "1", ".trash-0", "...", "-rf", "*", " ", "\n"] {
        fs::create_dir_all(root.join(name).join("0/1/2")).unwrap();
    }
    delete_tree(&root).unwrap();
    assert_only(temp.path(), &[]);
}

#[test]
fn links_are_removed_and_never_followed() {
    let temp = tempfile::tempdir().unwrap();
    let (root, outside) = (temp.path().join("tree"), temp.path().join("outside"));
    fs::create_dir_all(root.join("a/b")).unwrap();
    fs::create_dir_all(outside.join("kept")).unwrap();
    fs::write(outside.join("kept/file"), "precious").unwrap();
    for (target, link) in [
        ("../outside", "up"),
        ("/", "slash"),
        (".", "self"),
        ("loop", "loop"),
        ("../../outside/kept", "a/b/deep"),
    ] {
        symlink(target, root.join(link)).unwrap();
    }
    symlink(&outside, root.join("a/absolute")).unwrap();
    delete_tree(&root).unwrap();
    assert_only(temp.path(), &["outside"]);
    assert_eq!(fs::read(outside.join("kept/file")).unwrap(), b"precious");
}

#[test]
fn special_files_are_removed_without_being_opened() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().join("tree");
    fs::create_dir_all(root.join("a")).unwrap();
    let pipe = root.join("a/pipe");
    assert!(
        std::process::Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let _socket = std::os::unix::net::UnixListener::bind(root.join("a/socket")).unwrap();
    delete_tree(&root).unwrap();
    assert_only(temp.path(), &[]);
}

/// Runs as somebody who is not root: root needs no permissions.
#[test]
#[ignore = "a child of the test below"]
fn without_permissions() {
    let base = std::env::var_os("STORE_TEST_BASE").expect("the parent says where");
    let base = Path::new(&base);
    if rustix::process::geteuid().is_root() {
        // The one that no account has, so that nothing else on this machine is his.
        rustix::thread::set_thread_groups(&[]).unwrap();
        let (group, user) = (
            rustix::fs::Gid::from_raw(54_321),
            rustix::fs::Uid::from_raw(54_321),
        );
        rustix::thread::set_thread_res_gid(group, group, group).unwrap();
        rustix::thread::set_thread_res_uid(user, user, user).unwrap();
    }
    let root = base.join("tree");
    for mode in [0o000, 0o100, 0o200, 0o400, 0o500, 0o600, 0o4000, 0o1000] {
        let folder = root.join(format!("{mode:o}/a/b"));
        fs::create_dir_all(&folder).unwrap();
        for path in [folder.join("file"), folder.join("a/file"), folder.join("0")] {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
        }
        for path in [
            folder.join("a"),
            folder.clone(),
            root.join(format!("{mode:o}/a")),
            root.join(format!("{mode:o}")),
        ] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
    }
    fs::set_permissions(&root, fs::Permissions::from_mode(0o000)).unwrap();
    delete_tree(&root).unwrap();
    assert_only(base, &[]);
}

#[test]
fn folders_without_permissions_are_removed_by_their_owner() {
    let temp = tempfile::tempdir().unwrap();
    fs::set_permissions(temp.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let base = temp.path().join("own");
    fs::create_dir(&base).unwrap();
    fs::set_permissions(&base, fs::Permissions::from_mode(0o777)).unwrap();
    assert!(
        child("without_permissions")
            .env("STORE_TEST_BASE", &base)
            .status()
            .unwrap()
            .success()
    );
}

#[test]
fn a_swapper_cannot_lead_the_removal_outside() {
    let temp = fast_folder();
    let outside = temp.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("file"), "precious").unwrap();
    for round in 0..100 {
        let root = temp.path().join(format!("tree-{round}"));
        fs::create_dir_all(root.join("a/b/c")).unwrap();
        fs::write(root.join("a/b/c/file"), "").unwrap();
        symlink(&outside, root.join("a/link")).unwrap();
        let folder = open(CWD, root.join("a").to_str().unwrap());
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                // The folder and a link to the outside change places as fast as they can.
                while !done.load(Ordering::Relaxed) {
                    let flags = rustix::fs::RenameFlags::EXCHANGE;
                    let _ = rustix::fs::renameat_with(&folder, "b", &folder, "link", flags);
                    let _ = rustix::fs::symlinkat(&outside, &folder, "link");
                }
            });
            // It may be told that the folder is filled again and again; it may not touch the outside.
            let mut attempts = 0;
            while delete_tree(&root).is_err() && attempts < 1000 {
                attempts += 1;
            }
            done.store(true, Ordering::Relaxed);
        });
        assert_eq!(fs::read(outside.join("file")).unwrap(), b"precious");
        assert!(!root.exists());
    }
}

#[test]
fn few_descriptors_are_enough() {
    let temp = fast_folder();
    let status = child("with_few_descriptors")
        .env("STORE_TEST_BASE", temp.path())
        .status()
        .unwrap();
    assert!(status.success());
    assert_only(temp.path(), &[]);
}

#[test]
#[ignore = "a child of the test above"]
fn with_few_descriptors() {
    let base = std::env::var_os("STORE_TEST_BASE").expect("the parent says where");
    let root = Path::new(&base).join("tree");
    for branch in 0..20 {
        fs::create_dir_all(root.join(format!("{branch}{}", "/d".repeat(500)))).unwrap();
    }
    let open_now = fs::read_dir("/proc/self/fd").unwrap().count() as u64;
    let limit = rustix::process::Rlimit {
        current: Some(open_now + 3),
        maximum: Some(open_now + 3),
    };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, limit).unwrap();
    delete_tree(&root).unwrap();
    assert!(!root.exists());
}
