//! Peers that do not keep to the protocol, on both sides.

use std::{io::Write, os::unix::net::UnixStream as StdStream, time::Duration};

use agentkernel_agent_client::AgentConnection;
use agentkernel_backend::Output;
use agentkernel_protocol::{ExecRequest, FileRequest, Hello, MAX_FRAME, ToGuest, ToHost, WINDOW, encode};
use agentkernel_types::ErrorKind;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};

use crate::support::*;

fn hello() -> Vec<u8> {
    frame(0, &ToGuest::Hello(Hello::new("test")))
}

fn stranger(agent: &Agent) -> StdStream {
    let socket = StdStream::connect(agent.socket()).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    socket
}

fn cat() -> ToGuest {
    ToGuest::Exec(ExecRequest {
        argv: vec![b"sleep".to_vec().into(), b"1000".to_vec().into()],
        piped_stdin: true,
        ..ExecRequest::default()
    })
}

/// All of it; the agent must then close the connection.
fn say(socket: &mut StdStream, bytes: &[u8]) -> Vec<(u32, ToHost)> {
    // The agent may close before it has read all.
    let _ = socket.write_all(bytes);
    read_until(socket, |_, _| false)
}

#[tokio::test]
async fn a_peer_that_breaks_the_protocol_is_closed_and_the_others_go_on() {
    let agent = start();
    let mut held = agent.exec(spec(&["sleep", "1000"])).await.unwrap();
    let oversized = ((MAX_FRAME + 1) as u32).to_le_bytes().to_vec();
    let oversized_data = frame(7, &ToGuest::Stdin(vec![0; 1 << 19].into()));
    let with = |rest: &[Vec<u8>]| [vec![hello()], rest.to_vec()].concat().concat();
    let floods: Vec<Vec<u8>> = (0..8).map(|_| oversized_data.clone()).collect();
    let write = ToGuest::File(FileRequest::Write {
        path: b"/tmp/never".to_vec().into(),
        mode: 0o600,
        modified: None,
    });
    let cases: [(&str, Vec<u8>); 12] = [
        ("garbage", vec![0xff; 4096]),
        ("zeros", vec![0; 4096]),
        ("an oversized length", oversized.clone()),
        ("an oversized length after the greeting", with(&[oversized])),
        ("no greeting", frame(0, &ToGuest::Ping)),
        (
            "a foreign greeting",
            frame(
                0,
                &ToGuest::Hello(Hello {
                    magic: 1,
                    ..Hello::new("x")
                }),
            ),
        ),
        (
            "a greeting of the future",
            frame(
                0,
                &ToGuest::Hello(Hello {
                    oldest: 99,
                    newest: 99,
                    ..Hello::new("x")
                }),
            ),
        ),
        ("a second greeting", with(&[hello()])),
        ("a boot by a stranger", with(&[frame(0, &ToGuest::Boot(boot()))])),
        (
            "more input than granted",
            with(&[vec![frame(7, &cat())], floods].concat()),
        ),
        (
            "a stream opened twice",
            with(&[frame(7, &cat()), frame(7, &cat())]),
        ),
        (
            "input for a file",
            with(&[frame(7, &write), frame(7, &ToGuest::Stdin(vec![1].into()))]),
        ),
    ];
    for (name, bytes) in cases {
        let mut socket = stranger(&agent);
        let answers = say(&mut socket, &bytes);
        assert!(
            matches!(answers.first(), Some((0, ToHost::Hello(_)))),
            "{name}: {answers:?}"
        );
        assert!(
            matches!(answers.last(), Some((0, ToHost::Failed { .. }))),
            "{name}: {answers:?}"
        );
        assert_eq!(agent.run(&["echo", "on"]).await.0, b"on\n", "{name}");
    }
    held.sink()
        .send(agentkernel_backend::Input::Signal(
            agentkernel_types::Signal::TERM,
        ))
        .await
        .unwrap();
    assert_eq!(
        held.next().await.unwrap().unwrap(),
        Output::Exit(Exit::signal(15))
    );
    eventually("no process stays", || agent.children().is_empty()).await;
    assert!(!std::path::Path::new("/tmp/never").exists());
}

#[tokio::test]
async fn a_frame_may_come_byte_by_byte() {
    let agent = start();
    agent.connection.ready(&cx()).await.unwrap();
    let mut socket = stranger(&agent);
    for byte in [hello(), frame(5, &ToGuest::Ping)].concat() {
        socket.write_all(&[byte]).unwrap();
    }
    let answers = read_until(&mut socket, |_, message| *message == ToHost::Pong);
    assert_eq!(answers.last(), Some(&(5, ToHost::Pong)));
}

