//! Sandboxes that stay: their files survive, their commands come and go.

use std::time::Duration;

use agentkernel_tests::cli::{
    Home, PATIENCE, find, init_of, kill, marker, mentions, sleepers, wait_for, wait_until,
};
use rustix::process::Signal;

const SOON: Duration = Duration::from_secs(20);

/// What `list` says of the only sandbox.
fn state(home: &Home) -> String {
    let list = home.call(["list", "--json"]).success().json();
    find(&list, "state")
        .and_then(|state| state.as_str())
        .expect("a listed sandbox has a state")
        .to_owned()
}

#[test]
fn files_survive_stop_and_start() {
    let home = Home::new();
    home.create("box", &[]);
    home.exec(
        "box",
        &[
            "sh",
            "-c",
            "echo mine > ~/note; mkdir ~/tool; echo bin > ~/tool/file",
        ],
    )
    .success();
    home.call(["stop", "box"]).success();
    assert_eq!(state(&home), "stopped");
    home.call(["start", "box"]).success();
    assert_eq!(state(&home), "running");
    home.exec("box", &["sh", "-c", "cat ~/note ~/tool/file"])
        .success()
        .expect_text("mine\nbin\n");
}

#[test]
fn exec_starts_a_stopped_sandbox() {
    let home = Home::new();
    home.create("box", &[]);
    home.call(["stop", "box"]).success();
    home.exec("box", &["echo", "awake"])
        .success()
        .expect_text("awake\n");
    assert_eq!(state(&home), "running");
}

#[test]
fn stopping_the_stopped_and_starting_the_running_succeed() {
    let home = Home::new();
    home.create("box", &[]);
    home.call(["start", "box"]).success();
    home.call(["stop", "box"]).success();
    home.call(["stop", "box"]).success();
    home.call(["restart", "box"]).success();
    assert_eq!(state(&home), "running");
}

#[test]
fn stop_asks_the_commands_first() {
    let home = Home::new();
    home.create("box", &[]);
    let script = "trap 'echo asked > ~/asked; exit 0' TERM; : > ~/ready; while :; do sleep 0.05; done";
    home.call(["exec", "-d", "box", "--", "sh", "-c", script])
        .success();
    wait_until("the command is ready", SOON, || {
        home.exec("box", &["test", "-e", "/home/sandbox/ready"])
            .status
            .success()
    });
    home.call(["stop", "box"]).success();
    home.exec("box", &["cat", "/home/sandbox/asked"])
        .success()
        .expect_text("asked\n");
}

#[test]
fn files_survive_the_death_of_the_sandbox() {
    let home = Home::new();
    home.create("box", &[]);
    home.exec("box", &["sh", "-c", "echo kept > ~/note; sync"])
        .success();
    let marker = marker();
    let child = home.spawn(["exec", "box", "--", "sleep", &marker]);
    wait_until("the sleeper is there", SOON, || !sleepers(&marker).is_empty());
    kill(
        init_of(sleepers(&marker)[0]).expect("a sandbox has a first process"),
        Signal::KILL,
    );
    assert_ne!(
        wait_for(child, PATIENCE).status.code(),
        Some(0),
        "its command did not succeed"
    );
    wait_until("the list tells the truth", SOON, || state(&home) == "stopped");
    home.exec("box", &["cat", "/home/sandbox/note"])
        .success()
        .expect_text("kept\n");
}

#[test]
fn a_killed_exec_takes_its_command_and_not_the_sandbox() {
    let home = Home::new();
    home.create("box", &[]);
    let (killed, other) = (marker(), marker());
    let mut child = home.spawn(["exec", "box", "--", "sleep", &killed]);
    let mut witness = home.spawn(["exec", "box", "--", "sleep", &other]);
    wait_until("both sleep", SOON, || {
        !sleepers(&killed).is_empty() && !sleepers(&other).is_empty()
    });
    child.kill().expect("a child can be killed");
    child.wait().expect("a killed child can be waited for");
    wait_until("its command is gone", SOON, || sleepers(&killed).is_empty());
    assert_eq!(sleepers(&other).len(), 1, "another command was hit");
    witness.kill().expect("a child can be killed");
    witness.wait().expect("a killed child can be waited for");
}

