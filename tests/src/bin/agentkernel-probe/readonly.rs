//! A mount that was granted read-only refuses every way to change what is in it.

use std::{
    fs::{self, OpenOptions},
    io,
    os::{
        fd::AsRawFd,
        unix::fs::{PermissionsExt, chown, symlink},
    },
};

use crate::{
    attempt::{address, answer, c, call, judge},
    facts::Facts,
    report::{Check, Outcome, skipped},
};

const CLASS: &str = "filesystem";

/// The mount's own answer; an owner that is somebody else may refuse first.
const READ_ONLY: &[i32] = &[libc::EROFS, libc::EACCES, libc::EPERM];

type Change = fn(&str) -> io::Result<()>;

/// Each is given the path of a file in the mount that everyone may write, were it not for the mount.
const CHANGES: [(&str, Change); 21] = [
    ("open for writing", |file| {
        OpenOptions::new().write(true).open(file).map(drop)
    }),
    ("open for appending", |file| {
        OpenOptions::new().append(true).open(file).map(drop)
    }),
    ("open truncated", |file| {
        OpenOptions::new().write(true).truncate(true).open(file).map(drop)
    }),
    ("truncate", |file| {
        let file = c(file);
        // SAFETY: a path of ours. To the size that it has in the test that made it.
        answer(unsafe { libc::truncate(file.as_ptr(), 10) }).map(drop)
    }),
    ("make a file", |file| {
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(format!("{file}-new"))
            .map(drop)
    }),
    ("make a folder", |file| fs::create_dir(format!("{file}-folder"))),
    ("make a link", |file| {
        symlink("anywhere", format!("{file}-symlink"))
    }),
    ("make a hard link", |file| {
        fs::hard_link(file, format!("{file}-link"))
    }),
    ("make a pipe", |file| {
        let path = c(&format!("{file}-pipe"));
        // SAFETY: a path of ours.
        answer(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }).map(drop)
    }),
    ("make a socket", |file| {
        std::os::unix::net::UnixListener::bind(format!("{file}-socket")).map(drop)
    }),
    ("make a nameless file", |file| {
        let folder = file.rsplit_once('/').expect("an absolute path").0;
        let folder = c(folder);
        let flags = libc::O_TMPFILE | libc::O_RDWR;
        call(
            libc::SYS_openat,
            &[libc::AT_FDCWD as usize, address(&folder), flags as usize, 0o600],
        )
        .map(drop)
    }),
    ("rename", |file| fs::rename(file, format!("{file}-renamed"))),
    ("exchange two names", |file| {
        let (one, other) = (c(file), c(file));
        let here = libc::AT_FDCWD as usize;
        call(
            libc::SYS_renameat2,
            &[
                here,
                address(&one),
                here,
                address(&other),
                libc::RENAME_EXCHANGE as usize,
            ],
        )
        .map(drop)
    }),
    ("remove", |file| fs::remove_file(file)),
    ("change the mode", |file| {
        fs::set_permissions(file, fs::Permissions::from_mode(0o600))
    }),
    ("change the owner", |file| {
        // SAFETY: asks for numbers.
        let (user, group) = unsafe { (libc::getuid(), libc::getgid()) };
        chown(file, Some(user), Some(group))
    }),
    ("change the times", |file| {
        let file = c(file);
        // SAFETY: a path of ours; no times means now.
        answer(unsafe { libc::utimensat(libc::AT_FDCWD, file.as_ptr(), std::ptr::null(), 0) }).map(drop)
    }),
    ("set an attribute", |file| {
        let (file, name, value) = (c(file), c("user.probe"), *b"x");
        call(
            libc::SYS_setxattr,
            &[address(&file), address(&name), value.as_ptr() as usize, 1, 0],
        )
        .map(drop)
    }),
    ("map shared and writable", |file| {
        let file = OpenOptions::new().read(true).open(file)?;
        let (protection, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
        let arguments = [
            0,
            4096,
            protection as usize,
            kind as usize,
            file.as_raw_fd() as usize,
            0,
        ];
        call(libc::SYS_mmap, &arguments).map(drop)
    }),
    ("open again for writing", |file| {
        let file = OpenOptions::new().read(true).open(file)?;
        OpenOptions::new()
            .write(true)
            .open(format!("/proc/self/fd/{}", file.as_raw_fd()))
            .map(drop)
    }),
    ("allocate", |file| {
        let file = OpenOptions::new().write(true).open(file)?;
        call(libc::SYS_fallocate, &[file.as_raw_fd() as usize, 1, 0, 1]).map(drop)
    }),
];

pub fn checks(facts: &Facts) -> Vec<Check> {
    let Some(mount) = facts.get("read-only-mount") else {
        return vec![Check::new(CLASS, "a read-only mount", |_| {
            skipped("the host has granted none")
        })];
    };
    let file = format!("{mount}/data");
    CHANGES
        .iter()
        .map(|&(name, change)| {
            let file = file.clone();
            Check::new(
                CLASS,
                format!("{name} in a read-only mount"),
                move |_| -> Outcome { judge(change(&file), READ_ONLY) },
            )
        })
        .collect()
}