#[tokio::test]
async fn half_open_peers_and_those_that_never_read_cost_nothing() {
    let agent = start();
    agent.connection.ready(&cx()).await.unwrap();
    let silent: Vec<StdStream> = (0..20).map(|_| stranger(&agent)).collect();
    let deaf: Vec<StdStream> = (0..4).map(|_| stranger(&agent)).collect();
    for mut socket in &deaf {
        socket.set_nonblocking(true).unwrap();
        socket.write_all(&hello()).unwrap();
        let pings = frame(3, &ToGuest::Ping).repeat(1 << 12);
        // Until the agent takes no more.
        for _ in 0..1000 {
            match socket.write(&pings) {
                Ok(length) if length == pings.len() => {}
                _ => break,
            }
        }
    }
    for _ in 0..20 {
        assert_eq!(agent.run(&["echo", "x"]).await.0, b"x\n");
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", agent.pid())).unwrap();
    let resident = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    let kilobytes: u64 = resident.split_whitespace().next().unwrap().parse().unwrap();
    assert!(kilobytes < 24 << 10, "{kilobytes} KiB");
    drop((silent, deaf));
    eventually("they are forgotten", || agent.descriptors() < 16).await;
}

#[tokio::test]
async fn connections_beyond_the_limit_are_refused_with_a_reason() {
    let agent = start();
    agent.connection.ready(&cx()).await.unwrap();
    let held: Vec<StdStream> = (1..agentkernel_protocol::MAX_CONNECTIONS)
        .map(|_| {
            let mut socket = stranger(&agent);
            socket.write_all(&hello()).unwrap();
            socket
        })
        .collect();
    let answers = read_until(&mut stranger(&agent), |_, _| false);
    assert!(
        matches!(answers.last(), Some((0, ToHost::Failed { message, .. })) if message.contains("connections")),
        "{answers:?}"
    );
    drop(held);
    assert_eq!(agent.run(&["echo", "x"]).await.0, b"x\n");
}

/// The client's side of a connection whose agent is played by the test: it greets, waits for a command, says
/// that it runs and then `rest`.
async fn false_agent(
    rest: Vec<u8>,
) -> (
    AgentConnection,
    agentkernel_backend::Result<agentkernel_backend::Process>,
) {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let connection = AgentConnection::open(ours);
    let agent = tokio::spawn(async move {
        let mut bytes = Vec::new();
        encode(0, &ToHost::Hello(Hello::new("false")), &mut bytes).unwrap();
        encode(1, &ToHost::Started { pid: 9 }, &mut bytes).unwrap();
        bytes.extend(rest);
        let _ = theirs.write_all(&bytes).await;
        let mut sink = Vec::new();
        let _ = theirs.read_to_end(&mut sink).await;
    });
    let process = connection.exec(&cx(), spec(&["x"])).await;
    // A client that cuts the connection lets the agent's task end.
    drop(agent);
    (connection, process)
}

fn stdout(length: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(1, &ToHost::Stdout(vec![b'x'; length].into()), &mut bytes).unwrap();
    bytes
}

#[tokio::test]
async fn an_agent_that_sends_more_than_granted_is_cut_off() {
    // What the reader's channel holds has been granted anew.
    let most = WINDOW as usize + (agentkernel_backend::Process::CHANNEL_DEPTH + 1) * (64 << 10);
    let (connection, process) = false_agent(stdout(64 << 10).repeat(64)).await;
    connection.closed().await;
    // Started came in the same piece as the violation, so either is told; never more than the window.
    if let Ok(process) = process {
        let (stdout, _, exit) = process.collect(usize::MAX).await.unwrap();
        assert!(stdout.len() <= most, "{}", stdout.len());
        assert_eq!(exit, Exit::signal(9).with_cause(ExitCause::SandboxStopped));
    }
    assert_eq!(
        connection.ping(&cx()).await.unwrap_err().kind(),
        ErrorKind::Broken
    );
}

#[tokio::test]
async fn an_agent_that_talks_nonsense_is_cut_off() {
    let message = |stream, message: &ToHost| {
        let mut bytes = Vec::new();
        encode(stream, message, &mut bytes).unwrap();
        bytes
    };
    for (name, bytes) in [
        ("garbage", vec![0xff; 64]),
        ("an oversized length", u32::MAX.to_le_bytes().to_vec()),
        ("an unknown stream", message(77, &ToHost::Pong)),
        ("an answer to another question", message(1, &ToHost::Pong)),
        (
            "a second greeting",
            message(0, &ToHost::Hello(Hello::new("again"))),
        ),
        ("a boot that nobody asked for", message(0, &ToHost::Booted)),
    ] {
        let (connection, _process) = false_agent(bytes).await;
        connection.closed().await;
        let error = connection.stats(&cx()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Broken, "{name}");
    }
}

#[tokio::test]
async fn an_agent_that_says_nothing_meets_the_deadline() {
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let connection = AgentConnection::open(ours);
    let context = agentkernel_backend::Context::within(Duration::from_millis(50));
    assert_eq!(
        connection.ready(&context).await.unwrap_err().kind(),
        ErrorKind::TimedOut
    );
    assert_eq!(
        connection.exec(&context, spec(&["x"])).await.unwrap_err().kind(),
        ErrorKind::TimedOut
    );
}
