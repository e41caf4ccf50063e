//! How a command ends, and what cannot be executed.

use agentkernel_types::{Command, ErrorKind, ExecSpec, Exit};

use super::always;
use crate::{
    Program, Scene, Verdict,
    scene::{equal, refused},
};

list! {
    always => every_exit_code_arrives,
    always => a_command_that_ends_itself_by_a_signal_has_that_signal,
    always => a_missing_command_is_not_found,
    always => a_missing_command_by_its_path_is_not_found,
    always => a_file_without_the_executable_bit_is_not_executable,
    always => a_folder_is_not_executable,
    always => a_thousand_commands_end_right,
}

async fn every_exit_code_arrives(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    for code in [
        0, 1, 2, 3, 42, 63, 64, 100, 123, 124, 125, 126, 127, 128, 137, 143, 254, 255,
    ] {
        let outcome = scene.outcome(&sandbox, &Program::Exit(code)).await?;
        equal(outcome.exit, Exit::code(code), "exit")?;
    }
    Ok(())
}

async fn a_command_that_ends_itself_by_a_signal_has_that_signal(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    for signal in [1, 2, 3, 6, 9, 10, 12, 13, 14, 15] {
        let outcome = scene.outcome(&sandbox, &Program::SignalSelf(signal)).await?;
        equal(outcome.exit, Exit::signal(signal), "exit")?;
    }
    Ok(())
}

fn plain(argv: &[&str]) -> ExecSpec {
    ExecSpec::new(Command::new(argv.iter().copied()).expect("a command of the suite is valid"))
}

async fn a_missing_command_is_not_found(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    let result = sandbox
        .exec(&scene.cx, plain(&["no-such-command-here", "-x"]))
        .await;
    refused(
        result,
        ErrorKind::CommandNotFound,
        "a command that does not exist",
    )
}

async fn a_missing_command_by_its_path_is_not_found(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    let result = sandbox.exec(&scene.cx, plain(&["/tmp/no/such/command"])).await;
    refused(result, ErrorKind::CommandNotFound, "a path that does not exist")
}

async fn a_file_without_the_executable_bit_is_not_executable(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    let write = Program::Write {
        path: "/tmp/plain".to_owned(),
        text: "text".to_owned(),
    };
    equal(
        scene.outcome(&sandbox, &write).await?.exit,
        Exit::SUCCESS,
        "writing the file",
    )?;
    let result = sandbox.exec(&scene.cx, plain(&["/tmp/plain"])).await;
    refused(result, ErrorKind::NotExecutable, "a plain file")
}

async fn a_folder_is_not_executable(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    refused(
        sandbox.exec(&scene.cx, plain(&["/tmp"])).await,
        ErrorKind::NotExecutable,
        "a folder",
    )
}

async fn a_thousand_commands_end_right(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    for round in 0..1000u32 {
        let code = (round % 256) as u8;
        let outcome = scene.outcome(&sandbox, &Program::Exit(code)).await?;
        equal(outcome.exit, Exit::code(code), "exit")?;
    }
    Ok(())
}
