//! The self-check `agentkernel-probe` in every profile, as this user and as an unprivileged one.

#![expect(
    clippy::print_stdout,
    reason = "the number of attempts is a result of these tests"
)]

use std::{
    fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use agentkernel_tests::{
    cli::{Footprint, Home, Outcome, PATIENCE, copy_program, process_mentions, wait_for, wait_until},
    images::{Compression, Image, Layer, archive},
};
use serde_json::Value;

use crate::marks::{Marks, SECRET_VARIABLE, VARIABLE};

const FEWEST: usize = 80;
const PROBE: &str = env!("CARGO_BIN_EXE_agentkernel-probe");
const DATA: &str = "the host's";

/// The root in which the self-check runs.
#[derive(Clone, Copy)]
enum Root<'a> {
    Host,
    Image(&'a str),
}

#[test]
fn permissive_leaks_nothing_that_it_does_not_grant() {
    nothing_leaks(&Home::new(), "permissive", Root::Host);
}

#[test]
fn moderate_leaks_nothing_that_it_does_not_grant() {
    nothing_leaks(&Home::new(), "moderate", Root::Host);
}

#[test]
fn restrictive_leaks_nothing() {
    nothing_leaks(&Home::new(), "restrictive", Root::Host);
}

#[test]
fn without_root_no_profile_leaks_more() {
    for profile in ["permissive", "moderate", "restrictive"] {
        let Some(home) = Home::rootless() else {
            println!("not root: the other tests have run without root already");
            return;
        };
        nothing_leaks(&home, profile, Root::Host);
    }
}

#[test]
fn an_image_leaks_nothing_either() {
    for profile in ["moderate", "restrictive"] {
        for home in [Some(Home::new()), Home::rootless()].into_iter().flatten() {
            let Some(name) = import(&home) else {
                return;
            };
            nothing_leaks(&home, profile, Root::Image(name));
        }
    }
}

/// Two users own its files, and its command is neither of the host's nor its root.
fn import(home: &Home) -> Option<&'static str> {
    const NAME: &str = "security/probe:1";
    // The folders in which the self-check looks for the host's files are empty in the image.
    let programs = Layer::new()
        .whiteout("srv/app")
        .file("etc/passwd", 0o644, "app:x:1000:1000::/home/app:/bin/sh\n")
        .folder("usr/bin/", 0o755)
        .symlink("usr/bin/env", "/bin/busybox")
        .file("usr/bin/su", 0o4755, "#!/bin/sh\nsleep 300\n");
    let image = Image::busybox()?
        .with_libraries_of(Path::new(PROBE))
        .layer(programs, Compression::Gzip)
        .set("User", "app".into());
    let archive = archive::docker(&[(&image, &[NAME])]);
    home.call_with_input(["image", "import", "-"], &archive).success();
    Some(NAME)
}

/// The opposite: where there are no walls the self-check must say so, or its silence elsewhere means nothing.
#[test]
fn the_self_check_sees_that_there_are_no_walls() {
    let Some(home) = Home::rootless() else {
        println!("skipped: only root can start it as a user who can harm nothing");
        return;
    };
    let marks = Marks::set(&home);
    let folder = probe_folder(&home);
    let mut command = Command::new(folder.join("agentkernel-probe"));
    home.prepare(&mut command);
    command
        .args(["--profile", "restrictive"])
        .args(marks.arguments(&home))
        .env(VARIABLE, &marks.word)
        .env(SECRET_VARIABLE, &marks.word);
    // SAFETY: one system call on a structure of its own, between fork and exec.
    unsafe {
        command.pre_exec(|| {
            let few = libc::rlimit {
                rlim_cur: 64,
                rlim_max: 64,
            };
            match libc::setrlimit(libc::RLIMIT_NPROC, &raw const few) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            }
        });
    }
    let child = command.spawn().expect("the self-check can be started");
    let lines = results(&wait_for(child, PATIENCE).success());
    let leaked: Vec<&str> = lines
        .iter()
        .filter(|line| line["outcome"] == "leaked")
        .filter_map(|line| line["name"].as_str())
        .collect();
    for name in [
        "the host's name",
        "a variable with a credential's name",
        "own pid namespace",
        "unshare user",
        "a marked process of the host",
        "an abstract socket of the host",
        "a socket of the host in its /tmp",
        "a TCP port of the host",
        "shared memory of the host",
        "a message queue of the host",
        "a signal to a host thread",
        "no_new_privs is set all the way to PID 1",
        "a system call filter is in force all the way to PID 1",
        "the bounding set has none",
        "set-uid has no effect below /usr",
        "keyctl",
        "socket VSOCK stream",
        "TIOCSETD",
        "look into /sys/class",
    ] {
        assert!(
            leaked.contains(&name),
            "{name:?} went unnoticed among {leaked:#?}"
        );
    }
}

