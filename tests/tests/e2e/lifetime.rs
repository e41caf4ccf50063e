//! A run lives exactly as long as its owner wants it to.

use std::{
    io::{BufRead, BufReader},
    process::Child,
    time::Duration,
};

use agentkernel_tests::cli::{
    Home, PATIENCE, init_of, kill, marker, process_mentions, sleepers, wait_for, wait_until,
};
use rustix::process::Signal;

const SOON: Duration = Duration::from_secs(20);

/// Starts a run and waits for its first line.
fn start(home: &Home, script: &str) -> (Child, BufReader<std::process::ChildStdout>) {
    let mut child = home.spawn(["run", "--image", "host", "--", "sh", "-c", script]);
    let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    stdout.read_line(&mut line).expect("a pipe can be read");
    assert_eq!(line, "ready\n");
    (child, stdout)
}

#[test]
fn signals_reach_the_command() {
    let home = Home::new();
    for (signal, name) in [
        (Signal::TERM, "TERM"),
        (Signal::INT, "INT"),
        (Signal::HUP, "HUP"),
        (Signal::USR1, "USR1"),
    ] {
        let script =
            format!("trap 'echo got {name}; exit 7' {name}; echo ready; while :; do sleep 0.05; done");
        let (child, mut stdout) = start(&home, &script);
        kill(child.id() as i32, signal);
        let mut line = String::new();
        stdout.read_line(&mut line).expect("a pipe can be read");
        assert_eq!(line, format!("got {name}\n"));
        wait_for(child, PATIENCE).expect_code(7);
    }
}

#[test]
fn a_command_that_does_not_handle_a_signal_dies_of_it() {
    let home = Home::new();
    let marker = marker();
    let (child, _stdout) = start(&home, &format!("echo ready; exec sleep {marker}"));
    kill(child.id() as i32, Signal::TERM);
    wait_for(child, PATIENCE).expect_code(128 + 15);
    wait_until("the sleeper is gone", SOON, || sleepers(&marker).is_empty());
}

#[test]
fn nothing_outlives_a_killed_cli() {
    let home = Home::new();
    let marker = marker();
    let script = format!("setsid sleep {marker} & (sleep {marker} &) ; echo ready; sleep {marker}");
    let (mut child, _stdout) = start(&home, &script);
    wait_until("all three sleep", SOON, || sleepers(&marker).len() == 3);
    child.kill().expect("a child can be killed");
    child.wait().expect("a killed child can be waited for");
    wait_until("nothing is left", SOON, || process_mentions(&marker).is_empty());
}

/// The first process hears nothing any more, as if it hung: the kernel itself ends it with its owner.
#[test]
fn a_hung_first_process_does_not_outlive_a_killed_cli() {
    let home = Home::new();
    let marker = marker();
    let (mut child, _stdout) = start(&home, &format!("echo ready; sleep {marker}"));
    wait_until("it sleeps", SOON, || sleepers(&marker).len() == 1);
    let first = init_of(sleepers(&marker)[0]).expect("a sandbox has a first process");
    kill(first, Signal::STOP);
    child.kill().expect("a child can be killed");
    child.wait().expect("a killed child can be waited for");
    wait_until("nothing is left", SOON, || process_mentions(&marker).is_empty());
}

#[test]
fn background_processes_end_with_the_command() {
    let home = Home::new();
    let marker = marker();
    let script = format!("sleep {marker} & setsid sleep {marker} & echo done");
    home.run(&[], &["sh", "-c", &script])
        .success()
        .expect_text("done\n");
    wait_until("the children are gone", SOON, || sleepers(&marker).is_empty());
}

#[test]
fn the_death_of_the_first_process_ends_the_run() {
    let home = Home::new();
    let marker = marker();
    let (child, _stdout) = start(&home, &format!("echo ready; sleep {marker}"));
    wait_until("the sleeper is there", SOON, || !sleepers(&marker).is_empty());
    let init = init_of(sleepers(&marker)[0]).expect("a sandbox has a first process");
    kill(init, Signal::KILL);
    let outcome = wait_for(child, PATIENCE);
    assert_ne!(
        outcome.status.code(),
        Some(0),
        "a sandbox that died is no success"
    );
    wait_until("nothing is left", SOON, || process_mentions(&marker).is_empty());
}

#[test]
fn eight_runs_at_once_do_not_disturb_each_other() {
    let home = Home::new();
    let children: Vec<Child> = (0..8)
        .map(|number| {
            let script = format!("echo {number} > /tmp/mine; sleep 0.1; cat /tmp/mine; exit {number}");
            home.spawn(["run", "--image", "host", "--", "sh", "-c", &script])
        })
        .collect();
    for (number, child) in (0..).zip(children) {
        wait_for(child, PATIENCE)
            .expect_code(number)
            .expect_text(&format!("{number}\n"));
    }
}

#[test]
fn runs_leave_nothing_in_the_state_folder() {
    let home = Home::new();
    home.run(&[], &["true"]).success();
    let before = agentkernel_tests::cli::Footprint::of(&home.state()).files;
    for _ in 0..5 {
        home.run(&[], &["sh", "-c", "echo x > /tmp/x; exit 0"]).success();
    }
    assert_eq!(agentkernel_tests::cli::Footprint::of(&home.state()).files, before);
}
