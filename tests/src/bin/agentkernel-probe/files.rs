//! Writing where nothing may be written, and paths that lead out.

use std::{
    ffi::CString,
    fs,
    os::unix::fs::{PermissionsExt, symlink},
};

use crate::{Facts, Outcome, Probe, REFUSALS, attempt, blocked, last_error, leaked, skipped};

/// Beneath the read-only mount that is given.
type Attempt = fn(&str) -> Outcome;

pub fn probes() -> Vec<Probe> {
    let mut probes: Vec<Probe> = Vec::new();
    for path in [
        "/probe-file",
        "/usr/probe-file",
        "/etc/probe-file",
        "/home/probe-file",
        "/var/probe-file",
        "/opt/probe-file",
    ] {
        probes.push((
            "files",
            format!("write {path} under a read-only root"),
            Box::new(move |facts| {
                only(facts, "read_only_root", || {
                    attempt(fs::write(path, "x").map(|()| "written"))
                })
            }),
        ));
    }
    let read_only: [(&str, Attempt); 9] = [
        ("make a file", |base| {
            attempt(fs::write(format!("{base}/new"), "x").map(|()| "made"))
        }),
        ("change a file", |base| {
            attempt(
                fs::OpenOptions::new()
                    .write(true)
                    .open(format!("{base}/data"))
                    .map(|_| "opened"),
            )
        }),
        ("make a folder", |base| {
            attempt(fs::create_dir(format!("{base}/folder")).map(|()| "made"))
        }),
        ("remove a file", |base| {
            attempt(fs::remove_file(format!("{base}/data")).map(|()| "removed"))
        }),
        ("rename a file", |base| {
            attempt(fs::rename(format!("{base}/data"), format!("{base}/x")).map(|()| "renamed"))
        }),
        ("change the mode", |base| {
            attempt(fs::set_permissions(base, fs::Permissions::from_mode(0o777)).map(|()| "changed"))
        }),
        ("make a link", |base| {
            attempt(symlink("/", format!("{base}/link")).map(|()| "made"))
        }),
        ("make a hard link", |base| {
            attempt(fs::hard_link(format!("{base}/data"), format!("{base}/y")).map(|()| "made"))
        }),
        ("truncate", |base| truncate(&format!("{base}/data"))),
    ];
    for (name, probe) in read_only {
        probes.push((
            "read-only mount",
            name.to_owned(),
            Box::new(move |facts| probe(facts.get("read_only"))),
        ));
    }
    for path in [
        "/proc/1/root",
        "/proc/1/cwd",
        "/proc/1/fd",
        "/proc/1/exe",
        "/proc/1/mem",
        "/proc/1/environ",
        "/proc/1/map_files",
    ] {
        probes.push((
            "leaks",
            format!("through {path}"),
            Box::new(move |_| unreadable(path)),
        ));
    }
    probes.push(("files", "above the root".to_owned(), Box::new(above_the_root)));
    probes.push((
        "files",
        "through the root of this process".to_owned(),
        Box::new(|facts| beneath(facts, "/proc/self/root")),
    ));
    probes.push((
        "files",
        "through a link to PID 1's root".to_owned(),
        Box::new(link_to_first),
    ));
    probes.push((
        "files",
        "write to the agent's executable".to_owned(),
        Box::new(|_| open_agent()),
    ));
    probes.push((
        "capabilities",
        "a set-user-id copy gives nothing".to_owned(),
        Box::new(set_id_copy),
    ));
    probes.push((
        "files",
        "set-id programs are not followed".to_owned(),
        Box::new(|_| mounts_are("nosuid")),
    ));
    probes
}

fn only(facts: &Facts, fact: &str, probe: impl Fn() -> Outcome) -> Outcome {
    if facts.is(fact) {
        probe()
    } else {
        skipped("the profile grants a writable root")
    }
}

fn truncate(path: &str) -> Outcome {
    let path = CString::new(path).expect("no NUL");
    // SAFETY: the string ends with NUL.
    if unsafe { libc::truncate(path.as_ptr(), 0) } == 0 {
        return leaked("truncated");
    }
    let code = last_error();
    if REFUSALS.contains(&code) || code == libc::ETXTBSY {
        blocked(code)
    } else {
        leaked(code)
    }
}

fn unreadable(path: &str) -> Outcome {
    let readable = fs::read_dir(path).is_ok()
        || fs::read(path).is_ok_and(|content| !content.is_empty())
        || fs::read_link(path).is_ok();
    if readable {
        leaked("readable")
    } else {
        blocked("unreadable")
    }
}

fn above_the_root(facts: &Facts) -> Outcome {
    beneath(facts, &"/..".repeat(40))
}

/// The host's marked file must not be there behind any spelling of the root.
fn beneath(facts: &Facts, prefix: &str) -> Outcome {
    let path = format!("{prefix}{}", facts.get("tmp_file"));
    match fs::read(&path) {
        Ok(_) => leaked(path),
        Err(error) => blocked(error),
    }
}

fn link_to_first(facts: &Facts) -> Outcome {
    let link = format!("/tmp/probe-root-{}", std::process::id());
    if let Err(error) = symlink("/proc/1/root", &link) {
        return skipped(error);
    }
    beneath(facts, &link)
}

fn open_agent() -> Outcome {
    for path in ["/proc/1/exe", "/proc/1/root/proc/self/exe"] {
        if fs::OpenOptions::new().write(true).open(path).is_ok() {
            return leaked(path);
        }
    }
    blocked("not to be opened")
}

/// A set-user-id file of another owner cannot be made; one of our own changes nothing.
fn set_id_copy(_: &Facts) -> Outcome {
    let path = format!("/tmp/probe-id-{}", std::process::id());
    let made = fs::copy("/bin/sh", &path)
        .and_then(|_| fs::set_permissions(&path, fs::Permissions::from_mode(0o6755)));
    if let Err(error) = made {
        return skipped(error);
    }
    let ids = std::process::Command::new(&path)
        .args(["-c", "grep -E '^(CapEff|CapPrm)' /proc/self/status"])
        .output();
    let text = ids
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default();
    if text.lines().all(|line| line.ends_with("0000000000000000")) {
        blocked("no capability")
    } else {
        leaked(text)
    }
}

fn mounts_are(option: &str) -> Outcome {
    let table = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let without: Vec<&str> = table
        .lines()
        .filter(|line| {
            !line
                .split(' ')
                .nth(3)
                .is_some_and(|options| options.split(',').any(|found| found == option))
        })
        .collect();
    if without.is_empty() {
        blocked("everywhere")
    } else {
        leaked(format!("{without:?}"))
    }
}
