//! `kill -9` at any moment leaves nothing that `gc` does not find, and loses nothing that was complete.
//!
//! Each journey is cut at twenty points, spread over the time that it takes when it is not cut. The host is looked
//! at as a whole (processes, mounts, cgroups, files), so no two journeys may run at once.

use std::{
    process::Stdio,
    sync::{Mutex, MutexGuard},
    time::{Duration, Instant},
};

use agentkernel_tests::cli::{
    Footprint, Home, PATIENCE, init_of, kill, marker, mentions, sleepers, wait_for, wait_until,
};
use rustix::process::Signal;

const POINTS: u32 = 20;
const SOON: Duration = Duration::from_secs(20);

fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    // A journey that failed has said so itself.
    ONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Starts the command, kills it after `delay` unless it has ended, and says whether it had.
fn cut(home: &Home, arguments: &[&str], delay: Duration) -> bool {
    let mut child = home
        .command(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary can be started");
    let start = Instant::now();
    while start.elapsed() < delay {
        if child.try_wait().expect("a child can be waited for").is_some() {
            return true;
        }
        std::thread::sleep(Duration::from_micros(100));
    }
    let ended = child.try_wait().expect("a child can be waited for").is_some();
    child.kill().expect("a child can be killed");
    child.wait().expect("a killed child can be waited for");
    ended
}

/// How far apart the points are: the uncut journey is a little shorter than all of them.
fn step(uncut: Duration) -> Duration {
    uncut.max(Duration::from_millis(2)) / (POINTS - 2)
}

fn timed(call: impl FnOnce()) -> Duration {
    let start = Instant::now();
    call();
    start.elapsed()
}

/// Collects until the host has nothing that it had not before. Once is not always enough: what a process that is
/// just dying still uses belongs to somebody, and is nobody's a moment later.
#[track_caller]
fn expect_clean(home: &Home, before: &Footprint, point: u32) {
    let start = Instant::now();
    loop {
        home.call(["gc"]).success();
        let left = Footprint::of(&home.state()).since(before);
        if left.is_empty() {
            return;
        }
        assert!(start.elapsed() < SOON, "point {point} left {left:#?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn listed(home: &Home, name: &str) -> bool {
    mentions(&home.call(["list", "--json"]).success().json(), name)
}

/// The content of everything that the sandbox `box` keeps, as one checksum.
fn checksum(home: &Home) -> String {
    let script = "cd ~/tree && find . -type f | sort | xargs sha256sum | sha256sum";
    home.exec("box", &["sh", "-c", script]).success().text()
}

/// A kept sandbox with some files in it, stopped.
fn with_files(home: &Home) -> String {
    home.create("box", &[]);
    let fill = "mkdir -p ~/tree/deep; for i in 1 2 3 4 5 6 7 8; do head -c 10000 /dev/urandom > ~/tree/deep/$i; done";
    home.exec("box", &["sh", "-c", fill]).success();
    let sum = checksum(home);
    home.call(["stop", "box"]).success();
    sum
}

#[test]
fn a_run_that_is_cut_anywhere_leaves_nothing() {
    let _alone = alone();
    let home = Home::new();
    let marker = marker();
    let script = format!("echo x > /tmp/x; setsid sleep {marker} & sleep 0.02");
    let arguments = ["run", "--image", "host", "--", "sh", "-c", &script];
    home.call(arguments).success();
    let uncut = timed(|| drop(home.call(arguments).success()));
    home.call(["gc"]).success();
    let before = Footprint::of(&home.state());
    for point in 0..POINTS {
        cut(&home, &arguments, step(uncut) * point);
        wait_until("the sandbox ends with its owner", SOON, || {
            sleepers(&marker).is_empty()
        });
        expect_clean(&home, &before, point);
    }
}

#[test]
fn a_limited_run_that_is_cut_leaves_no_cgroup() {
    let _alone = alone();
    let home = Home::new();
    let arguments = [
        "run", "--image", "host", "--memory", "256m", "--", "sleep", "0.02",
    ];
    if home.call(arguments).status.code() == Some(125) {
        // The host cannot limit memory; that the refusal says so is tested among the limits.
        home.call(arguments).refused("memory");
        return;
    }
    let uncut = timed(|| drop(home.call(arguments).success()));
    home.call(["gc"]).success();
    let before = Footprint::of(&home.state());
    for point in 0..POINTS {
        cut(&home, &arguments, step(uncut) * point);
        expect_clean(&home, &before, point);
    }
}

#[test]
fn a_create_that_is_cut_is_complete_or_nothing() {
    let _alone = alone();
    let home = Home::new();
    let arguments = ["create", "box", "--image", "host"];
    home.remember("box");
    let uncut = timed(|| drop(home.call(arguments).success()));
    home.call(["remove", "-f", "box"]).success();
    home.call(["gc"]).success();
    let before = Footprint::of(&home.state());
    for point in 0..POINTS {
        let ended = cut(&home, &arguments, step(uncut) * point);
        home.call(["gc"]).success();
        let exists = listed(&home, "box");
        assert!(exists || !ended, "point {point}: a sandbox that was made is lost");
        if exists {
            home.exec("box", &["echo", "usable"])
                .success()
                .expect_text("usable\n");
        }
        home.call(["remove", "-f", "box"]).success();
        expect_clean(&home, &before, point);
    }
}

#[test]
fn a_start_that_is_cut_keeps_the_files() {
    sweep_of_kept(&["start", "box"], |home| {
        drop(home.call(["stop", "box"]).success())
    });
}

#[test]
fn a_stop_that_is_cut_keeps_the_files() {
    sweep_of_kept(&["stop", "box"], |home| {
        drop(home.call(["start", "box"]).success())
    });
}

#[test]
fn an_exec_that_is_cut_keeps_the_files() {
    let script = "cat ~/tree/deep/* > /dev/null; sleep 0.02";
    sweep_of_kept(&["exec", "box", "--", "sh", "-c", script], |home| {
        drop(home.call(["start", "box"]).success())
    });
}

/// Cuts the command at every point. `prepare` brings the sandbox into the state in which the command makes sense.
fn sweep_of_kept(arguments: &[&str], prepare: impl Fn(&Home)) {
    let _alone = alone();
    let home = Home::new();
    let sum = with_files(&home);
    home.call(["gc"]).success();
    let before = Footprint::of(&home.state());
    prepare(&home);
    let uncut = timed(|| drop(home.call(arguments).success()));
    for point in 0..POINTS {
        prepare(&home);
        cut(&home, arguments, step(uncut) * point);
        home.call(["gc"]).success();
        assert!(listed(&home, "box"), "point {point}: the sandbox is lost");
        assert_eq!(checksum(&home), sum, "point {point}: its files have changed");
        home.call(["stop", "box"]).success();
        expect_clean(&home, &before, point);
    }
}

#[test]
fn a_copy_that_is_cut_leaves_the_old_file_or_the_new_one() {
    let _alone = alone();
    let home = Home::new();
    let sum = with_files(&home);
    let (old, new) = ("old\n".repeat(1000), "new!\n".repeat(400_000));
    home.write("old", &old);
    home.write("new", &new);
    home.call(["cp", "old", "box:/home/sandbox/target"]).success();
    home.call(["stop", "box"]).success();
    home.call(["gc"]).success();
    let before = Footprint::of(&home.state());
    home.call(["start", "box"]).success();
    let names = |home: &Home| home.exec("box", &["ls", "-A", "/home/sandbox"]).success().text();
    let expected = names(&home);
    let arguments = ["cp", "new", "box:/home/sandbox/target"];
    let uncut = timed(|| drop(home.call(arguments).success()));
    for point in 0..POINTS {
        home.call(["cp", "old", "box:/home/sandbox/target"]).success();
        cut(&home, &arguments, step(uncut) * point);
        let content = home
            .exec("box", &["cat", "/home/sandbox/target"])
            .success()
            .text();
        assert!(
            content == old || content == new,
            "point {point}: {} bytes are neither file",
            content.len()
        );
        assert_eq!(checksum(&home), sum, "point {point}: other files have changed");
        wait_until("the half-written copy is gone", SOON, || names(&home) == expected);
    }
    home.call(["stop", "box"]).success();
    expect_clean(&home, &before, POINTS);
}

#[test]
fn a_remove_that_is_cut_removes_all_or_nothing() {
    let _alone = alone();
    let home = Home::new();
    home.create("box", &[]);
    let uncut = timed(|| drop(home.call(["remove", "-f", "box"]).success()));
    home.call(["gc"]).success();
    let before = Footprint::of(&home.state());
    for point in 0..POINTS {
        let sum = with_files(&home);
        let ended = cut(&home, &["remove", "-f", "box"], step(uncut) * point);
        home.call(["gc"]).success();
        if listed(&home, "box") {
            assert!(!ended, "point {point}: a removed sandbox is still listed");
            assert_eq!(checksum(&home), sum, "point {point}: half of its files are gone");
            home.call(["remove", "-f", "box"]).success();
        }
        expect_clean(&home, &before, point);
    }
}

#[test]
fn the_first_process_may_die_at_any_moment() {
    let _alone = alone();
    let home = Home::new();
    let sum = with_files(&home);
    home.call(["gc"]).success();
    let before = Footprint::of(&home.state());
    for point in 0..POINTS {
        let marker = marker();
        home.call(["start", "box"]).success();
        let witness = home.spawn(["exec", "box", "--", "sleep", &marker]);
        wait_until("the sleeper is there", SOON, || !sleepers(&marker).is_empty());
        let init = init_of(sleepers(&marker)[0]).expect("a sandbox has a first process");
        // Another command is under way, a little further at every point.
        let busy = home.spawn([
            "exec",
            "box",
            "--",
            "sh",
            "-c",
            "cat ~/tree/deep/* | sha256sum; sleep 0.02",
        ]);
        std::thread::sleep(Duration::from_millis(1) * point);
        kill(init, Signal::KILL);
        assert_ne!(
            wait_for(witness, PATIENCE).status.code(),
            Some(0),
            "point {point}"
        );
        wait_for(busy, PATIENCE);
        assert_eq!(checksum(&home), sum, "point {point}: its files have changed");
        home.call(["stop", "box"]).success();
        expect_clean(&home, &before, point);
    }
}
