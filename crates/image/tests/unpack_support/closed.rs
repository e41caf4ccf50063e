//! A place where an escape can do no harm and does not go unseen.
#![allow(
    dead_code,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "support of tests: each file uses its part"
)]

use std::{
    collections::BTreeMap,
    fs,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::Path,
};

use rustix::{
    mount::{MountFlags, MountPropagationFlags, mount_bind, mount_change, mount_remount},
    thread::UnshareFlags,
};

/// Runs a test in a mount namespace where only `place` can be written. Without privilege there is only landlock,
/// which `unpack` brings with it.
pub fn closed(place: &Path, test: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            if super::is_root() {
                close(place);
            } else {
                eprintln!("without privilege there is no private mount namespace: landlock alone");
            }
            test();
        });
        if let Err(panic) = thread.join() {
            std::panic::resume_unwind(panic);
        }
    });
}

fn close(place: &Path) {
    // SAFETY: this thread was just started and has no files of its own that others rely on.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS | UnshareFlags::FS) }.unwrap();
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).unwrap();
    mount_bind(place, place).unwrap();
    // /tmp may be a mount of its own, as may be others: all that are not the place become read-only.
    let mounts = fs::read_to_string("/proc/thread-self/mountinfo").unwrap();
    for line in mounts.lines() {
        let point = line.split(' ').nth(4).unwrap().replace("\\040", " ");
        if Path::new(&point) != place && !point.starts_with("/proc") && !point.starts_with("/dev") {
            // What is covered by another mount cannot be reached, nor changed.
            let _ = mount_remount(&point, MountFlags::BIND | MountFlags::RDONLY, "");
        }
    }
    fs::write("/escape-test", b"").unwrap_err();
    fs::write(place.join("open"), b"").unwrap();
    fs::remove_file(place.join("open")).unwrap();
}

/// Everything beneath a folder that could change, `except` one.
pub fn snapshot(folder: &Path, except: &Path) -> BTreeMap<Vec<u8>, String> {
    let mut found = BTreeMap::new();
    let mut pending = vec![folder.to_owned()];
    while let Some(path) = pending.pop() {
        let stat = fs::symlink_metadata(&path).unwrap();
        let content = if stat.is_symlink() {
            fs::read_link(&path).unwrap().into_os_string().as_bytes().to_vec()
        } else if stat.is_file() {
            fs::read(&path).unwrap()
        } else {
            Vec::new()
        };
        let attributes = super::attributes(&path);
        let text = format!(
            "{:o} {}:{} {} {}.{} {} {attributes:?} {}",
            stat.mode(),
            stat.uid(),
            stat.gid(),
            stat.nlink(),
            stat.mtime(),
            stat.mtime_nsec(),
            stat.rdev(),
            content.escape_ascii()
        );
        if stat.is_dir() {
            let children = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path());
            pending.extend(children.filter(|child| child != except));
        }
        found.insert(path.as_os_str().as_bytes().to_vec(), text);
    }
    found
}

/// The tree, one line each: `a/`, `a/b=content`, `l->target`, `!whiteout`, `|fifo`; `a/ opaque`.
pub fn listing(tree: &Path) -> Vec<String> {
    use std::os::unix::fs::FileTypeExt as _;
    let mut lines = Vec::new();
    let mut pending = vec![tree.to_owned()];
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let stat = fs::symlink_metadata(&path).unwrap();
            let name = path
                .strip_prefix(tree)
                .unwrap()
                .as_os_str()
                .as_bytes()
                .escape_ascii()
                .to_string();
            let kind = stat.file_type();
            lines.push(if kind.is_dir() {
                pending.push(path.clone());
                match super::attributes(&path).as_slice() {
                    [] => format!("{name}/"),
                    [one] if one == "user.overlay.opaque" => format!("{name}/ opaque"),
                    others => format!("{name}/ {others:?}"),
                }
            } else if kind.is_symlink() {
                format!("{name}->{}", fs::read_link(&path).unwrap().display())
            } else if kind.is_fifo() {
                format!("|{name}")
            } else if kind.is_char_device() && stat.rdev() == 0 {
                format!("!{name}")
            } else if kind.is_file() {
                let content = fs::read(&path).unwrap();
                let shown = String::from_utf8_lossy(&content[..content.len().min(16)]).into_owned();
                match stat.mode() & 0o7000 {
                    0 => format!("{name}={shown}"),
                    bits => format!("{name}={shown} {bits:o}"),
                }
            } else {
                format!("{name} is something else")
            });
        }
    }
    lines.sort();
    lines
}

/// Layers, the lowest first, as overlayfs shows them at `place`: in a mount namespace that ends with the test.
pub fn overlay(layers: &[std::path::PathBuf], place: &Path, test: impl FnOnce() + Send) {
    let lower: Vec<String> = layers
        .iter()
        .rev()
        .map(|layer| layer.display().to_string())
        .collect();
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            // SAFETY: this thread was just started and has no files of its own that others rely on.
            unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS | UnshareFlags::FS) }.unwrap();
            mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).unwrap();
            let options = format!("lowerdir={},userxattr", lower.join(":"));
            let options = std::ffi::CString::new(options).unwrap();
            rustix::mount::mount("overlay", place, "overlay", MountFlags::RDONLY, Some(&*options)).unwrap();
            test();
        });
        if let Err(panic) = thread.join() {
            std::panic::resume_unwind(panic);
        }
    });
}
