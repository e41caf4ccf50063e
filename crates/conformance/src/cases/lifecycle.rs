//! From made to gone, in every order.

use std::time::Duration;

use agentkernel_backend::{SandboxState, Workspace};
use agentkernel_types::{ErrorKind, Lifetime};
use futures_util::FutureExt;

use super::always;
use crate::{
    Failure, Program, Scene, Verdict,
    scene::{check, collect, equal, refused, until},
};

list! {
    always => a_started_sandbox_runs_a_command,
    always => a_made_sandbox_is_stopped_until_it_is_started,
    always => a_started_sandbox_is_running,
    always => starting_twice_succeeds,
    always => stopping_twice_succeeds,
    always => stopping_what_never_ran_succeeds,
    always => destroying_twice_succeeds,
    always => destroying_what_never_ran_succeeds,
    always => a_destroyed_sandbox_is_gone,
    always => a_sandbox_has_the_id_of_its_specification,
    always => two_sandboxes_see_nothing_of_each_other,
    always => exec_in_a_stopped_sandbox_is_a_conflict,
    always => a_dropped_create_leaves_nothing,
    always => a_dropped_ephemeral_sandbox_leaves_nothing,
    always => a_destroyed_sandbox_leaves_nothing,
    |has| has.kept => a_kept_sandbox_keeps_its_files_over_stop_and_start,
    |has| has.kept => a_kept_sandbox_runs_again_after_stop_and_start,
    |has| has.kept => destroying_a_kept_sandbox_empties_its_workspace,
    |has| has.kept => a_kept_sandbox_is_opened_by_another_process,
    |has| has.kept => a_kept_sandbox_outlives_its_handle,
    |has| has.kept => a_command_goes_on_when_the_handle_of_its_kept_sandbox_is_dropped,
    |has| has.kept => a_stopped_sandbox_is_opened_and_started_by_another_process,
    |has| has.kept => two_starts_at_once_both_succeed,
    |has| has.kept => a_kept_sandbox_that_is_known_is_no_leftover,
    |has| has.kept => a_kept_sandbox_that_nobody_knows_is_a_leftover_that_can_be_swept,
}

const GRACE: Duration = Duration::from_secs(2);

fn note(text: &str) -> Program {
    Program::Write {
        path: "/home/sandbox/note".to_owned(),
        text: text.to_owned(),
    }
}

async fn a_started_sandbox_runs_a_command(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    equal(
        scene.outcome(&sandbox, &Program::Exit(0)).await?.exit.exit_code(),
        0,
        "exit code",
    )
}

async fn a_made_sandbox_is_stopped_until_it_is_started(scene: &Scene) -> Verdict {
    let (sandbox, _) = scene.create(&scene.ephemeral()).await?;
    equal(sandbox.state(&scene.cx).await?, SandboxState::Stopped, "state")
}

async fn a_started_sandbox_is_running(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    equal(sandbox.state(&scene.cx).await?, SandboxState::Running, "state")
}

async fn starting_twice_succeeds(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    sandbox.start(&scene.cx).await?;
    equal(
        scene.outcome(&sandbox, &Program::Exit(3)).await?.exit.exit_code(),
        3,
        "exit code",
    )
}

async fn stopping_twice_succeeds(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    sandbox.stop(&scene.cx, GRACE).await?;
    sandbox.stop(&scene.cx, GRACE).await?;
    check(
        sandbox.state(&scene.cx).await? != SandboxState::Running,
        "it still runs after two stops",
    )
}

async fn stopping_what_never_ran_succeeds(scene: &Scene) -> Verdict {
    let (sandbox, _) = scene.create(&scene.ephemeral()).await?;
    Ok(sandbox.stop(&scene.cx, GRACE).await?)
}

async fn destroying_twice_succeeds(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    sandbox.destroy(&scene.cx).await?;
    Ok(sandbox.destroy(&scene.cx).await?)
}

async fn destroying_what_never_ran_succeeds(scene: &Scene) -> Verdict {
    let (sandbox, _) = scene.create(&scene.ephemeral()).await?;
    Ok(sandbox.destroy(&scene.cx).await?)
}

async fn a_destroyed_sandbox_is_gone(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    sandbox.destroy(&scene.cx).await?;
    equal(sandbox.state(&scene.cx).await?, SandboxState::Gone, "state")
}

async fn a_sandbox_has_the_id_of_its_specification(scene: &Scene) -> Verdict {
    let spec = scene.ephemeral();
    let (sandbox, _) = scene.create(&spec).await?;
    equal(sandbox.id(), &spec.id, "id")
}

async fn two_sandboxes_see_nothing_of_each_other(scene: &Scene) -> Verdict {
    let (one, other) = (scene.running().await?, scene.running().await?);
    let write = Program::Write {
        path: "/tmp/mine".to_owned(),
        text: "1".to_owned(),
    };
    equal(
        scene.outcome(&one, &write).await?.exit.exit_code(),
        0,
        "writing /tmp/mine",
    )?;
    let seen = scene
        .outcome(&other, &Program::Exists("/tmp/mine".to_owned()))
        .await?;
    check(!seen.exit.is_success(), "the other sandbox sees the file")
}

