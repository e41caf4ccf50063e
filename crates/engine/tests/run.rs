//! One command in a fresh sandbox, and every way in which that can end.

mod common;

use std::time::Duration;

use agentkernel_backend::{Capabilities, Input};
use agentkernel_conformance::fake::{Fault, everything};
use agentkernel_control::{Control, EventKind, InjectedFile, Output};
use agentkernel_types::{
    EnvVar, ErrorKind, Exit, ExitCause, ImageRef, Isolation, NetworkMode, NetworkPolicy, Profile, StdinMode,
    TerminalSize,
};
use bytes::Bytes;
use common::{Stage, events, eventually, host_only, name, outcome};

#[tokio::test]
async fn a_command_says_its_piece_and_the_sandbox_is_gone() {
    let stage = Stage::new();
    let run = stage
        .engine
        .run(stage.run(&["say", "out", "err", "7"]))
        .await
        .expect("it starts");
    let events = events(run).await;
    assert!(
        matches!(&events[0], EventKind::Started { backend, network: NetworkMode::Host, .. } if backend == "fake")
    );
    assert_eq!(
        events[1],
        EventKind::Output(Output::Stdout(Bytes::from_static(b"out")))
    );
    assert_eq!(
        events[2],
        EventKind::Output(Output::Stderr(Bytes::from_static(b"err")))
    );
    assert!(matches!(events[3], EventKind::Finished { exit, .. } if exit == Exit::code(7)));
    assert_eq!(events.len(), 4);
    assert!(stage.world.sandboxes().is_empty());
}

#[tokio::test]
async fn an_ephemeral_run_writes_nothing_to_the_disk() {
    let stage = Stage::new();
    assert_eq!(
        outcome(stage.engine.run(stage.run(&["true"])).await).await.1,
        Exit::SUCCESS
    );
    for folder in ["data", "cache", "run", "config"] {
        assert!(!stage.folder.path().join(folder).exists(), "{folder} was made");
    }
}

#[tokio::test]
async fn input_reaches_the_command() {
    let stage = Stage::new();
    let mut request = stage.run(&["cat"]);
    request.stdin = StdinMode::Piped;
    let run = stage.engine.run(request).await.expect("it starts");
    run.input
        .send(Input::Stdin(Bytes::from_static(b"hello")))
        .await
        .expect("it listens");
    run.input.send(Input::CloseStdin).await.expect("it listens");
    let events = events(run).await;
    assert!(events.contains(&EventKind::Output(Output::Stdout(Bytes::from_static(b"hello")))));
}

#[tokio::test]
async fn a_terminal_is_passed_on() {
    let stage = Stage::new();
    let mut request = stage.run(&["size"]);
    request.terminal = Some(TerminalSize {
        rows: 12,
        columns: 34,
    });
    assert_eq!(outcome(stage.engine.run(request).await).await.0, "12 34\r\n");
}

#[tokio::test]
async fn a_command_that_does_not_exist_is_an_error_and_leaves_nothing() {
    let stage = Stage::new();
    let error = stage
        .engine
        .run(stage.run(&["no-such-command"]))
        .await
        .expect_err("it does not exist");
    assert_eq!(error.kind(), ErrorKind::CommandNotFound);
    assert!(stage.world.sandboxes().is_empty());
}

#[tokio::test]
async fn every_step_that_fails_leaves_nothing() {
    for fault in [Fault::CreateFails, Fault::StartFails, Fault::ExecFails] {
        for keep in [false, true] {
            let stage = Stage::faulty(&[fault]);
            let mut request = stage.run(&["true"]);
            request.keep = keep;
            let error = stage.engine.run(request).await.expect_err("it was planted");
            assert_eq!(
                (error.kind(), error.hint_text()),
                (ErrorKind::Broken, Some("unplant it")),
                "{fault:?}"
            );
            eventually("everything is gone", || stage.world.sandboxes().is_empty()).await;
            assert!(
                stage.engine.list().await.expect("a list").is_empty(),
                "{fault:?} left a record"
            );
        }
    }
}

#[tokio::test]
async fn a_dropped_run_ends_its_sandbox() {
    let stage = Stage::new();
    let run = stage.engine.run(stage.run(&["parent"])).await.expect("it starts");
    assert_eq!(stage.world.sandboxes().len(), 1);
    drop(run);
    eventually("the sandbox is gone", || stage.world.sandboxes().is_empty()).await;
}

#[tokio::test]
async fn a_run_that_is_dropped_while_it_is_made_leaves_nothing() {
    use futures_util::FutureExt;
    for polls in 0..12 {
        for keep in [false, true] {
            let stage = Stage::new();
            let mut request = stage.run(&["sleep"]);
            request.keep = keep;
            {
                let mut making = stage.engine.run(request);
                for _ in 0..polls {
                    if let Some(made) = (&mut making).now_or_never() {
                        drop(made.expect("nothing is wrong"));
                        break;
                    }
                    tokio::task::yield_now().await;
                }
            }
            let kept = stage.engine.list().await.expect("a list").len();
            eventually("what is not kept is gone", || {
                stage.world.sandboxes().len() == kept
            })
            .await;
        }
    }
}

