//! Arguments, environment, working directory and user of a command.

use std::{ffi::OsString, os::unix::ffi::OsStringExt, sync::Arc};

use agentkernel_backend::Sandbox;
use agentkernel_types::{EnvVar, ErrorKind, GuestPath};

use super::always;
use crate::{
    Program, Scene, Verdict,
    scene::{check, equal, refused},
};

list! {
    always => arguments_arrive_as_they_are,
    always => arguments_that_are_not_utf_8_arrive,
    always => empty_arguments_arrive,
    always => a_thousand_arguments_arrive,
    always => a_long_argument_arrives,
    always => the_environment_of_the_sandbox_reaches_the_command,
    always => the_environment_of_a_command_wins_over_the_sandbox,
    always => the_last_of_two_entries_of_a_variable_wins,
    always => the_environment_of_the_host_does_not_leak,
    always => an_environment_value_may_hold_anything,
    always => the_working_directory_of_the_sandbox_is_used,
    always => the_working_directory_of_a_command_wins,
    always => a_missing_working_directory_is_refused,
    |has| has.user => the_user_that_was_asked_for_runs_the_command,
    |has| has.user => a_user_that_the_image_does_not_have_is_refused,
}

async fn arguments(scene: &Scene, sandbox: &Arc<dyn Sandbox>, arguments: Vec<OsString>) -> Verdict {
    let outcome = scene
        .outcome(sandbox, &Program::Arguments(arguments.clone()))
        .await?;
    let expected: Vec<u8> = arguments
        .into_iter()
        .flat_map(|argument| [argument.into_vec(), vec![0]].concat())
        .collect();
    equal(outcome.stdout, expected, "the arguments")
}

async fn arguments_arrive_as_they_are(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    let odd = [
        "a b",
        "  ",
        "a\nb",
        "\t",
        "'",
        "\"",
        "\\",
        "$HOME",
        "`id`",
        "$(id)",
        "*",
        "?",
        "[a]",
        "~",
        "a;b",
        "a&b",
        "|",
        ">x",
        "-n",
        "--",
        "-e",
        "%s%d",
        "\\n",
        "#",
        "!",
        "{a,b}",
        "ü€😀",
        "\u{1b}[31m",
        "\r",
    ];
    arguments(scene, &sandbox, odd.iter().map(OsString::from).collect()).await
}

async fn arguments_that_are_not_utf_8_arrive(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    let bytes = (1..=255u8)
        .map(|byte| OsString::from_vec(vec![b'x', byte]))
        .collect();
    arguments(scene, &sandbox, bytes).await
}

async fn empty_arguments_arrive(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    arguments(scene, &sandbox, ["", "a", "", ""].map(OsString::from).to_vec()).await
}

async fn a_thousand_arguments_arrive(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    arguments(
        scene,
        &sandbox,
        (0..1000)
            .map(|number| format!("argument {number}").into())
            .collect(),
    )
    .await
}

async fn a_long_argument_arrives(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    // Linux takes 128 KiB in one argument, its NUL included.
    arguments(scene, &sandbox, vec!["x".repeat((128 << 10) - 1).into()]).await
}

fn variable(name: &str, value: &str) -> EnvVar {
    EnvVar::new(name, value).expect("a variable of the suite is valid")
}

/// What a command sees of `NAME` in a sandbox with `sandbox_env`, run with `env`.
async fn seen(scene: &Scene, sandbox_env: Vec<EnvVar>, env: Vec<EnvVar>) -> Verdict<String> {
    let mut spec = scene.ephemeral();
    spec.env.extend(sandbox_env);
    let sandbox = scene.start(&spec).await?;
    let mut exec = scene.exec_spec(&Program::Variable("NAME".to_owned()));
    exec.env = env;
    Ok(scene.outcome_of(&sandbox, exec).await?.text())
}

async fn the_environment_of_the_sandbox_reaches_the_command(scene: &Scene) -> Verdict {
    let found = seen(scene, vec![variable("NAME", "of the sandbox")], vec![]).await?;
    equal(found, "of the sandbox".to_owned(), "NAME")
}

