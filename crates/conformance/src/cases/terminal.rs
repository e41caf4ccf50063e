//! Commands in a pseudo-terminal.

use agentkernel_backend::{Input, Output, Process};
use agentkernel_types::{Exit, Signal, StdinMode, TerminalSize};
use bytes::Bytes;

use super::end::first_line;
use crate::{
    Failure, Program, Scene, Verdict,
    scene::{check, collect, equal},
};

list! {
    |has| has.terminal => a_terminal_is_a_terminal,
    |has| has.terminal => without_a_terminal_there_is_none,
    |has| has.terminal => a_terminal_has_the_size_that_was_asked_for,
    |has| has.terminal => a_terminal_is_resized,
    |has| has.terminal => control_c_interrupts_the_command,
    |has| has.terminal => control_z_stops_and_a_signal_continues,
    |has| has.terminal => a_terminal_echoes_what_is_typed,
    |has| has.terminal => both_streams_are_one_in_a_terminal,
}

const SIZE: TerminalSize = TerminalSize {
    rows: 31,
    columns: 97,
};

async fn terminal(scene: &Scene, program: &Program) -> Verdict<Process> {
    let sandbox = scene.running().await?;
    let mut spec = scene.exec_spec(program);
    spec.terminal = Some(SIZE);
    spec.stdin = StdinMode::Piped;
    Ok(sandbox.exec(&scene.cx, spec).await?)
}

async fn a_terminal_is_a_terminal(scene: &Scene) -> Verdict {
    equal(
        collect(terminal(scene, &Program::IsTerminal).await?).await?.exit,
        Exit::SUCCESS,
        "exit",
    )
}

async fn without_a_terminal_there_is_none(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    equal(
        scene.outcome(&sandbox, &Program::IsTerminal).await?.exit,
        Exit::code(1),
        "exit",
    )
}

async fn a_terminal_has_the_size_that_was_asked_for(scene: &Scene) -> Verdict {
    let outcome = collect(terminal(scene, &Program::Size).await?).await?;
    equal(outcome.text().trim().to_owned(), "31 97".to_owned(), "size")
}

async fn a_terminal_is_resized(scene: &Scene) -> Verdict {
    let mut process = terminal(scene, &Program::OnResize).await?;
    equal(first_line(&mut process).await?, "ready".to_owned(), "first line")?;
    process
        .sink()
        .send(Input::Resize(TerminalSize {
            rows: 50,
            columns: 120,
        }))
        .await?;
    equal(
        collect(process).await?.text().trim().to_owned(),
        "50 120".to_owned(),
        "size after the change",
    )
}

async fn control_c_interrupts_the_command(scene: &Scene) -> Verdict {
    let process = ready_to_sleep(scene).await?;
    process
        .sink()
        .send(Input::Stdin(Bytes::from_static(b"\x03")))
        .await?;
    equal(collect(process).await?.exit, Exit::signal(2), "exit")
}

/// A command that sleeps in its terminal and has certainly been started.
async fn ready_to_sleep(scene: &Scene) -> Verdict<Process> {
    let mut process = terminal(scene, &Program::EchoLineThenSleep).await?;
    first_line(&mut process).await?;
    Ok(process)
}

async fn control_z_stops_and_a_signal_continues(scene: &Scene) -> Verdict {
    let mut process = ready_to_sleep(scene).await?;
    let sink = process.sink();
    sink.send(Input::Stdin(Bytes::from_static(b"\x1a"))).await?;
    loop {
        match process.next().await {
            Some(Ok(Output::Stopped)) => break,
            Some(Ok(Output::Stdout(_))) => {}
            other => return Err(Failure(format!("instead of the stop came {other:?}"))),
        }
    }
    sink.send(Input::Signal(Signal::CONT)).await?;
    sink.send(Input::Signal(Signal::TERM)).await?;
    equal(collect(process).await?.exit, Exit::signal(15), "exit")
}

async fn a_terminal_echoes_what_is_typed(scene: &Scene) -> Verdict {
    let mut process = ready_to_sleep(scene).await?;
    process
        .sink()
        .send(Input::Stdin(Bytes::from_static(b"typed\r")))
        .await?;
    let mut read = String::new();
    // Once by the terminal, once by the command.
    while read.matches("typed").count() < 2 {
        match process.next().await {
            Some(Ok(Output::Stdout(chunk))) => read.push_str(&String::from_utf8_lossy(&chunk)),
            other => return Err(Failure(format!("after {read:?} came {other:?}"))),
        }
    }
    Ok(())
}

async fn both_streams_are_one_in_a_terminal(scene: &Scene) -> Verdict {
    let program = Program::Say {
        stdout: "one,".to_owned(),
        stderr: "two".to_owned(),
        code: 0,
    };
    let outcome = collect(terminal(scene, &program).await?).await?;
    check(outcome.stderr.is_empty(), "there is a separate stderr")?;
    equal(outcome.text(), "one,two".to_owned(), "output")
}
