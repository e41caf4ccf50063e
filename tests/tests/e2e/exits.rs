//! The exit code is the command's own; 124 to 127 and 128+n mean what everybody expects.

use agentkernel_tests::cli::{Home, marker, sleepers, wait_until};
use std::time::Duration;

#[test]
fn the_commands_own_code_comes_back() {
    let home = Home::new();
    for code in [
        0, 1, 2, 3, 42, 64, 100, 123, 124, 125, 126, 127, 128, 129, 130, 137, 143, 200, 254, 255,
    ] {
        home.run(&[], &["sh", "-c", &format!("exit {code}")])
            .expect_code(code);
    }
}

#[test]
fn death_by_a_signal_is_128_and_its_number() {
    let home = Home::new();
    for signal in [1, 2, 3, 6, 9, 10, 11, 12, 13, 14, 15] {
        home.run(&[], &["sh", "-c", &format!("kill -{signal} $$; sleep 5")])
            .expect_code(128 + signal);
    }
}

#[test]
fn a_timeout_is_124_and_kills_everything() {
    let home = Home::new();
    let marker = marker();
    // One child in the command's group, one in a session of its own.
    let script = format!("setsid sleep {marker} & sleep {marker} & sleep {marker}");
    home.run(&["--timeout", "700ms"], &["sh", "-c", &script])
        .expect_code(124);
    wait_until("nothing sleeps any more", Duration::from_secs(10), || {
        sleepers(&marker).is_empty()
    });
}

#[test]
fn a_command_in_time_does_not_feel_its_timeout() {
    Home::new()
        .run(&["--timeout", "60s"], &["sh", "-c", "exit 7"])
        .expect_code(7);
}

#[test]
fn what_cannot_be_executed_is_126() {
    let home = Home::new();
    home.write("plain.sh", "#!/bin/sh\nexit 0\n");
    home.run(&[], &["/usr"]).expect_code(126);
    home.run(
        &["--mount-cwd"],
        &[home.project().join("plain.sh").to_str().expect("UTF-8")],
    )
    .expect_code(126);
}

#[test]
fn what_does_not_exist_is_127_and_is_named() {
    let home = Home::new();
    for program in ["no-such-command", "/no/such/command", "./no-such-command"] {
        let outcome = home.run(&[], &[program]).expect_code(127);
        assert!(outcome.errors().contains(program), "{}", outcome.errors());
        assert_eq!(outcome.text(), "");
    }
}

#[test]
fn exec_has_the_same_codes_as_run() {
    let home = Home::new();
    home.create("box", &[]);
    for code in [0, 1, 42, 125, 255] {
        home.exec("box", &["sh", "-c", &format!("exit {code}")])
            .expect_code(code);
    }
    home.exec("box", &["sh", "-c", "kill -9 $$"]).expect_code(137);
    home.exec("box", &["no-such-command"]).expect_code(127);
    home.exec("box", &["/usr"]).expect_code(126);
}