fn nothing_leaks(home: &Home, profile: &str, root: Root<'_>) {
    let who = if home.is_rootless() {
        "unprivileged"
    } else {
        "this user"
    };
    let marks = Marks::set(home);
    let folder = probe_folder(home);
    let before = Footprint::of(&home.state());
    let outcome = check(home, &marks, &folder, profile, root);
    let lines = results(&outcome);
    let count = |what: &str| lines.iter().filter(|line| line["outcome"] == what).count();
    let (blocked, leaked, skipped) = (count("blocked"), count("leaked"), count("skipped"));
    let attempted = blocked + leaked;
    println!("{who}, {profile}: attempted {attempted} blocked {blocked} skipped {skipped} leaked {leaked}");
    let leaks: Vec<&Value> = lines.iter().filter(|line| line["outcome"] == "leaked").collect();
    assert!(leaks.is_empty(), "{who}, {profile}: {leaks:#?}");
    assert!(attempted >= FEWEST, "{who}, {profile}: only {attempted} attempts");
    let data = fs::read_to_string(folder.join("data")).expect("the mounted file is still there");
    assert_eq!(data, DATA, "a read-only mount was changed");
    assert_eq!(fs::read_dir(&folder).expect("it is there").count(), 2);
    nothing_is_left(home, &before, &folder);
}

fn check(home: &Home, marks: &Marks, folder: &Path, profile: &str, root: Root<'_>) -> Outcome {
    let (image, more): (_, &[&str]) = match root {
        Root::Host => ("host", &[]),
        Root::Image(name) => (name, &["--image", "yes"]),
    };
    let mount = format!("{}:/probe:ro", folder.display());
    let program = "/probe/agentkernel-probe";
    let flags = [
        "run",
        "--image",
        image,
        "--profile",
        profile,
        "--mount",
        &mount,
        "--",
        program,
    ];
    let told = ["--profile", profile, "--read-only-mount", "/probe"];
    let told = told.iter().chain(more).copied();
    let arguments = flags.into_iter().chain(told).map(str::to_owned);
    let child = home
        .command(arguments.chain(marks.arguments(home)))
        .env(VARIABLE, &marks.word)
        .env(SECRET_VARIABLE, &marks.word)
        .stdin(Stdio::null())
        .spawn()
        .expect("the binary can be started");
    wait_for(child, PATIENCE).success()
}

fn results(outcome: &Outcome) -> Vec<Value> {
    let text = outcome.text();
    let parse = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    text.lines().map(parse).collect()
}

/// A folder with the self-check and a file, which everyone may write: only the mount protects it.
fn probe_folder(home: &Home) -> PathBuf {
    let folder = home.root().join("probe");
    fs::create_dir_all(&folder).expect("a folder can be made");
    let (program, data) = (folder.join("agentkernel-probe"), folder.join("data"));
    copy_program(Path::new(PROBE), &program);
    fs::write(&data, DATA).expect("a file can be written");
    for (path, mode) in [(&folder, 0o777), (&program, 0o755), (&data, 0o666)] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("own file");
    }
    folder
}

/// No process, no control group and no mount outlives the run.
fn nothing_is_left(home: &Home, before: &Footprint, folder: &Path) {
    let mark = format!("{}:/probe:ro", folder.display());
    wait_until("every process of the run is gone", PATIENCE, || {
        process_mentions(&mark).is_empty()
    });
    let state = home.state().display().to_string();
    wait_until("nothing of the run is left", PATIENCE, || {
        let left = Footprint::of(&home.state()).since(before);
        // Other tests run sandboxes meanwhile: their mounts carry other folders.
        left.mounts.iter().all(|mount| !mount.contains(&state))
            && left.cgroups.iter().all(|group| !group.exists())
    });
}
