//! Signals, dropped commands and the end of the sandbox under a command.

use std::{sync::Arc, time::Duration};

use agentkernel_backend::{Input, Output, Process, Sandbox};
use agentkernel_types::{Exit, ExitCause, Signal, StdinMode};

use tokio::time::timeout;

use super::always;
use crate::{
    Failure, Program, Scene, Verdict,
    scene::{check, collect, equal, until},
};

/// A send that takes so long waits for a reader.
const STUCK: Duration = Duration::from_millis(300);

list! {
    always => a_signal_ends_a_command,
    always => a_signal_that_is_caught_is_the_commands_own_affair,
    always => a_killed_command_says_so,
    always => a_signal_passes_input_that_is_not_read,
    always => a_signal_reaches_the_children,
    always => a_dropped_command_is_killed,
    always => the_children_of_a_dropped_command_are_killed,
    always => a_dropped_command_leaves_the_others_alone,
    always => many_dropped_commands_leave_no_process,
    always => a_stop_ends_a_command_and_says_why,
    always => a_destroy_ends_a_command,
    |has| has.limit_memory && has.oom_reported => an_out_of_memory_kill_is_told_apart,
}

/// Reads stdout until its first whole line.
pub(super) async fn first_line(process: &mut Process) -> Verdict<String> {
    let mut read = Vec::new();
    while !read.contains(&b'\n') {
        match process.next().await {
            Some(Ok(Output::Stdout(chunk))) => read.extend_from_slice(&chunk),
            Some(Err(error)) => return Err(error.into()),
            other => {
                return Err(Failure(format!(
                    "instead of a line came {other:?} after {read:?}"
                )));
            }
        }
    }
    Ok(String::from_utf8_lossy(&read).trim_end().to_owned())
}

/// Starts a program that has a child; gives the child's number as well.
async fn parent(scene: &Scene, sandbox: &Arc<dyn Sandbox>) -> Verdict<(Process, Program)> {
    let mut process = scene.exec(sandbox, &Program::Parent).await?;
    let line = first_line(&mut process).await?;
    let child = line
        .parse()
        .map_err(|_| Failure(format!("{line:?} is no process number")))?;
    Ok((process, Program::Alive(child)))
}

async fn ended(scene: &Scene, sandbox: &Arc<dyn Sandbox>, child: &Program) -> Verdict {
    until("the child is gone", async || {
        Ok(!scene.outcome(sandbox, child).await?.exit.is_success())
    })
    .await
}

async fn a_signal_ends_a_command(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    for signal in [Signal::TERM, Signal::INT, Signal::HUP, Signal::KILL, Signal::USR1] {
        let process = scene.exec(&sandbox, &Program::Sleep).await?;
        process.sink().send(Input::Signal(signal)).await?;
        equal(
            collect(process).await?.exit,
            Exit::signal(signal.number()),
            "exit",
        )?;
    }
    Ok(())
}

async fn a_signal_that_is_caught_is_the_commands_own_affair(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    let mut process = scene
        .exec(&sandbox, &Program::OnSignal(Signal::TERM.number()))
        .await?;
    equal(first_line(&mut process).await?, "ready".to_owned(), "first line")?;
    process.sink().send(Input::Signal(Signal::TERM)).await?;
    let outcome = collect(process).await?;
    equal(
        (outcome.text(), outcome.exit),
        ("caught\n".to_owned(), Exit::code(7)),
        "output and exit",
    )
}

async fn a_killed_command_says_so(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    let mut process = scene
        .exec(&sandbox, &Program::OnSignal(Signal::TERM.number()))
        .await?;
    first_line(&mut process).await?;
    process.sink().send(Input::Signal(Signal::KILL)).await?;
    equal(collect(process).await?.exit, Exit::signal(9), "exit")
}

async fn a_signal_passes_input_that_is_not_read(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    let mut spec = scene.exec_spec(&Program::Sleep);
    spec.stdin = StdinMode::Piped;
    let process = sandbox.exec(&scene.cx, spec).await?;
    let sink = process.sink();
    // Until the way is full: no command reads it.
    let chunk = Input::Stdin(vec![b'x'; 60_000].into());
    while let Ok(sent) = timeout(STUCK, sink.send(chunk.clone())).await {
        sent?;
    }
    sink.send(Input::Signal(Signal::TERM)).await?;
    equal(collect(process).await?.exit, Exit::signal(15), "exit")
}

async fn a_signal_reaches_the_children(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    let (process, child) = parent(scene, &sandbox).await?;
    process.sink().send(Input::Signal(Signal::TERM)).await?;
    collect(process).await?;
    ended(scene, &sandbox, &child).await
}

async fn a_dropped_command_is_killed(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    let before = sandbox.stats(&scene.cx).await?.processes;
    drop(scene.exec(&sandbox, &Program::Sleep).await?);
    until("the dropped command is gone", async || {
        Ok(sandbox.stats(&scene.cx).await?.processes == before)
    })
    .await
}

async fn the_children_of_a_dropped_command_are_killed(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    let (process, child) = parent(scene, &sandbox).await?;
    check(
        scene.outcome(&sandbox, &child).await?.exit.is_success(),
        "the child does not run at all",
    )?;
    drop(process);
    ended(scene, &sandbox, &child).await
}

async fn a_dropped_command_leaves_the_others_alone(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    let (dropped, gone) = parent(scene, &sandbox).await?;
    let (_held, child) = parent(scene, &sandbox).await?;
    drop(dropped);
    ended(scene, &sandbox, &gone).await?;
    check(
        scene.outcome(&sandbox, &child).await?.exit.is_success(),
        "another command was killed as well",
    )
}

async fn many_dropped_commands_leave_no_process(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    let before = sandbox.stats(&scene.cx).await?.processes;
    for _ in 0..50 {
        drop(scene.exec(&sandbox, &Program::Parent).await?);
    }
    until("all are gone", async || {
        Ok(sandbox.stats(&scene.cx).await?.processes == before)
    })
    .await
}

async fn a_stop_ends_a_command_and_says_why(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    let process = scene.exec(&sandbox, &Program::Sleep).await?;
    let (stopped, outcome) = tokio::join!(
        sandbox.stop(&scene.cx, Duration::from_millis(500)),
        collect(process)
    );
    stopped?;
    equal(
        outcome?.exit.cause,
        Some(ExitCause::SandboxStopped),
        "cause of the exit",
    )
}

async fn a_destroy_ends_a_command(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    let process = scene.exec(&sandbox, &Program::Sleep).await?;
    let (destroyed, outcome) = tokio::join!(sandbox.destroy(&scene.cx), collect(process));
    destroyed?;
    equal(
        outcome?.exit.cause,
        Some(ExitCause::SandboxStopped),
        "cause of the exit",
    )
}

async fn an_out_of_memory_kill_is_told_apart(scene: &Scene) -> Verdict {
    let mut spec = scene.ephemeral();
    spec.resources.memory = Some(agentkernel_types::ByteSize::from_mebibytes(64));
    let sandbox = scene.start(&spec).await?;
    let killed = scene.outcome(&sandbox, &Program::SignalSelf(9)).await?.exit;
    equal(
        killed,
        Exit::signal(9),
        "a kill that has nothing to do with memory",
    )?;
    let exit = scene.outcome(&sandbox, &Program::EatMemory).await?.exit;
    equal(
        exit,
        Exit::signal(9).with_cause(ExitCause::OutOfMemory),
        "the exit of what took too much memory",
    )
}
