//! Ten thousand commands in one sandbox, eight at a time: every code and byte right, and nothing accumulates.
//!
//! `AGENTKERNEL_TEST_EXECS` sets another number.

use std::{fs, thread, time::Duration};

use agentkernel_tests::cli::{
    Home, PATIENCE, init_of, marker, parent_of, processes_with, sleepers, wait_for, wait_until,
};

const WORKERS: usize = 8;
/// Bytes. Less than any record of a command. Not zero: the heap is as large as its busiest moment asked for, and that
/// may come late (up to 300 KiB in all were seen; three times as many commands need no more).
const LEFT_BY_A_COMMAND: u64 = 64;
const SOON: Duration = Duration::from_secs(20);

#[test]
fn ten_thousand_commands_leave_no_trace_in_the_first_process() {
    let total = std::env::var("AGENTKERNEL_TEST_EXECS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(10_000);
    let home = Home::new();
    home.create("box", &[]);
    let init = first_process(&home);
    // Memory and descriptors settle with the first commands.
    exec_many(&home, 500);
    let before = Usage::of(init);
    exec_many(&home, total);
    wait_until("no command and no zombie is left", SOON, || {
        children_of(init).is_empty()
    });
    wait_until("the descriptors of the last commands are closed", SOON, || {
        Usage::of(init).descriptors <= before.descriptors
    });
    let after = Usage::of(init);
    let allowed = (total as u64 * LEFT_BY_A_COMMAND).div_ceil(1024);
    assert!(
        after.private_kibibytes <= before.private_kibibytes + allowed,
        "the first process has grown: {before:?}, {after:?}"
    );
}

fn exec_many(home: &Home, total: usize) {
    // A home is not shared between threads; what a worker needs of it is.
    let commands: Vec<Vec<std::process::Command>> = (0..WORKERS)
        .map(|worker| {
            (worker..total)
                .step_by(WORKERS)
                .map(|number| numbered(home, number))
                .collect()
        })
        .collect();
    thread::scope(|scope| {
        for (worker, commands) in commands.into_iter().enumerate() {
            scope.spawn(move || {
                for (index, mut command) in commands.into_iter().enumerate() {
                    let number = worker + index * WORKERS;
                    let child = command.spawn().expect("the binary can be started");
                    let outcome = wait_for(child, PATIENCE);
                    assert_eq!(
                        outcome.status.code(),
                        Some(code_of(number)),
                        "{number}: {}",
                        outcome.errors()
                    );
                    assert_eq!(outcome.text(), format!("out {number}\n"));
                    assert_eq!(outcome.errors(), format!("err {number}\n"));
                }
            });
        }
    });
}

fn numbered(home: &Home, number: usize) -> std::process::Command {
    let script = format!(
        "echo out {number}; echo err {number} >&2; exit {}",
        code_of(number)
    );
    home.command(["exec", "box", "--", "sh", "-c", &script])
}

/// 0 to 123: codes that can only be the command's own.
fn code_of(number: usize) -> i32 {
    (number % 124) as i32
}

fn first_process(home: &Home) -> i32 {
    let marker = marker();
    let mut child = home.spawn(["exec", "box", "--", "sleep", &marker]);
    wait_until("the sleeper is there", SOON, || !sleepers(&marker).is_empty());
    let init = init_of(sleepers(&marker)[0]).expect("a sandbox has a first process");
    child.kill().expect("a child can be killed");
    child.wait().expect("a killed child can be waited for");
    init
}

/// Living children and zombies.
fn children_of(init: i32) -> Vec<i32> {
    processes_with(|_| true)
        .into_iter()
        .filter(|pid| parent_of(*pid) == Some(init))
        .collect()
}

#[derive(Debug)]
struct Usage {
    /// None where the first process cannot be looked at: it is not dumpable, so only root can.
    descriptors: Option<usize>,
    private_kibibytes: u64,
}

impl Usage {
    fn of(pid: i32) -> Self {
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
        let private = rollup
            .lines()
            .filter(|line| line.starts_with("Private_"))
            .filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok())
            .sum();
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).ok().map(Iterator::count);
        Self {
            descriptors,
            private_kibibytes: private,
        }
    }
}
