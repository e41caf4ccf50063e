//! Commands that go on when their caller leaves.

use std::{sync::Arc, time::Duration};

use agentkernel_backend::{DetachedStatus, LogStream, Sandbox};
use agentkernel_types::{ErrorKind, ExecId, Exit, ExitStatus};

use crate::{
    Failure, Program, Scene, Verdict,
    scene::{check, equal, refused, until},
};

list! {
    |has| has.detached_exec => a_detached_command_goes_on_without_its_caller,
    |has| has.detached_exec => a_detached_command_keeps_its_exit,
    |has| has.detached_exec => a_detached_command_keeps_both_streams,
    |has| has.detached_exec => a_log_is_read_from_an_offset,
    |has| has.detached_exec => a_followed_log_ends_with_the_command,
    |has| has.detached_exec => a_detached_command_is_killed,
    |has| has.detached_exec => several_detached_commands_are_listed,
    |has| has.detached_exec => an_unknown_detached_command_is_not_found,
    |has| has.detached_exec => a_detached_command_that_does_not_exist_is_not_found,
    |has| has.detached_exec && has.kept => a_detached_command_is_known_after_a_restart,
}

async fn detach(
    scene: &Scene,
    sandbox: &Arc<dyn Sandbox>,
    number: u32,
    program: &Program,
) -> Verdict<ExecId> {
    let id = ExecId::from_random(number);
    let mut spec = scene.exec_spec(program);
    spec.detach = Some(id.clone());
    drop(sandbox.exec(&scene.cx, spec).await?);
    Ok(id)
}

async fn status(scene: &Scene, sandbox: &Arc<dyn Sandbox>, id: &ExecId) -> Verdict<DetachedStatus> {
    let all = sandbox.detached(&scene.cx).await?;
    all.into_iter()
        .find(|status| status.id == *id)
        .ok_or_else(|| Failure(format!("{id} is not listed")))
}

async fn end(scene: &Scene, sandbox: &Arc<dyn Sandbox>, id: &ExecId) -> Verdict<Exit> {
    until("the detached command ends", async || {
        Ok(status(scene, sandbox, id).await?.exit.is_some())
    })
    .await?;
    Ok(status(scene, sandbox, id).await?.exit.expect("it has just ended"))
}

async fn log(
    scene: &Scene,
    sandbox: &Arc<dyn Sandbox>,
    id: &ExecId,
    stream: LogStream,
    offset: u64,
    follow: bool,
) -> Verdict<Vec<u8>> {
    let mut chunks = sandbox
        .detached_log(&scene.cx, id, stream, offset, follow)
        .await?;
    let mut read = Vec::new();
    while let Some(chunk) = chunks.recv().await {
        read.extend_from_slice(&chunk?);
    }
    Ok(read)
}

/// Detached commands outlive their callers, so they belong to sandboxes that do, where there are such.
async fn running(scene: &Scene) -> Verdict<Arc<dyn Sandbox>> {
    let kept = scene.backend().capabilities().kept;
    scene
        .start(&if kept { scene.kept() } else { scene.ephemeral() })
        .await
}

async fn a_detached_command_goes_on_without_its_caller(scene: &Scene) -> Verdict {
    let sandbox = running(scene).await?;
    let id = detach(scene, &sandbox, 1, &Program::Sleep).await?;
    // Other commands come and go; the detached one does not care.
    for _ in 0..20 {
        scene.outcome(&sandbox, &Program::Exit(0)).await?;
    }
    check(status(scene, &sandbox, &id).await?.exit.is_none(), "it has ended")
}

async fn a_detached_command_keeps_its_exit(scene: &Scene) -> Verdict {
    let sandbox = running(scene).await?;
    let id = detach(scene, &sandbox, 0xabcd_ef01, &Program::Exit(43)).await?;
    equal(end(scene, &sandbox, &id).await?, Exit::code(43), "exit")
}

async fn a_detached_command_keeps_both_streams(scene: &Scene) -> Verdict {
    let sandbox = running(scene).await?;
    let program = Program::Say {
        stdout: "one".to_owned(),
        stderr: "other".to_owned(),
        code: 0,
    };
    let id = detach(scene, &sandbox, 2, &program).await?;
    end(scene, &sandbox, &id).await?;
    equal(
        log(scene, &sandbox, &id, LogStream::Stdout, 0, false).await?,
        b"one".to_vec(),
        "stdout",
    )?;
    equal(
        log(scene, &sandbox, &id, LogStream::Stderr, 0, false).await?,
        b"other".to_vec(),
        "stderr",
    )?;
    let status = status(scene, &sandbox, &id).await?;
    equal((status.stdout_bytes, status.stderr_bytes), (3, 5), "bytes kept")
}