#[test]
fn a_detached_command_is_read_later() {
    let home = Home::new();
    home.create("box", &[]);
    let id = home
        .call([
            "exec",
            "-d",
            "box",
            "--",
            "sh",
            "-c",
            "echo out; echo err >&2; exit 3",
        ])
        .success()
        .text()
        .trim()
        .to_owned();
    assert_eq!(id.len(), 8, "exec -d prints the id: {id:?}");
    let exit = || {
        let shown = home.call(["inspect", "box", "--json"]).success().json();
        assert!(mentions(&shown, &id), "{shown}");
        find(&shown, "exit").and_then(|exit| find(exit, "code").and_then(|code| code.as_u64()))
    };
    wait_until("it has ended", SOON, || exit().is_some());
    assert_eq!(exit(), Some(3));
    let logs = home.call(["logs", "box"]).success();
    assert_eq!(
        (logs.text(), logs.errors()),
        ("out\n".to_owned(), "err\n".to_owned())
    );
}

#[test]
fn detached_output_outlives_a_restart() {
    let home = Home::new();
    home.create("box", &[]);
    home.call(["exec", "-d", "box", "--", "echo", "remembered"])
        .success();
    wait_until("it has written", SOON, || {
        home.call(["logs", "box"]).text() == "remembered\n"
    });
    home.call(["restart", "box"]).success();
    home.call(["logs", "box"]).success().expect_text("remembered\n");
}

#[test]
fn followed_logs_end_with_the_command() {
    let home = Home::new();
    home.create("box", &[]);
    let script = "echo one; while [ ! -e ~/go ]; do sleep 0.05; done; echo two";
    home.call(["exec", "-d", "box", "--", "sh", "-c", script])
        .success();
    let follower = home.spawn(["logs", "-f", "box"]);
    home.exec("box", &["sh", "-c", ": > ~/go"]).success();
    wait_for(follower, PATIENCE).success().expect_text("one\ntwo\n");
}

#[test]
fn a_detached_command_is_ended_by_its_id() {
    let home = Home::new();
    home.create("box", &[]);
    let marker = marker();
    let id = home
        .call(["exec", "-d", "box", "--", "sleep", &marker])
        .success()
        .text()
        .trim()
        .to_owned();
    wait_until("the sleeper is there", SOON, || !sleepers(&marker).is_empty());
    assert!(home.call(["exec-list", "box"]).success().text().contains(&id));
    home.call(["exec-kill", "box", &id]).success();
    wait_until("the sleeper is gone", SOON, || sleepers(&marker).is_empty());
    home.call(["exec-kill", "box", "00000000"]).refused("00000000");
}

#[test]
fn an_exec_has_a_timeout_of_its_own() {
    let home = Home::new();
    home.create("box", &[]);
    let marker = marker();
    home.call(["exec", "--timeout", "500ms", "box", "--", "sleep", &marker])
        .expect_code(124);
    wait_until("the sleeper is gone", SOON, || sleepers(&marker).is_empty());
    home.exec("box", &["echo", "still here"])
        .success()
        .expect_text("still here\n");
}

#[test]
fn a_running_sandbox_is_removed_only_by_force() {
    let home = Home::new();
    home.create("box", &[]);
    home.call(["remove", "box"]).refused("box");
    home.call(["remove", "-f", "box"]).success();
    home.call(["exec", "box", "--", "true"]).refused("box");
    home.call(["remove", "box"]).refused("box");
    home.call(["remove", "-f", "box"]).success();
}

#[test]
fn a_stopped_sandbox_is_removed_without_force() {
    let home = Home::new();
    home.create("box", &[]);
    home.call(["stop", "box"]).success();
    home.call(["remove", "box"]).success();
    assert!(!mentions(&home.call(["list", "--json"]).success().json(), "box"));
}