async fn the_environment_of_a_command_wins_over_the_sandbox(scene: &Scene) -> Verdict {
    let found = seen(
        scene,
        vec![variable("NAME", "sandbox")],
        vec![variable("NAME", "command")],
    )
    .await?;
    equal(found, "command".to_owned(), "NAME")
}

async fn the_last_of_two_entries_of_a_variable_wins(scene: &Scene) -> Verdict {
    let found = seen(
        scene,
        vec![],
        vec![variable("NAME", "first"), variable("NAME", "last")],
    )
    .await?;
    equal(found, "last".to_owned(), "NAME")
}

async fn the_environment_of_the_host_does_not_leak(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    let text = scene.outcome(&sandbox, &Program::Environment).await?.text();
    // Names that every sandbox may set itself; a value of the host under any other name has leaked.
    let own = [
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "SHELL",
        "TERM",
        "LANG",
        "PWD",
        "SHLVL",
        "HOSTNAME",
        "_",
        "OLDPWD",
        // Where a toolchain of the image lies.
        "PYENV_ROOT",
        "RUSTUP_HOME",
        "ASDF_DATA_DIR",
        "MISE_DATA_DIR",
        "RBENV_ROOT",
        "VOLTA_HOME",
    ];
    for (name, value) in std::env::vars() {
        let leaked = text.lines().any(|line| line == format!("{name}={value}"));
        check(
            !leaked || own.contains(&name.as_str()),
            format!("the host's {name} is visible"),
        )?;
    }
    check(!text.contains("CARGO"), "a variable of the build is visible")
}

async fn an_environment_value_may_hold_anything(scene: &Scene) -> Verdict {
    let value = " a=b\n$X \"quoted\" ü ' \\ ";
    equal(
        seen(scene, vec![], vec![variable("NAME", value)]).await?,
        value.to_owned(),
        "NAME",
    )
}

fn path(text: &str) -> GuestPath {
    text.parse().expect("a path of the suite is valid")
}

async fn the_working_directory_of_the_sandbox_is_used(scene: &Scene) -> Verdict {
    let mut spec = scene.ephemeral();
    spec.workdir = Some(path("/tmp"));
    let sandbox = scene.start(&spec).await?;
    equal(
        scene.outcome(&sandbox, &Program::Folder).await?.text(),
        "/tmp\n".to_owned(),
        "working directory",
    )
}

async fn the_working_directory_of_a_command_wins(scene: &Scene) -> Verdict {
    let mut spec = scene.ephemeral();
    spec.workdir = Some(path("/tmp"));
    let sandbox = scene.start(&spec).await?;
    let mut exec = scene.exec_spec(&Program::Folder);
    exec.workdir = Some(path("/etc"));
    equal(
        scene.outcome_of(&sandbox, exec).await?.text(),
        "/etc\n".to_owned(),
        "working directory",
    )
}

async fn a_missing_working_directory_is_refused(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    let mut exec = scene.exec_spec(&Program::Folder);
    exec.workdir = Some(path("/no/such/folder"));
    refused(
        sandbox.exec(&scene.cx, exec).await,
        ErrorKind::InvalidSpec,
        "a working directory that does not exist",
    )
}

async fn the_user_that_was_asked_for_runs_the_command(scene: &Scene) -> Verdict {
    let (user, number) = scene.harness.other_user();
    let mut spec = scene.ephemeral();
    spec.user = Some(user);
    let sandbox = scene.start(&spec).await?;
    let found = scene.outcome(&sandbox, &Program::UserNumber).await?.text();
    equal(found.trim().to_owned(), number.to_string(), "user number")
}

async fn a_user_that_the_image_does_not_have_is_refused(scene: &Scene) -> Verdict {
    let mut spec = scene.ephemeral();
    spec.user = Some("nobody-has-this-name".parse().expect("a valid user name"));
    let refusal = match scene.create(&spec).await {
        Err(_) => true,
        Ok((sandbox, _)) => match sandbox.start(&scene.cx).await {
            Err(_) => true,
            Ok(()) => sandbox
                .exec(&scene.cx, scene.exec_spec(&Program::Exit(0)))
                .await
                .is_err(),
        },
    };
    check(refusal, "a command ran as a user that does not exist")
}