async fn a_log_is_read_from_an_offset(scene: &Scene) -> Verdict {
    let sandbox = running(scene).await?;
    let id = detach(
        scene,
        &sandbox,
        3,
        &Program::Emit {
            bytes: 300_000,
            code: 0,
        },
    )
    .await?;
    end(scene, &sandbox, &id).await?;
    for offset in [0usize, 1, 17, 299_999, 300_000, 400_000] {
        let read = log(scene, &sandbox, &id, LogStream::Stdout, offset as u64, false).await?;
        let expected = Program::pattern(300_000)
            .get(offset..)
            .unwrap_or_default()
            .to_vec();
        equal(read.len(), expected.len(), "bytes")?;
        check(
            read == expected,
            format!("the bytes from {offset} on are not those that were written"),
        )?;
    }
    Ok(())
}

async fn a_followed_log_ends_with_the_command(scene: &Scene) -> Verdict {
    let sandbox = running(scene).await?;
    let id = detach(
        scene,
        &sandbox,
        4,
        &Program::Emit {
            bytes: 1 << 20,
            code: 0,
        },
    )
    .await?;
    let read = log(scene, &sandbox, &id, LogStream::Stdout, 0, true).await?;
    equal(read.len(), 1 << 20, "bytes")
}

async fn a_detached_command_is_killed(scene: &Scene) -> Verdict {
    let sandbox = running(scene).await?;
    let id = detach(scene, &sandbox, 5, &Program::Sleep).await?;
    sandbox.kill_detached(&scene.cx, &id).await?;
    let exit = end(scene, &sandbox, &id).await?;
    check(
        matches!(exit.status, ExitStatus::Signal(9 | 15)),
        format!("its exit is {exit:?}"),
    )
}

async fn several_detached_commands_are_listed(scene: &Scene) -> Verdict {
    let sandbox = running(scene).await?;
    for number in 10..20 {
        detach(scene, &sandbox, number, &Program::Exit(number as u8)).await?;
    }
    for number in 10..20 {
        let exit = end(scene, &sandbox, &ExecId::from_random(number)).await?;
        equal(exit, Exit::code(number as u8), "exit")?;
    }
    equal(
        sandbox.detached(&scene.cx).await?.len(),
        10,
        "number of detached commands",
    )
}

async fn an_unknown_detached_command_is_not_found(scene: &Scene) -> Verdict {
    let sandbox = running(scene).await?;
    let id = ExecId::from_random(0xdead);
    refused(
        sandbox.kill_detached(&scene.cx, &id).await,
        ErrorKind::NotFound,
        "killing an unknown command",
    )?;
    let log = sandbox
        .detached_log(&scene.cx, &id, LogStream::Stdout, 0, false)
        .await;
    refused(log, ErrorKind::NotFound, "the log of an unknown command")
}

async fn a_detached_command_that_does_not_exist_is_not_found(scene: &Scene) -> Verdict {
    let sandbox = running(scene).await?;
    let mut spec = scene.exec_spec(&Program::Exit(0));
    spec.command = agentkernel_types::Command::new(["no-such-command-here"]).expect("a valid command");
    spec.detach = Some(ExecId::from_random(6));
    refused(
        sandbox.exec(&scene.cx, spec).await,
        ErrorKind::CommandNotFound,
        "a command that does not exist",
    )
}

async fn a_detached_command_is_known_after_a_restart(scene: &Scene) -> Verdict {
    let sandbox = scene.start(&scene.kept()).await?;
    let program = Program::Say {
        stdout: "before".to_owned(),
        stderr: String::new(),
        code: 11,
    };
    let ended = detach(scene, &sandbox, 7, &program).await?;
    end(scene, &sandbox, &ended).await?;
    let running = detach(scene, &sandbox, 8, &Program::Sleep).await?;
    sandbox.stop(&scene.cx, Duration::from_secs(2)).await?;
    sandbox.start(&scene.cx).await?;
    equal(end(scene, &sandbox, &ended).await?, Exit::code(11), "exit")?;
    equal(
        log(scene, &sandbox, &ended, LogStream::Stdout, 0, false).await?,
        b"before".to_vec(),
        "stdout",
    )?;
    let cut = end(scene, &sandbox, &running).await?;
    check(
        !cut.is_success(),
        "what ran while the sandbox was stopped is said to have succeeded",
    )
}
