//! What cannot be seen from inside: where a command lands, what is left on the host, what two sandboxes share.

use std::{fs, path::PathBuf, process::Command, time::Duration};

use agentkernel_tests::cli::{Home, marker, sleepers, wait_until};

/// The folder that a process is in has a place below its root, and that place is the folder.
const INSIDE: &str =
    "[ \"$(stat -c %d:%i .)\" = \"$(stat -c %d:%i \"$(readlink /proc/self/cwd)\")\" ] && echo inside";

#[test]
fn a_working_folder_of_a_descriptor_lands_inside_or_is_refused() {
    let home = Home::new();
    home.create("box", &["--no-network"]);
    for number in 0..64 {
        for path in [
            format!("/proc/self/fd/{number}"),
            format!("/proc/1/fd/{number}"),
            format!("/dev/fd/{number}"),
        ] {
            let exec = home.call(["exec", "-w", &path, "box", "--", "sh", "-c", INSIDE]);
            lands_inside(&path, exec.status.code(), &exec.text());
        }
        let path = format!("/proc/self/fd/{number}");
        let run = home.run(&["-w", &path], &["sh", "-c", INSIDE]);
        lands_inside(&path, run.status.code(), &run.text());
    }
}

#[track_caller]
fn lands_inside(path: &str, code: Option<i32>, text: &str) {
    match code {
        Some(0) => assert_eq!(text, "inside\n", "{path}"),
        _ => assert_eq!(text, "", "{path}: refused, and yet the command ran"),
    }
}

#[test]
fn what_is_written_inside_is_not_on_the_host() {
    let home = Home::new();
    let word = marker();
    let folders = [
        "/",
        "/usr",
        "/usr/bin",
        "/usr/lib",
        "/etc",
        "/home",
        "/home/sandbox",
        "/opt",
        "/var",
        "/var/tmp",
        "/tmp",
    ];
    let script = format!(
        "for folder in {}; do echo x > $folder/{word}; done 2>/dev/null; test -f /usr/bin/{word} && test -f /etc/{word}",
        folders.join(" ")
    );
    home.run(&["--profile", "moderate"], &["sh", "-c", &script])
        .success();
    for folder in folders {
        let path = PathBuf::from(folder).join(&word);
        assert!(!path.exists(), "{} is on the host", path.display());
    }
}

#[test]
fn a_host_program_that_is_replaced_inside_stays_on_the_host() {
    let home = Home::new();
    let before = fs::read("/usr/bin/env").expect("every host has it");
    let script = "rm /usr/bin/env && echo gone > /usr/bin/env && cat /usr/bin/env";
    home.run(&[], &["sh", "-c", script])
        .success()
        .expect_text("gone\n");
    let after = fs::read("/usr/bin/env").expect("it is still there");
    assert!(before == after, "the host's program was changed");
}

#[test]
fn nothing_is_left_after_a_run() {
    let home = Home::new();
    let word = marker();
    let script = format!("setsid sleep {word} & (sleep {word} &) ; sleep 0.1");
    // A limit makes a control group, where this user may have one.
    let outcome = home.run(&["--memory", "64m"], &["sh", "-c", &script]);
    if !outcome.status.success() {
        outcome.refused("memory");
        home.run(&[], &["sh", "-c", &script]).success();
    }
    wait_until("no process is left", Duration::from_secs(20), || {
        sleepers(&word).is_empty()
    });
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("procfs is there");
    let state = home.state().display().to_string();
    assert!(!mounts.contains(&state), "a mount is left: {mounts}");
    wait_until("no control group is left", Duration::from_secs(20), || {
        abandoned_groups().is_empty()
    });
}

/// The control groups whose names are ours and that have no process: another test's have some.
fn abandoned_groups() -> Vec<PathBuf> {
    let found = Command::new("find")
        .args([
            "/sys/fs/cgroup",
            "-maxdepth",
            "6",
            "-type",
            "d",
            "-name",
            "agentkernel-*",
        ])
        .output()
        .expect("find is there");
    let text = String::from_utf8_lossy(&found.stdout).into_owned();
    let is_empty =
        |path: &PathBuf| fs::read_to_string(path.join("cgroup.procs")).is_ok_and(|list| list.is_empty());
    text.lines().map(PathBuf::from).filter(is_empty).collect()
}

#[test]
fn two_sandboxes_share_nothing() {
    let home = Home::new();
    home.create("one", &[]);
    home.create("two", &[]);
    let word = marker();
    let listen = format!(
        "import socket, subprocess, time\n\
         for place in ('/tmp', '/dev/shm', '/home/sandbox', '/var/tmp'): open(f'{{place}}/{word}', 'w').write('{word}')\n\
         listener = socket.socket(socket.AF_UNIX); listener.bind('\\0{word}'); listener.listen()\n\
         subprocess.Popen(['sleep', '{word}'])\n\
         open('/tmp/ready', 'w').close(); time.sleep(100)"
    );
    home.call(["exec", "-d", "one", "--", "python3", "-c", &listen])
        .success();
    wait_until("the first sandbox is ready", Duration::from_secs(30), || {
        home.exec("one", &["test", "-e", "/tmp/ready"]).status.success()
    });
    let look = format!(
        "import glob, socket\n\
         for name in glob.glob('/proc/[0-9]*/cmdline'):\n\
         \x20   words = open(name, 'rb').read().split(b'\\0')\n\
         \x20   if b'sleep' in words: print('process', words)\n\
         for place in ('/tmp', '/dev/shm', '/home/sandbox', '/var/tmp'):\n\
         \x20   for name in glob.glob(f'{{place}}/*'): print('file', name)\n\
         try:\n\
         \x20   socket.socket(socket.AF_UNIX).connect('\\0{word}'); print('connected')\n\
         except OSError: pass"
    );
    home.exec("two", &["python3", "-c", &look])
        .success()
        .expect_text("");
    // The same questions in the first one find everything: they ask rightly.
    let own = home.exec("one", &["python3", "-c", &look]).success().text();
    for found in ["process", "/tmp/", "/dev/shm/", "/home/sandbox/", "connected"] {
        assert!(own.contains(found), "{found}: {own}");
    }
}

#[test]
fn two_sandboxes_have_no_namespace_in_common_but_the_hosts_network() {
    let home = Home::new();
    home.create("one", &[]);
    home.create("two", &[]);
    let namespaces = |name: &str| {
        home.exec(name, &["sh", "-c", "readlink /proc/self/ns/*"])
            .success()
            .text()
    };
    let (one, two) = (namespaces("one"), namespaces("two"));
    let shared: Vec<&str> = one
        .lines()
        .filter(|line| two.contains(line))
        .filter(|line| !line.starts_with("net:") && !line.starts_with("time"))
        .collect();
    assert!(shared.is_empty(), "{shared:?}");
}
