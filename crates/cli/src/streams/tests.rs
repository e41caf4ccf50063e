//! A command carried between real descriptors and a sandbox that is made up.

use std::{
    io::{self, Read as _, Write as _},
    os::fd::{AsFd as _, OwnedFd},
    thread,
    time::Duration,
};

use agentkernel_backend::{Input, ProcessInput};
use agentkernel_control::{Error, Output, Process};
use agentkernel_types::{ErrorKind, Exit, Signal};
use bytes::Bytes;
use serde_json::Value;
use tokio::sync::mpsc;

use super::*;
use crate::{
    failure::{Failure, Outcome},
    render::EventSink,
};

type Sandbox = (mpsc::Sender<agentkernel_control::Result<Output>>, ProcessInput);

/// The caller's three descriptors; the far ends are the test's.
struct Caller {
    stdin: OwnedFd,
    stdout: OwnedFd,
    stderr: OwnedFd,
}

struct FarEnds {
    stdin: io::PipeWriter,
    stdout: io::PipeReader,
    stderr: io::PipeReader,
}

fn caller() -> (Caller, FarEnds) {
    let ((stdin, to_stdin), (from_stdout, stdout)) = (io::pipe().unwrap(), io::pipe().unwrap());
    let (from_stderr, stderr) = io::pipe().unwrap();
    (
        Caller {
            stdin: stdin.into(),
            stdout: stdout.into(),
            stderr: stderr.into(),
        },
        FarEnds {
            stdin: to_stdin,
            stdout: from_stdout,
            stderr: from_stderr,
        },
    )
}

/// Carries a command whose side of the stream is `sandbox`, and closes the caller's descriptors at the end.
fn carry<F: Future<Output = ()>>(
    caller: Caller,
    json: bool,
    timeout: Option<Duration>,
    sandbox: impl FnOnce(Sandbox) -> F,
) -> Outcome {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(async {
            let stdio = Stdio {
                stdin: caller.stdin.as_fd(),
                stdout: caller.stdout.as_fd(),
                stderr: caller.stderr.as_fd(),
            };
            let (process, output, input) = Process::channel();
            let connected = Drive {
                stdin: Some(Endpoint::open(stdio.stdin, Direction::Read).unwrap()),
                sink: EventSink::new(stdio, json, false).unwrap(),
                terminal: None,
                signals: Signals::listen().unwrap(),
                timeout,
            };
            let (outcome, ()) = tokio::join!(drive(process.into(), connected), sandbox((output, input)));
            outcome
        })
}

/// What `cat` does.
async fn cat((output, mut input): Sandbox) {
    while let Some(message) = input.recv().await {
        match message {
            Input::Stdin(bytes) => output.send(Ok(Output::Stdout(bytes))).await.unwrap(),
            Input::CloseStdin => break,
            // Tests of signals run in this process, too.
            Input::Signal(_) | Input::Resize(_) => {}
        }
    }
    output.send(Ok(Output::Exit(Exit::SUCCESS))).await.unwrap();
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length)
        .map(|index| (index ^ (index >> 8) ^ (index >> 16)) as u8)
        .collect()
}

#[test]
fn every_byte_of_stdin_comes_out_again() {
    let data = pattern(8 << 20);
    let (
        caller,
        FarEnds {
            mut stdin,
            mut stdout,
            ..
        },
    ) = caller();
    thread::scope(|scope| {
        scope.spawn(|| stdin.write_all(&data).map(|()| drop(stdin)).unwrap());
        let read = scope.spawn(|| {
            let mut all = Vec::new();
            stdout.read_to_end(&mut all).map(|_| all).unwrap()
        });
        assert_eq!(carry(caller, false, None, cat).unwrap(), 0);
        assert!(read.join().unwrap() == data);
    });
}

#[test]
fn stdout_and_stderr_stay_apart_and_the_exit_code_is_the_commands() {
    let (caller, mut far) = caller();
    let code = carry(caller, false, None, |(output, _input)| async move {
        output.send(Ok(Output::Stdout("out".into()))).await.unwrap();
        output.send(Ok(Output::Stderr("err".into()))).await.unwrap();
        output.send(Ok(Output::Exit(Exit::signal(9)))).await.unwrap();
    });
    assert_eq!(code.unwrap(), 137);
    assert_eq!(io::read_to_string(&mut far.stdout).unwrap(), "out");
    assert_eq!(io::read_to_string(&mut far.stderr).unwrap(), "err");
}

#[test]
fn a_reader_that_does_not_read_stops_the_command_and_not_memory() {
    let (
        caller,
        FarEnds {
            stdin: _stdin,
            mut stdout,
            ..
        },
    ) = caller();
    let chunk = Bytes::from(pattern(64 << 10));
    let total = 64;
    let (accepted, probe) = std::sync::mpsc::channel();
    thread::scope(|scope| {
        let reader = scope.spawn(move || {
            // Nothing is read before the command has come to a stand.
            let stuck_after: usize = probe.iter().take_while(|&stands| stands != usize::MAX).count();
            let mut all = Vec::new();
            stdout.read_to_end(&mut all).unwrap();
            (stuck_after, all.len())
        });
        let length = chunk.len();
        let code = carry(caller, false, None, |(output, _input)| async move {
            for _ in 0..total {
                let mut send = std::pin::pin!(output.send(Ok(Output::Stdout(chunk.clone()))));
                match tokio::time::timeout(Duration::from_millis(200), send.as_mut()).await {
                    Ok(sent) => sent.unwrap(),
                    Err(_) => {
                        let _ = accepted.send(usize::MAX);
                        send.await.unwrap();
                    }
                }
                let _ = accepted.send(0);
            }
            output.send(Ok(Output::Exit(Exit::SUCCESS))).await.unwrap();
        });
        assert_eq!(code.unwrap(), 0);
        let (stuck_after, read) = reader.join().unwrap();
        assert_eq!(read, total * length);
        assert!(
            stuck_after <= Process::CHANNEL_DEPTH + 4,
            "{stuck_after} chunks were taken ahead"
        );
    });
}