async fn exec_in_a_stopped_sandbox_is_a_conflict(scene: &Scene) -> Verdict {
    let (sandbox, _) = scene.create(&scene.ephemeral()).await?;
    let result = sandbox.exec(&scene.cx, scene.exec_spec(&Program::Exit(0))).await;
    refused(result, ErrorKind::Conflict, "exec in a stopped sandbox")
}

async fn a_dropped_create_leaves_nothing(scene: &Scene) -> Verdict {
    let backend = scene.backend();
    let before = backend.leftovers(&scene.cx, &[]).await?;
    // Polled a few times, so that it is dropped at different points of its work.
    for polls in 0..8 {
        let spec = scene.ephemeral();
        let workspace = scene.workspace(spec.lifetime);
        let mut create = backend.create(&scene.cx, &spec, &workspace);
        for _ in 0..polls {
            if (&mut create).now_or_never().is_some() {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    until("nothing is left of a dropped create", async || {
        Ok(backend.leftovers(&scene.cx, &[]).await? == before)
    })
    .await
}

async fn a_dropped_ephemeral_sandbox_leaves_nothing(scene: &Scene) -> Verdict {
    let before = scene.backend().leftovers(&scene.cx, &[]).await?;
    let sandbox = scene.running().await?;
    let process = scene.exec(&sandbox, &Program::Sleep).await?;
    scene.forget(sandbox.clone());
    drop(process);
    drop(sandbox);
    until("nothing is left of a dropped sandbox", async || {
        Ok(scene.backend().leftovers(&scene.cx, &[]).await? == before)
    })
    .await
}

async fn a_destroyed_sandbox_leaves_nothing(scene: &Scene) -> Verdict {
    let before = scene.backend().leftovers(&scene.cx, &[]).await?;
    let sandbox = scene.running().await?;
    let _process = scene.exec(&sandbox, &Program::Parent).await?;
    sandbox.destroy(&scene.cx).await?;
    equal(
        scene.backend().leftovers(&scene.cx, &[]).await?,
        before,
        "leftovers",
    )
}

async fn a_kept_sandbox_keeps_its_files_over_stop_and_start(scene: &Scene) -> Verdict {
    let sandbox = scene.start(&scene.kept()).await?;
    equal(
        scene.outcome(&sandbox, &note("kept")).await?.exit.exit_code(),
        0,
        "writing",
    )?;
    sandbox.stop(&scene.cx, GRACE).await?;
    sandbox.start(&scene.cx).await?;
    let read = scene
        .outcome(&sandbox, &Program::CatFile("/home/sandbox/note".to_owned()))
        .await?;
    equal(read.text(), "kept".to_owned(), "the file after the restart")
}

async fn a_kept_sandbox_runs_again_after_stop_and_start(scene: &Scene) -> Verdict {
    let sandbox = scene.start(&scene.kept()).await?;
    for code in 1..4 {
        equal(
            scene
                .outcome(&sandbox, &Program::Exit(code))
                .await?
                .exit
                .exit_code(),
            code,
            "exit code",
        )?;
        sandbox.stop(&scene.cx, GRACE).await?;
        equal(
            sandbox.state(&scene.cx).await?,
            SandboxState::Stopped,
            "state after stop",
        )?;
        sandbox.start(&scene.cx).await?;
        equal(
            sandbox.state(&scene.cx).await?,
            SandboxState::Running,
            "state after start",
        )?;
    }
    Ok(())
}

async fn destroying_a_kept_sandbox_empties_its_workspace(scene: &Scene) -> Verdict {
    let spec = scene.kept();
    let (sandbox, workspace) = scene.create(&spec).await?;
    sandbox.start(&scene.cx).await?;
    scene.outcome(&sandbox, &note("gone")).await?;
    sandbox.destroy(&scene.cx).await?;
    if let Workspace::Folder(folder) = &workspace
        && folder.exists()
    {
        equal(
            std::fs::read_dir(folder)?.count(),
            0,
            "entries left in the workspace",
        )?;
    }
    // What is made in the same place afterwards must not see it either.
    let again = scene.backend().create(&scene.cx, &spec, &workspace).await?;
    again.start(&scene.cx).await?;
    let seen = scene
        .outcome(&again, &Program::Exists("/home/sandbox/note".to_owned()))
        .await;
    again.destroy(&scene.cx).await?;
    check(
        !seen?.exit.is_success(),
        "the file is still there in a new sandbox",
    )
}

async fn a_kept_sandbox_is_opened_by_another_process(scene: &Scene) -> Verdict {
    let spec = scene.kept();
    let (sandbox, workspace) = scene.create(&spec).await?;
    sandbox.start(&scene.cx).await?;
    scene.outcome(&sandbox, &note("shared")).await?;
    let other = scene.harness.reconnect().await?;
    let opened = other
        .open(&scene.cx, &spec, &workspace, &sandbox.handle())
        .await?;
    equal(opened.state(&scene.cx).await?, SandboxState::Running, "state")?;
    let read = scene
        .outcome(&opened, &Program::CatFile("/home/sandbox/note".to_owned()))
        .await?;
    equal(read.text(), "shared".to_owned(), "the file")
}

async fn a_kept_sandbox_outlives_its_handle(scene: &Scene) -> Verdict {
    let spec = scene.kept();
    let (sandbox, workspace) = scene.create(&spec).await?;
    sandbox.start(&scene.cx).await?;
    let handle = sandbox.handle();
    scene.forget(sandbox.clone());
    drop(sandbox);
    tokio::task::yield_now().await;
    let opened = scene
        .backend()
        .open(&scene.cx, &spec, &workspace, &handle)
        .await?;
    let code = scene.outcome(&opened, &Program::Exit(9)).await;
    opened.destroy(&scene.cx).await?;
    equal(code?.exit.exit_code(), 9, "exit code")
}

async fn a_command_goes_on_when_the_handle_of_its_kept_sandbox_is_dropped(scene: &Scene) -> Verdict {
    let spec = scene.kept();
    let (sandbox, workspace) = scene.create(&spec).await?;
    sandbox.start(&scene.cx).await?;
    let handle = sandbox.handle();
    let process = scene
        .exec(
            &sandbox,
            &Program::Emit {
                bytes: 3 << 20,
                code: 8,
            },
        )
        .await?;
    scene.forget(sandbox.clone());
    drop(sandbox);
    let outcome = collect(process).await;
    scene
        .backend()
        .open(&scene.cx, &spec, &workspace, &handle)
        .await?
        .destroy(&scene.cx)
        .await?;
    let outcome = outcome?;
    equal(
        (outcome.stdout.len(), outcome.exit.exit_code()),
        (3 << 20, 8),
        "bytes and exit code",
    )
}

async fn a_stopped_sandbox_is_opened_and_started_by_another_process(scene: &Scene) -> Verdict {
    let spec = scene.kept();
    let (sandbox, workspace) = scene.create(&spec).await?;
    sandbox.start(&scene.cx).await?;
    scene.outcome(&sandbox, &note("again")).await?;
    sandbox.stop(&scene.cx, GRACE).await?;
    let other = scene.harness.reconnect().await?;
    let opened = other
        .open(&scene.cx, &spec, &workspace, &sandbox.handle())
        .await?;
    equal(opened.state(&scene.cx).await?, SandboxState::Stopped, "state")?;
    opened.start(&scene.cx).await?;
    let read = scene
        .outcome(&opened, &Program::CatFile("/home/sandbox/note".to_owned()))
        .await;
    opened.destroy(&scene.cx).await?;
    equal(read?.text(), "again".to_owned(), "the file")
}

async fn two_starts_at_once_both_succeed(scene: &Scene) -> Verdict {
    let (sandbox, _) = scene.create(&scene.kept()).await?;
    let (one, other) = tokio::join!(sandbox.start(&scene.cx), sandbox.start(&scene.cx));
    one.and(other)?;
    equal(
        scene.outcome(&sandbox, &Program::Exit(4)).await?.exit.exit_code(),
        4,
        "exit code",
    )
}

async fn a_kept_sandbox_that_is_known_is_no_leftover(scene: &Scene) -> Verdict {
    let spec = scene.kept();
    let before = scene
        .backend()
        .leftovers(&scene.cx, std::slice::from_ref(&spec.id))
        .await?;
    let _sandbox = scene.start(&spec).await?;
    equal(
        scene.backend().leftovers(&scene.cx, &[spec.id]).await?,
        before,
        "leftovers",
    )
}

async fn a_kept_sandbox_that_nobody_knows_is_a_leftover_that_can_be_swept(scene: &Scene) -> Verdict {
    let spec = scene.kept();
    assert_eq!(
        spec.lifetime,
        Lifetime::Kept,
        "the harness gives what it is asked for"
    );
    let before = scene.backend().leftovers(&scene.cx, &[]).await?;
    let sandbox = scene.start(&spec).await?;
    scene.forget(sandbox.clone());
    drop(sandbox);
    let backend = scene.backend();
    let found = backend.leftovers(&scene.cx, &[]).await?;
    check(
        found.len() > before.len(),
        "the sandbox that nobody knows was not found",
    )?;
    for leftover in found.iter().filter(|leftover| !before.contains(leftover)) {
        backend.sweep(&scene.cx, leftover).await?;
        backend.sweep(&scene.cx, leftover).await.map_err(|error| {
            Failure(format!(
                "sweeping {} {:?} again: {error}",
                leftover.kind, leftover.name
            ))
        })?;
    }
    equal(
        backend.leftovers(&scene.cx, &[]).await?,
        before,
        "leftovers after the sweep",
    )
}
