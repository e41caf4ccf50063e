//! Every byte, in order, in both directions.

use agentkernel_backend::{Input, Output, Process, Sandbox};
use agentkernel_types::{Exit, StdinMode};
use bytes::Bytes;
use std::{sync::Arc, time::Duration};

use super::always;
use crate::{
    Failure, Outcome, Program, Scene, Verdict,
    scene::{check, collect, equal},
};

list! {
    always => stdout_and_stderr_are_separate,
    always => each_stream_keeps_its_order,
    always => all_bytes_pass_unchanged,
    always => eight_mebibytes_come_out,
    always => eight_mebibytes_go_in,
    always => eight_mebibytes_go_in_and_come_back,
    always => closing_stdin_ends_cat,
    always => stdin_without_a_sender_is_empty,
    always => an_answer_arrives_before_the_command_ends,
    always => output_at_the_very_end_is_not_lost,
    always => a_slow_reader_gets_everything,
    always => a_command_that_does_not_read_its_stdin_ends_all_the_same,
    always => thirty_two_commands_at_once_keep_their_streams_apart,
    always => the_exit_is_the_last_item,
}

const MUCH: usize = 8 << 20;

fn say(stdout: &str, stderr: &str) -> Program {
    Program::Say {
        stdout: stdout.to_owned(),
        stderr: stderr.to_owned(),
        code: 0,
    }
}

async fn piped(scene: &Scene, sandbox: &Arc<dyn Sandbox>, program: &Program) -> Verdict<Process> {
    let mut spec = scene.exec_spec(program);
    spec.stdin = StdinMode::Piped;
    Ok(sandbox.exec(&scene.cx, spec).await?)
}

/// Gives `input` to the program while its output is read, then closes its stdin.
async fn feed(
    scene: &Scene,
    sandbox: &Arc<dyn Sandbox>,
    program: &Program,
    input: Bytes,
) -> Verdict<Outcome> {
    let process = piped(scene, sandbox, program).await?;
    let sink = process.sink();
    let send = async move {
        for start in (0..input.len()).step_by(40_000) {
            let chunk = input.slice(start..input.len().min(start + 40_000));
            sink.send(Input::Stdin(chunk)).await?;
        }
        sink.send(Input::CloseStdin).await
    };
    let (sent, outcome) = tokio::join!(send, collect(process));
    sent?;
    outcome
}

async fn stdout_and_stderr_are_separate(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    let outcome = scene.outcome(&sandbox, &say("to out", "to err")).await?;
    equal(outcome.stdout, b"to out".to_vec(), "stdout")?;
    equal(outcome.stderr, b"to err".to_vec(), "stderr")
}

async fn each_stream_keeps_its_order(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    let outcome = scene.outcome(&sandbox, &Program::Alternate(500)).await?;
    let lines = |letter| {
        (1..=500)
            .map(|line| format!("{letter}{line}\n"))
            .collect::<String>()
            .into_bytes()
    };
    equal(outcome.stdout, lines('o'), "stdout")?;
    equal(outcome.stderr, lines('e'), "stderr")
}

async fn all_bytes_pass_unchanged(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    let bytes: Vec<u8> = (0..=255)
        .chain((0..=255).rev())
        .chain([0, 0, 10, 13, 4, 3, 26])
        .collect();
    let outcome = feed(scene, &sandbox, &Program::Cat, bytes.clone().into()).await?;
    equal(outcome.stdout, bytes, "what cat gave back")
}

async fn eight_mebibytes_come_out(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    let outcome = scene
        .outcome(&sandbox, &Program::Emit { bytes: MUCH, code: 0 })
        .await?;
    equal(outcome.stdout.len(), MUCH, "bytes of stdout")?;
    check(
        outcome.stdout == Program::pattern(MUCH),
        "the bytes are not those that were written",
    )
}

async fn eight_mebibytes_go_in(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    let outcome = feed(scene, &sandbox, &Program::Count, Program::pattern(MUCH).into()).await?;
    equal(
        outcome.text().trim().to_owned(),
        MUCH.to_string(),
        "bytes that arrived",
    )
}

async fn eight_mebibytes_go_in_and_come_back(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    let outcome = feed(scene, &sandbox, &Program::Cat, Program::pattern(MUCH).into()).await?;
    equal(outcome.stdout.len(), MUCH, "bytes that came back")?;
    check(
        outcome.stdout == Program::pattern(MUCH),
        "the bytes are not those that were sent",
    )
}

