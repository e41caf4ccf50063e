//! Commands with pipes.

use agentkernel_backend::{Input, Output};
use agentkernel_types::{EnvVar, ErrorKind, GuestPath, Signal};
use bytes::Bytes;

use crate::support::*;

#[tokio::test]
async fn the_first_command_runs_with_the_greeting() {
    let agent = start();
    let (stdout, stderr, exit) = agent.shell("echo out; echo err >&2; exit 7").await;
    assert_eq!(
        (&stdout[..], &stderr[..], exit),
        (&b"out\n"[..], &b"err\n"[..], Exit::code(7))
    );
}

#[tokio::test]
async fn every_exit_code_is_exact() {
    let agent = start();
    for code in 0..=255 {
        let (_, _, exit) = agent.shell(&format!("exit {code}")).await;
        assert_eq!(exit, Exit::code(code));
    }
}

#[tokio::test]
async fn death_by_a_signal_is_told_as_such() {
    let agent = start();
    for signal in [1, 2, 9, 13, 15, 31, 34, 64] {
        let (_, _, exit) = agent.shell(&format!("kill -{signal} $$; sleep 60")).await;
        assert_eq!(exit, Exit::signal(signal));
    }
}

#[tokio::test]
async fn sixty_four_mebibytes_come_back_as_they_went() {
    let agent = start();
    let mut cat = agent
        .exec(ExecSpec {
            stdin: StdinMode::Piped,
            ..spec(&["cat"])
        })
        .await
        .unwrap();
    let sink = cat.sink();
    const TOTAL: usize = 64 << 20;
    let sender = tokio::spawn(async move {
        let mut sent = 0;
        while sent < TOTAL {
            // Sizes that fit nothing.
            let length = (sent % 100_003 + 1).min(TOTAL - sent);
            sink.send(Input::Stdin((sent..sent + length).map(pattern).collect()))
                .await
                .unwrap();
            sent += length;
        }
        sink.send(Input::CloseStdin).await.unwrap();
    });
    let (mut received, mut exit) = (0, None);
    while let Some(item) = cat.next().await {
        match item.unwrap() {
            Output::Stdout(bytes) => {
                assert!(
                    bytes
                        .iter()
                        .enumerate()
                        .all(|(offset, &byte)| byte == pattern(received + offset))
                );
                received += bytes.len();
            }
            Output::Exit(code) => exit = Some(code),
            other => panic!("{other:?}"),
        }
    }
    sender.await.unwrap();
    assert_eq!((received, exit), (TOTAL, Some(Exit::SUCCESS)));
}

/// A byte that differs from its neighbours, also a chunk or a page away.
fn pattern(position: usize) -> u8 {
    (position.wrapping_mul(2_654_435_761) >> 13) as u8
}