#[tokio::test]
async fn a_timeout_kills_and_says_so() {
    let stage = Stage::new();
    let mut request = stage.run(&["sleep"]);
    request.sandbox.resources.timeout = "20ms".parse().ok();
    let (_, exit) = outcome(stage.engine.run(request).await).await;
    assert_eq!(exit, Exit::signal(9).with_cause(ExitCause::TimedOut));
    assert_eq!(exit.exit_code(), 124);
    assert!(stage.world.sandboxes().is_empty());
}

#[tokio::test]
async fn a_timeout_comes_also_when_nobody_reads() {
    let stage = Stage::new();
    let mut request = stage.run(&["emit", "100000000", "0"]);
    request.sandbox.resources.timeout = "20ms".parse().ok();
    let run = stage.engine.run(request).await.expect("it starts");
    eventually("the sandbox is gone", || stage.world.sandboxes().is_empty()).await;
    let events = events(run).await;
    assert!(
        matches!(events.last(), Some(EventKind::Finished { exit, .. }) if exit.cause == Some(ExitCause::TimedOut))
    );
}

#[tokio::test]
async fn a_lost_exit_is_an_error() {
    let stage = Stage::faulty(&[Fault::LostExit]);
    let mut run = stage.engine.run(stage.run(&["true"])).await.expect("it starts");
    let mut last = None;
    while let Some(event) = run.events.recv().await {
        last = Some(event);
    }
    assert_eq!(
        last.expect("there are events")
            .expect_err("the exit is lost")
            .kind(),
        ErrorKind::Broken
    );
    assert!(stage.world.sandboxes().is_empty());
}

#[tokio::test]
async fn a_sandbox_that_cannot_be_destroyed_is_told() {
    let stage = Stage::faulty(&[Fault::DestroyFails]);
    let events = events(stage.engine.run(stage.run(&["true"])).await.expect("it starts")).await;
    assert!(
        events
            .iter()
            .any(|event| matches!(event, EventKind::Notice(notice) if notice.code == "left_behind"))
    );
    assert!(matches!(events.last(), Some(EventKind::Finished { .. })));
}

#[tokio::test]
async fn a_kept_run_stays_stopped_under_its_name() {
    let stage = Stage::new();
    let mut request = stage.run(&["write", "/tmp/note", "kept"]);
    request.keep = true;
    request.sandbox.name = Some(name("mine"));
    assert_eq!(outcome(stage.engine.run(request).await).await.1, Exit::SUCCESS);
    let info = stage.engine.inspect(&name("mine")).await.expect("it is kept");
    assert_eq!(info.state, agentkernel_control::SandboxState::Stopped);
    assert_eq!(stage.exec(&name("mine"), &["cat", "/tmp/note"]).await.0, "kept");
}

#[tokio::test]
async fn a_dropped_run_that_is_kept_stays_and_its_command_does_not() {
    let stage = Stage::new();
    let mut request = stage.run(&["parent"]);
    request.keep = true;
    request.sandbox.name = Some(name("mine"));
    drop(stage.engine.run(request).await.expect("it starts"));
    let id = stage.world.sandboxes().remove(0);
    eventually("the command is gone", || stage.world.processes(&id) == 0).await;
    assert_eq!(
        stage
            .engine
            .inspect(&name("mine"))
            .await
            .expect("it is kept")
            .spec
            .id,
        id
    );
}

#[tokio::test]
async fn a_kept_run_that_has_run_out_of_time_is_stopped() {
    let stage = Stage::new();
    let mut request = stage.run(&["sleep"]);
    request.keep = true;
    request.sandbox.name = Some(name("mine"));
    request.sandbox.resources.timeout = "20ms".parse().ok();
    assert_eq!(outcome(stage.engine.run(request).await).await.1.exit_code(), 124);
    let info = stage.engine.inspect(&name("mine")).await.expect("it is kept");
    assert_eq!(info.state, agentkernel_control::SandboxState::Stopped);
}

#[tokio::test]
async fn a_kept_run_without_a_name_gets_one() {
    let stage = Stage::new();
    let mut request = stage.run(&["true"]);
    request.keep = true;
    outcome(stage.engine.run(request).await).await;
    let names: Vec<_> = stage
        .engine
        .list()
        .await
        .expect("a list")
        .into_iter()
        .filter_map(|i| i.spec.name)
        .collect();
    assert_eq!(names.len(), 1);
    assert!(
        names[0].as_str().starts_with("sandbox-") && names[0].as_str().len() == 14,
        "{names:?}"
    );
}

#[tokio::test]
async fn files_of_the_project_are_there_before_the_command() {
    let stage = Stage::new();
    std::fs::write(stage.project().join("settings"), "of the project").expect("a file");
    let mut request = stage.run(&["cat", "/etc/deep/settings"]);
    request.sandbox.files.push(InjectedFile {
        source: stage.project().join("settings"),
        dest: "/etc/deep/settings".parse().expect("a path"),
        mode: 0o600,
    });
    assert_eq!(
        outcome(stage.engine.run(request.clone()).await).await.0,
        "of the project"
    );
    request.sandbox.files[0].source = stage.project().join("none");
    let error = stage
        .engine
        .run(request)
        .await
        .expect_err("there is no such file");
    assert_eq!(
        (error.kind(), error.field()),
        (ErrorKind::NotFound, Some("files"))
    );
    assert!(stage.world.sandboxes().is_empty());
}