#[test]
fn a_reader_that_has_gone_ends_the_command_and_gives_141() {
    let (
        caller,
        FarEnds {
            stdin: _stdin,
            stdout,
            ..
        },
    ) = caller();
    drop(stdout);
    let outcome = carry(caller, false, None, |(output, mut input)| async move {
        output.send(Ok(Output::Stdout("x".into()))).await.unwrap();
        loop {
            tokio::select! {
                biased;
                message = input.recv() => if message == Some(Input::Signal(Signal::KILL)) { break },
                sent = output.send(Ok(Output::Stdout("more".into()))) => sent.unwrap(),
            }
        }
        output.send(Ok(Output::Exit(Exit::signal(9)))).await.unwrap();
    });
    let failure = outcome.unwrap_err();
    assert!(matches!(failure, Failure::OutputClosed), "{failure:?}");
    assert_eq!(failure.exit_code(), 141);
}

#[test]
fn a_command_that_does_not_read_its_input_can_end() {
    let (caller, FarEnds { mut stdin, .. }) = caller();
    let writer = thread::spawn(move || while stdin.write_all(&[0; 4096]).is_ok() {});
    let code = carry(caller, false, None, |(output, _input)| async move {
        output.send(Ok(Output::Exit(Exit::code(3)))).await.unwrap();
    });
    assert_eq!(code.unwrap(), 3);
    writer.join().unwrap();
}

#[test]
fn a_command_whose_time_is_up_is_killed_and_gives_124() {
    let (caller, mut far) = caller();
    let code = carry(
        caller,
        false,
        Some(Duration::from_millis(20)),
        |(output, mut input)| async move {
            while input.recv().await != Some(Input::Signal(Signal::KILL)) {}
            output.send(Ok(Output::Exit(Exit::signal(9)))).await.unwrap();
        },
    );
    assert_eq!(code.unwrap(), 124);
    let text = io::read_to_string(&mut far.stderr).unwrap();
    assert_eq!(text, "agentkernel: the command was ended: its time was up\n");
}

#[test]
fn a_command_that_reads_no_input_can_be_killed_though_the_way_to_it_is_full() {
    let (caller, FarEnds { mut stdin, .. }) = caller();
    let writer = thread::spawn(move || while stdin.write_all(&[0; 65536]).is_ok() {});
    let code = carry(
        caller,
        false,
        Some(Duration::from_millis(200)),
        |(output, input)| async move {
            // Takes nothing from the channel, as a backend without credit; sees that the caller has left.
            output.closed().await;
            drop(input);
        },
    );
    assert_eq!(code.unwrap(), 124);
    writer.join().unwrap();
}

#[test]
fn a_signal_to_us_is_a_signal_to_the_command() {
    let (caller, _far) = caller();
    let code = carry(caller, false, None, |(output, mut input)| async move {
        let us = rustix::process::getpid();
        rustix::process::kill_process(us, rustix::process::Signal::USR1).unwrap();
        while input.recv().await != Some(Input::Signal(Signal::USR1)) {}
        output.send(Ok(Output::Exit(Exit::signal(10)))).await.unwrap();
    });
    assert_eq!(code.unwrap(), 138);
}

#[test]
fn an_error_in_the_middle_is_the_outcome() {
    let (caller, _far) = caller();
    let outcome = carry(caller, false, None, |(output, _input)| async move {
        output
            .send(Err(Error::new(ErrorKind::Broken, "exec", "the sandbox is gone")))
            .await
            .unwrap();
    });
    assert_eq!(outcome.unwrap_err().exit_code(), 125);
}

#[test]
fn a_stream_that_ends_without_an_exit_is_an_error() {
    let (caller, _far) = caller();
    assert_eq!(
        carry(caller, false, None, |_| async {}).unwrap_err().exit_code(),
        125
    );
}

#[test]
fn events_are_numbered_lines_and_stderr_stays_empty() {
    let (caller, mut far) = caller();
    let code = carry(caller, true, None, |(output, _input)| async move {
        output.send(Ok(Output::Stdout("a\n".into()))).await.unwrap();
        output
            .send(Ok(Output::Stderr(Bytes::from_static(b"\xff"))))
            .await
            .unwrap();
        output.send(Ok(Output::Exit(Exit::code(4)))).await.unwrap();
    });
    assert_eq!(code.unwrap(), 4);
    let text = io::read_to_string(&mut far.stdout).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let types: Vec<_> = lines.iter().map(|line| line["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["stdout", "stderr", "finished"]);
    for (index, line) in lines.iter().enumerate() {
        assert_eq!(
            (line["schema_version"].as_u64(), line["sequence"].as_u64()),
            (Some(1), Some(index as u64 + 1))
        );
    }
    assert_eq!(io::read_to_string(&mut far.stderr).unwrap(), "");
}
