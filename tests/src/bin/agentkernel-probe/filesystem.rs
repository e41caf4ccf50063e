//! The root: it ends at /, its programs are the host's to change, and a restrictive one takes nothing.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use crate::{
    attempt::{REFUSED, address, c, call, judge, making_is_refused, open_to_write},
    facts::Facts,
    report::{Check, Outcome, blocked, holds, leaked, skipped},
};

const CLASS: &str = "filesystem";

pub fn checks(_: &Facts) -> Vec<Check> {
    let mut checks = Vec::new();
    for folder in [
        "/",
        "/usr",
        "/usr/bin",
        "/usr/local",
        "/etc",
        "/home",
        "/home/sandbox",
        "/var",
        "/var/tmp",
        "/var/lib",
        "/opt",
        "/root",
        "/srv",
        "/mnt",
    ] {
        let name = format!("make a file in {folder}");
        checks.push(Check::new(CLASS, name, move |facts| {
            if facts.read_only_root() {
                making_is_refused(folder)
            } else {
                skipped("the root of this profile is private and writable")
            }
        }));
    }
    for file in [
        "/usr/bin/env",
        "/bin/sh",
        "/lib64/ld-linux-x86-64.so.2",
        "/etc/os-release",
        "/etc/passwd",
        "/etc/hosts",
        "/etc/resolv.conf",
    ] {
        checks.push(Check::new(
            CLASS,
            format!("write {file} in place"),
            move |facts| in_place(facts, file),
        ));
    }
    for path in [
        "/..",
        "/../..",
        "/../../../../../../../..",
        "/tmp/../..",
        "/proc/self/root",
        "/proc/self/root/..",
        "/proc/thread-self/root",
        "/proc/self/cwd/../../../../..",
    ] {
        checks.push(Check::new(CLASS, format!("{path} is the root"), move |_| {
            is_root(path)
        }));
    }
    checks.extend([
        Check::new(CLASS, "/proc/1/root leads nowhere", |_| {
            match fs::metadata("/proc/1/root/") {
                Ok(_) => is_root("/proc/1/root/"),
                Err(error) => blocked(error),
            }
        }),
        Check::new(CLASS, "the working folder lies below the root", |_| below_root()),
        Check::new(CLASS, "every mount lies below the root", |_| reachable_mounts()),
        Check::new(CLASS, "change the mode of a host program", mode_of_program),
        Check::new(CLASS, "write the agent's executable", |_| agent()),
        Check::new(CLASS, "write this program's executable", |_| {
            judge(
                open_to_write("/proc/self/exe"),
                &[libc::EROFS, libc::EACCES, libc::EPERM, libc::ETXTBSY],
            )
        }),
        Check::new(CLASS, "a hard link to a file of root", hard_link),
    ]);
    checks
}

/// The sandbox's own files in /etc belong to it where the root is writable; those of the host nowhere.
fn in_place(facts: &Facts, path: &str) -> Outcome {
    let found = match fs::metadata(path) {
        Ok(found) => found,
        Err(error) => return skipped(error),
    };
    // SAFETY: asks for a number.
    let own = found.uid() == unsafe { libc::getuid() };
    if own && !facts.read_only_root() {
        return skipped("the file is the sandbox's own and its root is writable");
    }
    judge(
        open_to_write(path),
        &[libc::EROFS, libc::EACCES, libc::EPERM, libc::ETXTBSY],
    )
}

fn is_root(path: &str) -> Outcome {
    let identity = |path: &str| fs::metadata(path).map(|found| (found.dev(), found.ino()));
    match (identity("/"), identity(path)) {
        (Ok(root), Ok(found)) => holds(root == found, format!("{found:?} and {root:?}")),
        (_, Err(error)) => blocked(error),
        (Err(error), _) => leaked(format!("the root cannot be seen: {error}")),
    }
}

fn below_root() -> Outcome {
    match std::env::current_dir() {
        // A folder that is not below the root is shown with this word in front.
        Ok(folder) => holds(
            folder.is_absolute() && !folder.starts_with("(unreachable)"),
            folder.display(),
        ),
        Err(error) => leaked(error),
    }
}

/// A mount of the host that had stayed would have no place below this root, or the old root's.
fn reachable_mounts() -> Outcome {
    let text = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let points: Vec<PathBuf> = text
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(|point| PathBuf::from(point.replace("\\040", " ")))
        .collect();
    let lost: Vec<&PathBuf> = points
        .iter()
        .filter(|point| {
            !point.is_absolute()
                || fs::symlink_metadata(point).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
        })
        .collect();
    holds(
        !points.is_empty() && lost.is_empty(),
        format!("{} mounts, without a place: {lost:?}", points.len()),
    )
}

const OWN_IMAGE: &str = "the image's files are the sandbox's own and its root is writable";

/// Without root every file of an image belongs to the sandbox, which may do with it what it likes.
fn is_own_in_image(facts: &Facts, path: &str) -> bool {
    // SAFETY: asks for a number.
    let own = fs::symlink_metadata(path).is_ok_and(|found| found.uid() == unsafe { libc::getuid() });
    facts.has_image() && own && !facts.read_only_root()
}

fn hard_link(facts: &Facts) -> Outcome {
    let path = "/usr/bin/env";
    if is_own_in_image(facts, path) {
        return skipped(OWN_IMAGE);
    }
    judge(
        fs::hard_link(path, format!("/tmp/probe-link-{}", std::process::id())),
        &[libc::EPERM, libc::EXDEV, libc::EACCES, libc::EROFS],
    )
}

/// Sets the mode that it has: nothing changes where it works.
fn mode_of_program(facts: &Facts) -> Outcome {
    let path = "/usr/bin/env";
    let Ok(found) = fs::metadata(path) else {
        return skipped("there is none");
    };
    if is_own_in_image(facts, path) {
        return skipped(OWN_IMAGE);
    }
    let mode = found.permissions().mode();
    judge(
        fs::set_permissions(path, fs::Permissions::from_mode(mode)),
        REFUSED,
    )
}

fn agent() -> Outcome {
    let own_file = Path::new("/proc/1/exe");
    let outcome = judge(
        open_to_write(&own_file.to_string_lossy()),
        &[
            libc::EACCES,
            libc::EPERM,
            libc::EROFS,
            libc::ETXTBSY,
            libc::ENOENT,
        ],
    );
    if matches!(outcome, Outcome::Leaked(_)) {
        return outcome;
    }
    let (folder, name) = (c("/proc/1"), c("exe"));
    let descriptor = call(
        libc::SYS_openat,
        &[libc::AT_FDCWD as usize, address(&folder), libc::O_PATH as usize],
    );
    let result = descriptor.and_then(|folder| {
        call(
            libc::SYS_openat,
            &[folder as usize, address(&name), libc::O_RDWR as usize],
        )
    });
    judge(result, &[libc::EACCES, libc::EPERM, libc::EROFS, libc::ETXTBSY])
}