async fn closing_stdin_ends_cat(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    let outcome = feed(scene, &sandbox, &Program::Cat, Bytes::new()).await?;
    equal(outcome.exit, Exit::SUCCESS, "exit")
}

async fn stdin_without_a_sender_is_empty(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    let outcome = scene.outcome(&sandbox, &Program::Cat).await?;
    equal(
        (outcome.stdout.len(), outcome.exit),
        (0, Exit::SUCCESS),
        "bytes and exit of cat without a stdin",
    )
}

async fn an_answer_arrives_before_the_command_ends(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    let mut process = piped(scene, &sandbox, &Program::EchoLineThenSleep).await?;
    let mut read = Vec::new();
    let sink = process.sink();
    sink.send(Input::Stdin(Bytes::from_static(b"a question\n")))
        .await?;
    while read != b"ready\na question\n" {
        match process.next().await {
            Some(Ok(Output::Stdout(chunk))) => read.extend_from_slice(&chunk),
            Some(Err(error)) => return Err(error.into()),
            other => return Err(Failure(format!("after {read:?} came {other:?}"))),
        }
    }
    Ok(())
}

async fn output_at_the_very_end_is_not_lost(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    for bytes in [1, 100, 4096, 65_536, 65_537, 300_000] {
        let outcome = scene.outcome(&sandbox, &Program::Emit { bytes, code: 5 }).await?;
        equal(
            (outcome.stdout.len(), outcome.exit),
            (bytes, Exit::code(5)),
            "bytes and exit",
        )?;
    }
    Ok(())
}

async fn a_slow_reader_gets_everything(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    let bytes = 4 << 20;
    let mut process = scene.exec(&sandbox, &Program::Emit { bytes, code: 6 }).await?;
    let mut read = Vec::new();
    let mut chunks = 0u32;
    loop {
        // Slow at first, so that every buffer on the way is full; then fast, so that the case ends.
        if chunks < 50 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        chunks += 1;
        match process.next().await {
            Some(Ok(Output::Stdout(chunk))) => read.extend_from_slice(&chunk),
            Some(Ok(Output::Exit(exit))) => {
                equal((read.len(), exit), (bytes, Exit::code(6)), "bytes and exit")?;
                return check(
                    read == Program::pattern(bytes),
                    "the bytes are not those that were written",
                );
            }
            Some(Err(error)) => return Err(error.into()),
            other => return Err(Failure(format!("after {} bytes came {other:?}", read.len()))),
        }
    }
}

async fn a_command_that_does_not_read_its_stdin_ends_all_the_same(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    let process = piped(scene, &sandbox, &Program::Exit(8)).await?;
    let sink = process.sink();
    let send = async move {
        let chunk = Bytes::from(Program::pattern(60_000));
        // Ends with an error as soon as the command has ended; that is right.
        for _ in 0..200 {
            if sink.send(Input::Stdin(chunk.clone())).await.is_err() {
                break;
            }
        }
    };
    let (outcome, ()) = tokio::join!(collect(process), send);
    equal(outcome?.exit, Exit::code(8), "exit")
}

async fn thirty_two_commands_at_once_keep_their_streams_apart(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    let runs = (0..32u8).map(|number| {
        let sandbox = &sandbox;
        async move {
            let text = format!("{number} ").repeat(2000);
            let program = Program::Say {
                stdout: text.clone(),
                stderr: number.to_string(),
                code: number,
            };
            let outcome = scene.outcome(sandbox, &program).await?;
            equal(outcome.text(), text, "stdout")?;
            equal(outcome.stderr, number.to_string().into_bytes(), "stderr")?;
            equal(outcome.exit, Exit::code(number), "exit")
        }
    });
    for verdict in futures_util::future::join_all(runs).await {
        verdict?;
    }
    Ok(())
}

async fn the_exit_is_the_last_item(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    let mut process = scene.exec(&sandbox, &Program::Alternate(50)).await?;
    let mut exits = 0;
    while let Some(item) = process.next().await {
        check(exits == 0, "something came after the exit")?;
        exits += u32::from(matches!(item?, Output::Exit(_)));
    }
    equal(exits, 1, "number of exits")
}