#[tokio::test]
async fn an_image_that_cannot_be_had_falls_back_to_the_host_with_one_notice() {
    let stage = Stage::new();
    let mut request = stage.run(&["python3", "-c", "print(1)"]);
    request.sandbox.image = None;
    let events = events(stage.engine.run(request).await.expect("it starts")).await;
    assert!(matches!(
        &events[0],
        EventKind::Started {
            image: ImageRef::Host,
            ..
        }
    ));
    let EventKind::Notice(notice) = &events[1] else {
        panic!("{:?}", events[1])
    };
    assert_eq!(notice.code, "host_image");
    assert!(
        notice
            .message
            .starts_with("using the host's own programs (image host): python:"),
        "{}",
        notice.message
    );
}

#[tokio::test]
async fn an_explicit_image_has_no_fallback() {
    let stage = Stage::new();
    let mut request = stage.run(&["true"]);
    request.sandbox.image = Some(ImageRef::Registry("python:3.12".to_owned()));
    let error = stage.engine.run(request).await.expect_err("it cannot be had");
    assert_eq!(
        (error.kind(), error.field()),
        (ErrorKind::Unsupported, Some("image"))
    );
    assert!(error.hint_text().expect("a way out").contains("--image host"));
}

#[tokio::test]
async fn a_detected_image_is_used_where_it_can_be_had() {
    let stage = Stage::with(everything(Isolation::Container), &[]);
    let mut request = stage.run(&["python3", "-c", "print(1)"]);
    request.sandbox.image = None;
    let explained = stage.engine.explain(&request).await.expect("a plan");
    assert!(
        explained.spec.image.as_str().starts_with("python:"),
        "{}",
        explained.spec.image
    );
    assert!(
        explained
            .choices
            .iter()
            .any(|choice| choice.what == "runtime" && choice.value == "python")
    );
    assert!(stage.world.sandboxes().is_empty());
}

#[tokio::test]
async fn what_the_backend_cannot_do_is_refused_before_anything_is_made() {
    let has = Capabilities {
        limit_memory: false,
        ..host_only(Isolation::Container)
    };
    let stage = Stage::with(has, &[]);
    let mut request = stage.run(&["true"]);
    request.sandbox.resources.memory = "64m".parse().ok();
    let error = stage.engine.run(request).await.expect_err("it cannot be limited");
    assert_eq!(
        (error.kind(), error.field()),
        (ErrorKind::Unsupported, Some("resources.memory"))
    );
    assert!(stage.world.sandboxes().is_empty());
}

#[tokio::test]
async fn variables_reach_the_command_and_the_callers_do_not() {
    let stage = Stage::new();
    let variable = |name: &str, value: &str| EnvVar::new(name, value).expect("a valid variable");
    let mut request = stage.run(&["env"]);
    request.sandbox.caller_env = vec![variable("SECRET_OF_CALLER", "1")];
    request.sandbox.env = vec![variable("GIVEN", "yes")];
    let (text, _) = outcome(stage.engine.run(request).await).await;
    assert!(
        text.contains("GIVEN=yes") && !text.contains("SECRET_OF_CALLER"),
        "{text}"
    );
}

#[tokio::test]
async fn the_restrictive_profile_has_no_network_and_a_read_only_root() {
    let stage = Stage::new();
    let mut request = stage.run(&["interfaces"]);
    request.sandbox.profile = Profile::Restrictive;
    request.sandbox.grants = Profile::Restrictive.grants();
    request.sandbox.network = NetworkPolicy::of(NetworkMode::None);
    assert_eq!(outcome(stage.engine.run(request.clone()).await).await.0, "lo\n");
    request.command = Some(common::command(&["write", "/etc/made", "x"]));
    assert_eq!(outcome(stage.engine.run(request).await).await.1, Exit::code(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_runs_at_once_end_each_with_its_own_code() {
    let stage = Stage::new();
    let runs = (0..100u8).map(|code| {
        let stage = &stage;
        async move {
            let text = code.to_string();
            let (_, exit) = outcome(stage.engine.run(stage.run(&["exit", &text])).await).await;
            assert_eq!(exit, Exit::code(code));
        }
    });
    futures_util::future::join_all(runs).await;
    assert!(stage.world.sandboxes().is_empty());
}

// A hanging start must not hang those who wait: dropping the future is how a caller gives up.
#[tokio::test]
async fn a_start_that_hangs_is_given_up_without_a_trace() {
    let stage = Stage::faulty(&[Fault::StartHangs]);
    let run = stage.engine.run(stage.run(&["true"]));
    assert!(
        tokio::time::timeout(Duration::from_millis(20), run)
            .await
            .is_err()
    );
    eventually("nothing is left", || stage.world.sandboxes().is_empty()).await;
}