#[test]
fn a_name_is_taken_once_and_free_after_removal() {
    let home = Home::new();
    home.create("box", &[]);
    home.exec("box", &["sh", "-c", "echo old > ~/note"]).success();
    home.call(["create", "box", "--image", "host"]).refused("box");
    home.exec("box", &["cat", "/home/sandbox/note"])
        .success()
        .expect_text("old\n");
    home.call(["remove", "-f", "box"]).success();
    home.create("box", &[]);
    home.exec("box", &["test", "-e", "/home/sandbox/note"])
        .expect_code(1);
}

#[test]
fn a_kept_run_can_be_used_again() {
    let home = Home::new();
    home.remember("later");
    home.run(
        &["--keep", "--name", "later"],
        &["sh", "-c", "echo made > ~/note; exit 4"],
    )
    .expect_code(4);
    home.exec("later", &["cat", "/home/sandbox/note"])
        .success()
        .expect_text("made\n");
}

#[test]
fn twenty_commands_at_once_keep_their_streams_apart() {
    let home = Home::new();
    home.create("box", &[]);
    let children: Vec<_> = (0..20)
        .map(|number| {
            let script = format!("yes {number} | head -n 20000; exit {number}");
            home.spawn(["exec", "box", "--", "sh", "-c", &script])
        })
        .collect();
    for (number, child) in (0..).zip(children) {
        let outcome = wait_for(child, PATIENCE).expect_code(number);
        let line = format!("{number}\n");
        assert!(
            outcome.text() == line.repeat(20_000),
            "command {number} has other bytes than its own"
        );
    }
}

#[test]
fn two_sandboxes_see_nothing_of_each_other() {
    let home = Home::new();
    home.create("one", &[]);
    home.create("two", &[]);
    home.exec(
        "one",
        &["sh", "-c", "echo secret > /tmp/note; echo secret > ~/note"],
    )
    .success();
    home.exec("two", &["sh", "-c", "cat /tmp/note ~/note 2>/dev/null"])
        .expect_code(1)
        .expect_text("");
    let marker = marker();
    let mut child = home.spawn(["exec", "one", "--", "sleep", &marker]);
    wait_until("the sleeper is there", SOON, || !sleepers(&marker).is_empty());
    let script = format!("cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -c 'sleep {marker}$'");
    let seen = home.exec("two", &["sh", "-c", &script]);
    assert_eq!(seen.text().trim(), "0", "a process of another sandbox is visible");
    child.kill().expect("a child can be killed");
    child.wait().expect("a killed child can be waited for");
}

/// Its starter was killed before it could store who the first process is, and that process does not answer: a stop
/// must not forget the sandbox, but say that it goes on.
#[test]
fn a_sandbox_that_does_not_answer_is_not_forgotten() {
    let home = Home::new();
    home.create("box", &[]).success();
    let marker = marker();
    home.call(["exec", "-d", "box", "--", "sleep", &marker]).success();
    wait_until("it sleeps", PATIENCE, || sleepers(&marker).len() == 1);
    let first = init_of(sleepers(&marker)[0]).expect("a sandbox has a first process");
    let record = home.state().join("data/sandboxes/box/record.json");
    let mut stored: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&record).expect("it is there")).expect("it is JSON");
    stored["handle"]["process"] = serde_json::Value::Null;
    std::fs::write(&record, stored.to_string()).expect("it can be written");
    kill(first, Signal::STOP);
    let outcome = home.call(["stop", "-t", "1s", "box"]).expect_code(124);
    assert!(
        outcome.errors().contains("does not answer"),
        "{}",
        outcome.errors()
    );
    assert_eq!(sleepers(&marker).len(), 1, "it was ended after all");
    kill(first, Signal::CONT);
    home.call(["stop", "box"]).success();
    wait_until("nothing is left", PATIENCE, || sleepers(&marker).is_empty());
}
