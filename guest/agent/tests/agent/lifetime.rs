//! The beginning and the end of an agent; detached commands.

use std::time::Duration;

use agentkernel_agent_client::AgentConnection;
use agentkernel_backend::Output;
use agentkernel_types::{ErrorKind, ExecId};

use crate::support::*;

fn detached(id: &str, script: &str) -> ExecSpec {
    ExecSpec {
        detach: Some(id.parse().unwrap()),
        ..shell(script)
    }
}

#[tokio::test]
async fn an_agent_ends_with_its_owner_and_takes_its_processes_along() {
    let mut agent = start();
    let mut process = agent
        .exec(shell("setsid sleep 1000 & echo $!; trap '' TERM HUP; sleep 1000"))
        .await
        .unwrap();
    let Some(Ok(Output::Stdout(line))) = process.next().await else {
        panic!("no output")
    };
    let pid: u32 = String::from_utf8_lossy(&line).trim().parse().unwrap();
    agent.leave();
    eventually("the agent ends", || agent.process.try_wait().unwrap().is_some()).await;
    eventually("its process ends", || is_dead(pid)).await;
}

#[tokio::test]
async fn an_agent_that_is_not_tied_goes_on_without_its_owner() {
    let mut agent = start_with(agentkernel_agent_client::Boot {
        tied_to_owner: false,
        ..boot()
    });
    agent.connection.ready(&cx()).await.unwrap();
    agent.leave();
    agent.connection.closed().await;
    agent.connection = AgentConnection::open(tokio::net::UnixStream::connect(agent.socket()).await.unwrap());
    assert_eq!(agent.run(&["echo", "still"]).await.0, b"still\n");
    assert!(agent.process.try_wait().unwrap().is_none());
    agent
        .connection
        .shutdown(&cx(), Duration::from_secs(5))
        .await
        .unwrap();
    eventually("the agent ends", || agent.process.try_wait().unwrap().is_some()).await;
}

#[tokio::test]
async fn shutdown_asks_first_and_kills_after_the_grace() {
    let mut agent = start();
    let mut polite = agent
        .exec(shell(
            "trap 'echo bye; exit 5' TERM; echo up; while :; do sleep 0.01; done",
        ))
        .await
        .unwrap();
    let mut stubborn = agent
        .exec(shell("trap '' TERM; echo up; while :; do sleep 0.01; done"))
        .await
        .unwrap();
    for process in [&mut polite, &mut stubborn] {
        assert_eq!(
            process.next().await.unwrap().unwrap(),
            Output::Stdout("up\n".into())
        );
    }
    agent
        .connection
        .shutdown(&cx(), Duration::from_millis(300))
        .await
        .unwrap();
    let (stdout, _, exit) = polite.collect(100).await.unwrap();
    let stopped = Exit::code(5).with_cause(ExitCause::SandboxStopped);
    assert_eq!((&stdout[..], exit), (&b"bye\n"[..], stopped));
    assert_eq!(
        stubborn.collect(100).await.unwrap().2.status,
        Exit::signal(9).status
    );
    eventually("the agent ends", || agent.process.try_wait().unwrap().is_some()).await;
    assert_eq!(agent.process.wait().unwrap().code(), Some(0));
}

#[tokio::test]
async fn a_detached_command_outlives_its_connection_and_leaves_its_output_and_exit() {
    let agent = start();
    agent.connection.ready(&cx()).await.unwrap();
    let other = AgentConnection::open(tokio::net::UnixStream::connect(agent.socket()).await.unwrap());
    let script = "sleep 0.2; echo out; echo err >&2; exit 9";
    let process = other.exec(&cx(), detached("00c0ffee", script)).await.unwrap();
    assert_eq!(
        agent.connection.list_detached(&cx()).await.unwrap(),
        ["00c0ffee".parse::<ExecId>().unwrap()]
    );
    drop((process, other));
    eventually("its exit is written", || agent.log("00c0ffee.exit").exists()).await;
    let read = |name| std::fs::read_to_string(agent.log(name)).unwrap();
    assert_eq!(read("00c0ffee.exit"), "code 9");
    assert_eq!(
        (read("00c0ffee.stdout"), read("00c0ffee.stderr")),
        ("out\n".to_owned(), "err\n".to_owned())
    );
    assert!(agent.connection.list_detached(&cx()).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_detached_command_can_be_killed_by_its_id() {
    let agent = start();
    agent
        .exec(detached("12345678", "sleep 1000 & wait"))
        .await
        .unwrap();
    agent
        .connection
        .kill_detached(&cx(), &"12345678".parse().unwrap())
        .await
        .unwrap();
    eventually("its exit is written", || agent.log("12345678.exit").exists()).await;
    assert_eq!(
        std::fs::read_to_string(agent.log("12345678.exit")).unwrap(),
        "signal 9"
    );
    let error = agent
        .connection
        .kill_detached(&cx(), &"12345678".parse().unwrap())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    // The id is taken for good: its logs are there.
    let error = agent.exec(detached("12345678", "true")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
}

#[tokio::test]
async fn a_detached_command_that_never_starts_leaves_no_log() {
    let agent = start();
    let spec = ExecSpec {
        detach: Some("00000001".parse().unwrap()),
        ..spec(&["no-such-program"])
    };
    assert_eq!(
        agent.exec(spec).await.unwrap_err().kind(),
        ErrorKind::CommandNotFound
    );
    assert!(!agent.log("00000001.stdout").exists());
}

#[tokio::test]
async fn the_log_of_a_detached_command_is_bounded_and_the_command_goes_on() {
    let agent = start();
    let script = "head -c 20000000 /dev/zero; echo done >&2";
    agent.exec(detached("0000000b", script)).await.unwrap();
    eventually("its exit is written", || agent.log("0000000b.exit").exists()).await;
    let log = std::fs::read(agent.log("0000000b.stdout")).unwrap();
    let marker = b"\n[agentkernel: output beyond 16 MiB was dropped]\n";
    assert_eq!(log.len(), (16 << 20) + marker.len());
    assert!(log.ends_with(marker));
    assert_eq!(std::fs::read(agent.log("0000000b.stderr")).unwrap(), b"done\n");
}

#[tokio::test]
async fn the_agent_cannot_be_looked_into() {
    let agent = start();
    agent.connection.ping(&cx()).await.unwrap();
    let owner = std::os::unix::fs::MetadataExt::uid(
        &std::fs::metadata(format!("/proc/{}/mem", agent.pid())).unwrap(),
    );
    // Not dumpable: the files of the process belong to root, whoever runs it.
    assert_eq!(owner, 0);
    let stats = agent.connection.stats(&cx()).await.unwrap();
    assert_eq!((stats.processes, stats.streams), (0, 0));
}
