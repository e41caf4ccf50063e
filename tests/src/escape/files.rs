//! Files: read-only ones, and ways past the root.

use std::{
    fs::{self, File, OpenOptions},
    io::Write as _,
    os::{
        fd::AsRawFd as _,
        unix::fs::{PermissionsExt as _, symlink},
    },
    path::{Path, PathBuf},
};

use super::{
    attempt::{Blocked, Leaked, Outcome, Probe, Skipped, c, call, errno, failed, probe, text_of},
    facts::Facts,
};

/// Where nothing may be written with a read-only root.
const ROOT: [&str; 9] = [
    "/", "/usr", "/usr/bin", "/etc", "/var", "/opt", "/home", "/root", "/lib/",
];

pub fn probes(facts: &Facts) -> Vec<Probe> {
    let mut probes = Vec::new();
    let restrictive = facts.get("profile").as_deref() == Some("restrictive");
    for folder in ROOT {
        probes.push(probe(
            "files",
            format!("write into {folder} with a read-only root"),
            move || {
                if !restrictive {
                    return Skipped("the root is private and writable here".to_owned());
                }
                failed(
                    File::create(Path::new(folder).join("agentkernel-escape")),
                    "written",
                )
            },
        ));
    }
    for folder in facts.all("read-only") {
        for (name, attempt) in ON_READ_ONLY {
            let folder = PathBuf::from(&folder);
            probes.push(probe("files", format!("read-only mount: {name}"), move || {
                attempt(&folder)
            }));
        }
    }
    probes.push(probe("files", "link a file of the host's into /tmp", || {
        failed(
            fs::hard_link("/usr/bin/env", "/tmp/agentkernel-escape-hard"),
            "linked",
        )
    }));
    probes.push(probe("files", "link a held file into /tmp", link_held));
    probes
}

type OnFolder = fn(&Path) -> Outcome;

/// `marker` is a file of the host in each such folder.
const ON_READ_ONLY: [(&str, OnFolder); 16] = [
    ("create a file", |folder| {
        failed(File::create(folder.join("new")), "created")
    }),
    ("open a file for writing", |folder| {
        failed(writable(&folder.join("marker")), "opened")
    }),
    ("append to a file", |folder| {
        failed(append(&folder.join("marker")), "appended")
    }),
    ("truncate a file", |folder| {
        let path = c(&folder.join("marker").display().to_string());
        raw(libc::SYS_truncate, &[path.as_ptr() as u64, 0])
    }),
    ("remove a file", |folder| {
        failed(fs::remove_file(folder.join("marker")), "removed")
    }),
    ("rename a file", |folder| {
        failed(fs::rename(folder.join("marker"), folder.join("other")), "renamed")
    }),
    ("link a file", |folder| {
        failed(
            fs::hard_link(folder.join("marker"), folder.join("hard")),
            "linked",
        )
    }),
    ("make a symbolic link", |folder| {
        failed(symlink("/", folder.join("soft")), "made")
    }),
    ("make a folder", |folder| {
        failed(fs::create_dir(folder.join("folder")), "made")
    }),
    ("make a pipe", |folder| {
        let path = c(&folder.join("pipe").display().to_string());
        raw(
            libc::SYS_mknodat,
            &[
                libc::AT_FDCWD as u64,
                path.as_ptr() as u64,
                u64::from(libc::S_IFIFO | 0o600),
                0,
            ],
        )
    }),
    ("change a mode", |folder| {
        failed(
            fs::set_permissions(folder.join("marker"), fs::Permissions::from_mode(0o777)),
            "changed",
        )
    }),
    ("change a time", |folder| {
        let path = c(&folder.join("marker").display().to_string());
        raw(
            libc::SYS_utimensat,
            &[libc::AT_FDCWD as u64, path.as_ptr() as u64, 0, 0],
        )
    }),
    ("set an attribute", |folder| {
        let (path, name) = (c(&folder.join("marker").display().to_string()), c("user.probe"));
        raw(
            libc::SYS_setxattr,
            &[
                path.as_ptr() as u64,
                name.as_ptr() as u64,
                name.as_ptr() as u64,
                1,
                0,
            ],
        )
    }),
    ("change an owner", |folder| {
        let path = c(&folder.join("marker").display().to_string());
        // SAFETY: no argument.
        let own = u64::from(unsafe { libc::getuid() });
        raw(
            libc::SYS_fchownat,
            &[libc::AT_FDCWD as u64, path.as_ptr() as u64, own, u64::MAX, 0],
        )
    }),
    (
        "open a descriptor again, for writing",
        |folder| match File::open(folder.join("marker")) {
            Err(error) => Blocked(error.to_string()),
            Ok(file) => failed(
                writable(Path::new(&format!("/proc/self/fd/{}", file.as_raw_fd()))),
                "opened",
            ),
        },
    ),
    ("write through shared memory", |folder| {
        match File::open(folder.join("marker")) {
            Err(error) => Blocked(error.to_string()),
            Ok(file) => {
                let protection = (libc::PROT_READ | libc::PROT_WRITE) as u64;
                let arguments = [
                    0,
                    4096,
                    protection,
                    libc::MAP_SHARED as u64,
                    file.as_raw_fd() as u64,
                    0,
                ];
                raw(libc::SYS_mmap, &arguments)
            }
        }
    }),
];

fn raw(number: i64, arguments: &[u64]) -> Outcome {
    match call(number, arguments) {
        Ok(_) => Leaked("done".to_owned()),
        Err(error) => Blocked(text_of(error)),
    }
}

fn writable(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().write(true).open(path)
}

fn append(path: &Path) -> std::io::Result<()> {
    OpenOptions::new().append(true).open(path)?.write_all(b"x")
}

fn link_held() -> Outcome {
    let Ok(file) = File::open("/usr/bin/env") else {
        return Skipped("no such file".to_owned());
    };
    let (empty, target) = (c(""), c("/tmp/agentkernel-escape-held"));
    let at = libc::AT_FDCWD as u64;
    let arguments = [
        file.as_raw_fd() as u64,
        empty.as_ptr() as u64,
        at,
        target.as_ptr() as u64,
        libc::AT_EMPTY_PATH as u64,
    ];
    match call(libc::SYS_linkat, &arguments) {
        Ok(_) => Leaked(format!("linked, {}", errno())),
        Err(error) => Blocked(text_of(error)),
    }
}
