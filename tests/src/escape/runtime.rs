//! The shapes of holes that container runtimes have had.

use std::{
    env, fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
    process::Command,
};

use super::{
    attempt::{Blocked, Leaked, Outcome, Probe, Skipped, c, call, failed, probe, unwritable},
    facts::Facts,
};

pub fn probes(_: &Facts) -> Vec<Probe> {
    let mut probes = vec![
        probe("runtime", "overwrite PID 1's program", || {
            unwritable("/proc/1/exe")
        }),
        probe("runtime", "overwrite one's own program", || {
            unwritable("/proc/self/exe")
        }),
        probe("runtime", "hold PID 1's program to overwrite it later", || {
            let path = c("/proc/1/exe");
            let arguments = [libc::AT_FDCWD as u64, path.as_ptr() as u64, libc::O_PATH as u64];
            failed(
                call(libc::SYS_openat, &arguments).map_err(std::io::Error::from_raw_os_error),
                "held",
            )
        }),
        probe("runtime", "run PID 1's program as an interpreter", || {
            interpreter("/proc/1/exe")
        }),
        probe(
            "runtime",
            "follow a link of one's own to PID 1's root",
            link_to_root,
        ),
        probe("runtime", "have a working directory outside", || {
            let own = env::current_dir();
            match own {
                Ok(path) if path.starts_with("/") && !path.to_string_lossy().contains("unreachable") => {
                    Blocked(path.display().to_string())
                }
                other => Leaked(format!("{other:?}")),
            }
        }),
        probe("runtime", "climb above the root", climb),
        probe(
            "runtime",
            "find a folder of the host behind a descriptor",
            behind_descriptors,
        ),
        probe("runtime", "preload a library into PID 1", || {
            let wrote = fs::write("/etc/ld.so.preload", "").is_ok();
            let _ = fs::remove_file("/etc/ld.so.preload");
            // PID 1 is static and has been started already; what is written is the sandbox's own.
            let status = fs::read_to_string("/proc/1/maps");
            if status.is_ok() {
                Leaked("PID 1 can be looked into".to_owned())
            } else {
                Blocked(format!("written: {wrote}"))
            }
        }),
    ];
    for name in [
        "mem",
        "oom_score_adj",
        "coredump_filter",
        "clear_refs",
        "comm",
        "timerslack_ns",
        "loginuid",
    ] {
        probes.push(probe("runtime", format!("write /proc/1/{name}"), move || {
            unwritable(format!("/proc/1/{name}"))
        }));
    }
    probes
}

fn interpreter(path: &str) -> Outcome {
    let script = "/tmp/agentkernel-escape-script";
    let written = fs::write(script, format!("#!{path}\n"));
    if let Err(error) = written.and_then(|()| fs::set_permissions(script, fs::Permissions::from_mode(0o755)))
    {
        return Skipped(error.to_string());
    }
    failed(Command::new(script).output(), "it ran")
}

fn link_to_root() -> Outcome {
    let link = Path::new("/tmp/agentkernel-escape-link");
    let _ = fs::remove_file(link);
    match symlink("/proc/1/root", link) {
        Ok(()) => failed(fs::read_dir(link.join("etc")), "followed"),
        Err(error) => Skipped(error.to_string()),
    }
}

fn climb() -> Outcome {
    use std::os::unix::fs::MetadataExt as _;
    let root = fs::metadata("/").map(|meta| (meta.dev(), meta.ino()));
    let climbed = env::set_current_dir("/").and_then(|()| {
        (0..64).try_for_each(|_| env::set_current_dir(".."))?;
        fs::metadata(".").map(|meta| (meta.dev(), meta.ino()))
    });
    match (root, climbed) {
        (Ok(root), Ok(climbed)) if root == climbed => Blocked("the root is the top".to_owned()),
        other => Leaked(format!("{other:?}")),
    }
}

/// A folder that was left open would show what is above it.
fn behind_descriptors() -> Outcome {
    for number in 0..256 {
        let path = format!("/proc/self/fd/{number}");
        if fs::metadata(&path).is_ok_and(|meta| meta.is_dir())
            && fs::read_link(&path).is_ok_and(|to| !to.starts_with("/proc"))
        {
            return Leaked(format!("{number} is {:?}", fs::read_link(&path)));
        }
    }
    Blocked("no folder is open".to_owned())
}
