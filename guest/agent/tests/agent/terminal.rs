//! Commands with a terminal.

use agentkernel_backend::{Input, Output, Process};
use agentkernel_types::{ErrorKind, Signal, TerminalSize};

use crate::support::*;

const SIZE: TerminalSize = TerminalSize {
    rows: 33,
    columns: 77,
};

fn in_terminal(script: &str) -> ExecSpec {
    ExecSpec {
        terminal: Some(SIZE),
        stdin: StdinMode::Piped,
        ..shell(script)
    }
}

/// Reads until the text is there.
async fn expect(process: &mut Process, text: &str) -> String {
    let mut seen = String::new();
    while !seen.contains(text) {
        match process.next().await {
            Some(Ok(Output::Stdout(bytes))) => seen.push_str(&String::from_utf8_lossy(&bytes)),
            other => panic!("{other:?} after {seen:?}"),
        }
    }
    seen
}

async fn type_in(process: &Process, text: &'static str) {
    process.sink().send(Input::Stdin(text.into())).await.unwrap();
}

#[tokio::test]
async fn a_terminal_has_its_size_and_learns_of_a_new_one() {
    let agent = start();
    let script = "tty >/dev/null && stty size; trap 'stty size; exit 6' WINCH; echo ready; while :; do sleep 0.01; done";
    let mut process = agent.exec(in_terminal(script)).await.unwrap();
    assert!(expect(&mut process, "ready").await.contains("33 77"));
    process
        .sink()
        .send(Input::Resize(TerminalSize {
            rows: 50,
            columns: 160,
        }))
        .await
        .unwrap();
    let (stdout, stderr, exit) = process.collect(1 << 20).await.unwrap();
    assert!(String::from_utf8_lossy(&stdout).contains("50 160"));
    assert_eq!((stderr.len(), exit), (0, Exit::code(6)));
}

#[tokio::test]
async fn control_c_interrupts() {
    let agent = start();
    // One process that reads: a shell that is just starting another loses signals.
    let mut process = agent.exec(in_terminal("echo ready; read line")).await.unwrap();
    expect(&mut process, "ready").await;
    type_in(&process, "\x03").await;
    assert_eq!(process.collect(1 << 20).await.unwrap().2, Exit::signal(2));
}

#[tokio::test]
async fn control_z_stops_and_a_signal_continues() {
    let agent = start();
    let mut process = agent
        .exec(in_terminal("echo ready; read line; echo got $line; exit 4"))
        .await
        .unwrap();
    expect(&mut process, "ready").await;
    type_in(&process, "\x1a").await;
    while process.next().await.unwrap().unwrap() != Output::Stopped {}
    process.sink().send(Input::Signal(Signal::CONT)).await.unwrap();
    type_in(&process, "on\n").await;
    expect(&mut process, "got on").await;
    assert_eq!(process.collect(1 << 20).await.unwrap().2, Exit::code(4));
}

#[tokio::test]
async fn a_signal_goes_to_the_foreground_of_the_terminal() {
    let agent = start();
    let mut process = agent.exec(in_terminal("echo ready; read line")).await.unwrap();
    expect(&mut process, "ready").await;
    process.sink().send(Input::Signal(Signal::TERM)).await.unwrap();
    assert_eq!(process.collect(1 << 20).await.unwrap().2, Exit::signal(15));
}

#[tokio::test]
async fn the_end_of_input_is_typed() {
    let agent = start();
    for text in ["whole line\n", "half a line"] {
        let process = agent
            .exec(in_terminal("stty -echo; cat; echo end; exit 2"))
            .await
            .unwrap();
        type_in(&process, text).await;
        process.sink().send(Input::CloseStdin).await.unwrap();
        let (stdout, _, exit) = process.collect(1 << 20).await.unwrap();
        assert!(String::from_utf8_lossy(&stdout).contains("end"), "{stdout:?}");
        assert_eq!(exit, Exit::code(2));
    }
}

#[tokio::test]
async fn every_byte_before_the_end_arrives() {
    let agent = start();
    for _ in 0..20 {
        let process = agent
            .exec(in_terminal("stty -opost; seq 1 20000; exit 11"))
            .await
            .unwrap();
        let (stdout, _, exit) = process.collect(usize::MAX).await.unwrap();
        let expected: String = (1..=20_000).map(|number| format!("{number}\n")).collect();
        assert_eq!(stdout.len(), expected.len());
        assert!(stdout == expected.as_bytes());
        assert_eq!(exit, Exit::code(11));
    }
    eventually("no process stays", || agent.children().is_empty()).await;
}

#[tokio::test]
async fn a_failure_to_start_is_told_as_without_a_terminal() {
    let agent = start();
    let spec = ExecSpec {
        terminal: Some(SIZE),
        ..spec(&["no-such-program"])
    };
    assert_eq!(
        agent.exec(spec).await.unwrap_err().kind(),
        ErrorKind::CommandNotFound
    );
    eventually("no process stays", || agent.children().is_empty()).await;
}

#[tokio::test]
async fn a_dropped_terminal_command_is_killed_with_its_jobs() {
    let agent = start();
    let script = "echo $$; sleep 1000 & echo $!; trap '' HUP INT; sleep 1000";
    let mut process = agent.exec(in_terminal(script)).await.unwrap();
    let mut text = String::new();
    while text.matches('\n').count() < 2 {
        text.push_str(&expect(&mut process, "\n").await);
    }
    let pids: Vec<u32> = text.lines().map(|line| line.trim().parse().unwrap()).collect();
    drop(process);
    eventually("all are killed", || pids.iter().all(|&pid| is_dead(pid))).await;
    eventually("no process stays", || agent.children().is_empty()).await;
}

#[tokio::test]
async fn a_leader_that_is_killed_ends_its_command() {
    let agent = start();
    let mut process = agent.exec(in_terminal("echo $PPID; sleep 1000")).await.unwrap();
    let leader: i32 = expect(&mut process, "\n").await.trim().parse().unwrap();
    // SAFETY: plain numbers; the process is a child of our own agent.
    unsafe { libc::kill(leader, libc::SIGKILL) };
    assert_eq!(process.collect(1 << 20).await.unwrap().2, Exit::signal(9));
    eventually("no process stays", || agent.children().is_empty()).await;
}
