//! Kept sandboxes: their life, and many processes at once.

mod common;

use std::time::Duration;

use agentkernel_conformance::fake::Fault;
use agentkernel_control::{Control, LogStream, SandboxState};
use agentkernel_store::Store;
use agentkernel_types::{ErrorKind, Exit, ExitCause};
use common::{Stage, collect, eventually, exec_spec, name, paths};

const GRACE: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_sandbox_goes_from_made_to_removed() {
    let stage = Stage::new();
    let one = name("one");
    let made = stage.engine.create(stage.named("one")).await.expect("it is made");
    assert_eq!(
        (made.state, made.backend.as_str()),
        (SandboxState::Running, "fake")
    );
    assert_eq!(stage.exec(&one, &["exit", "5"]).await.1, Exit::code(5));
    assert_eq!(
        stage.engine.stop(&one, GRACE).await.expect("it stops").state,
        SandboxState::Stopped
    );
    assert_eq!(
        stage.engine.start(&one).await.expect("it starts").state,
        SandboxState::Running
    );
    assert_eq!(stage.engine.list().await.expect("a list").len(), 1);
    stage.engine.remove(&one, true).await.expect("it goes");
    assert!(stage.engine.list().await.expect("a list").is_empty());
    assert!(stage.world.sandboxes().is_empty());
    assert_eq!(
        std::fs::read_dir(stage.sandboxes_folder())
            .expect("a folder")
            .count(),
        0
    );
}

#[tokio::test]
async fn a_name_is_taken_once() {
    let stage = Stage::new();
    stage.engine.create(stage.named("one")).await.expect("it is made");
    let error = stage
        .other_process()
        .create(stage.named("one"))
        .await
        .expect_err("it is taken");
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert!(error.hint_text().is_some());
    assert_eq!(stage.world.sandboxes().len(), 1);
}

#[tokio::test]
async fn of_many_who_make_the_same_name_at_once_one_succeeds() {
    let stage = Stage::new();
    let makers = (0..8).map(|_| {
        let (engine, request) = (stage.other_process(), stage.named("one"));
        async move { engine.create(request).await }
    });
    let made = futures_util::future::join_all(makers).await;
    assert_eq!(made.iter().filter(|made| made.is_ok()).count(), 1);
    for error in made.into_iter().filter_map(Result::err) {
        assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}");
    }
    assert_eq!(stage.world.sandboxes().len(), 1);
}

#[tokio::test]
async fn of_many_who_remove_the_same_name_at_once_none_leaves_anything() {
    let stage = Stage::new();
    stage.engine.create(stage.named("one")).await.expect("it is made");
    let removers = (0..8).map(|_| {
        let engine = stage.other_process();
        async move { engine.remove(&name("one"), true).await }
    });
    for removed in futures_util::future::join_all(removers).await {
        removed.expect("with force the gone is a success");
    }
    assert!(stage.world.sandboxes().is_empty());
}

#[tokio::test]
async fn what_does_not_exist_is_not_found_by_any_verb() {
    let stage = Stage::new();
    let none = name("none");
    let engine = &stage.engine;
    let path = "/tmp".parse().expect("a path");
    let errors = [
        engine.start(&none).await.err(),
        engine.stop(&none, GRACE).await.err(),
        engine.inspect(&none).await.err(),
        engine.exec(&none, exec_spec(&["true"])).await.err(),
        engine.detached(&none).await.err(),
        engine.stats(&none).await.err(),
        engine.stat(&none, &path).await.err(),
        engine.copy_out(&none, &path).await.err(),
        engine.remove(&none, false).await.err(),
    ];
    for error in errors {
        let error = error.expect("it does not exist");
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        assert!(error.hint_text().is_some(), "{error} has no way out");
    }
    engine
        .remove(&none, true)
        .await
        .expect("with force the gone is a success");
}

#[tokio::test]
async fn a_running_sandbox_is_removed_only_with_force() {
    let stage = Stage::new();
    stage.engine.create(stage.named("one")).await.expect("it is made");
    let error = stage
        .engine
        .remove(&name("one"), false)
        .await
        .expect_err("it runs");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.hint_text().expect("a way out").contains("--force"));
    stage.engine.stop(&name("one"), GRACE).await.expect("it stops");
    stage
        .engine
        .remove(&name("one"), false)
        .await
        .expect("it is stopped");
    assert!(stage.world.sandboxes().is_empty());
}

#[tokio::test]
async fn exec_starts_a_stopped_sandbox_once_however_many_ask() {
    let stage = Stage::new();
    let id = stage
        .engine
        .create(stage.named("one"))
        .await
        .expect("it is made")
        .spec
        .id;
    stage.engine.stop(&name("one"), GRACE).await.expect("it stops");
    assert_eq!(stage.world.starts(&id), 1);
    let asks = (0..16).map(|code: u8| {
        let engine = stage.other_process();
        async move {
            let process = engine
                .exec(&name("one"), exec_spec(&["exit", &code.to_string()]))
                .await;
            assert_eq!(collect(process.expect("it starts")).await.1, Exit::code(code));
        }
    });
    futures_util::future::join_all(asks).await;
    assert_eq!(stage.world.starts(&id), 2);
}

#[tokio::test]
async fn files_survive_stop_reboot_and_another_process() {
    let stage = Stage::new();
    let one = name("one");
    stage.engine.create(stage.named("one")).await.expect("it is made");
    stage.exec(&one, &["write", "/tmp/note", "kept"]).await;
    stage.world.reboot();
    let other = stage.other_process();
    assert_eq!(
        other.inspect(&one).await.expect("its record").state,
        SandboxState::Stopped
    );
    let process = other
        .exec(&one, exec_spec(&["cat", "/tmp/note"]))
        .await
        .expect("it starts again");
    assert_eq!(collect(process).await.0, "kept");
}

#[tokio::test]
async fn exec_in_a_running_sandbox_takes_no_lock() {
    let stage = Stage::new();
    stage.engine.create(stage.named("one")).await.expect("it is made");
    let store = Store::open(&paths(&stage.folder)).expect("the store");
    let _claim = store.try_claim(&name("one")).expect("nobody owns it");
    assert_eq!(stage.exec(&name("one"), &["exit", "3"]).await.1, Exit::code(3));
}

#[tokio::test]
async fn a_sandbox_that_was_lost_is_gone_and_can_be_removed() {
    let stage = Stage::new();
    let id = stage
        .engine
        .create(stage.named("one"))
        .await
        .expect("it is made")
        .spec
        .id;
    stage.world.lose(&id);
    assert_eq!(
        stage
            .engine
            .inspect(&name("one"))
            .await
            .expect("its record")
            .state,
        SandboxState::Gone
    );
    let error = stage
        .engine
        .start(&name("one"))
        .await
        .expect_err("there is nothing to be started");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    stage
        .engine
        .remove(&name("one"), false)
        .await
        .expect("it does not run");
    assert!(stage.engine.list().await.expect("a list").is_empty());
}

#[tokio::test]
async fn a_create_that_fails_leaves_neither_record_nor_sandbox() {
    for fault in [Fault::CreateFails, Fault::StartFails] {
        let stage = Stage::faulty(&[fault]);
        stage
            .engine
            .create(stage.named("one"))
            .await
            .expect_err("it was planted");
        eventually("the sandbox is gone", || stage.world.sandboxes().is_empty()).await;
        assert_eq!(
            std::fs::read_dir(stage.sandboxes_folder())
                .expect("a folder")
                .count(),
            0,
            "{fault:?}"
        );
    }
}

#[tokio::test]
async fn a_create_that_is_dropped_leaves_neither_record_nor_sandbox() {
    use futures_util::FutureExt;
    for polls in 0..10 {
        let stage = Stage::new();
        let request = stage.named("one");
        let made = {
            let mut making = stage.engine.create(request);
            let mut made = false;
            for _ in 0..polls {
                made = (&mut making).now_or_never().is_some();
                if made {
                    break;
                }
            }
            made
        };
        let left = usize::from(made);
        eventually("what is left is what was made", || {
            stage.world.sandboxes().len() == left
        })
        .await;
        let folders = || std::fs::read_dir(stage.sandboxes_folder()).map_or(0, Iterator::count);
        eventually("the records agree", || folders() == left).await;
    }
}

#[tokio::test]
async fn detached_commands_go_on_and_tell_their_end() {
    let stage = Stage::new();
    let one = name("one");
    stage.engine.create(stage.named("one")).await.expect("it is made");
    let error = stage
        .engine
        .logs(&one, None, LogStream::Stdout, false)
        .await
        .expect_err("there is none");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let id = stage
        .engine
        .exec_detached(&one, exec_spec(&["say", "out", "err", "6"]))
        .await
        .expect("it starts");
    let other = stage.other_process();
    let mut log = other
        .logs(&one, None, LogStream::Stdout, true)
        .await
        .expect("a log");
    let mut text = Vec::new();
    while let Some(chunk) = log.recv().await {
        text.extend_from_slice(&chunk.expect("a chunk"));
    }
    assert_eq!(text, b"out");
    let detached = other.inspect(&one).await.expect("it is there").detached;
    assert_eq!(
        (detached[0].id.clone(), detached[0].exit),
        (id.clone(), Some(Exit::code(6)))
    );
    let sleeping = other
        .exec_detached(&one, exec_spec(&["sleep"]))
        .await
        .expect("it starts");
    other.kill_detached(&one, &sleeping).await.expect("it is killed");
    let error = other
        .kill_detached(&name("none"), &sleeping)
        .await
        .expect_err("no such sandbox");
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_timeout_of_the_sandbox_holds_for_each_of_its_commands() {
    let stage = Stage::new();
    let mut request = stage.named("one");
    request.resources.timeout = "20ms".parse().ok();
    let id = stage.engine.create(request).await.expect("it is made").spec.id;
    let (_, exit) = stage.exec(&name("one"), &["sleep"]).await;
    assert_eq!(exit, Exit::signal(9).with_cause(ExitCause::TimedOut));
    eventually("the command is gone", || stage.world.processes(&id) == 0).await;
    assert_eq!(
        stage.exec(&name("one"), &["say", "quick", "", "2"]).await,
        ("quick".to_owned(), Exit::code(2))
    );
}

#[tokio::test]
async fn a_dropped_exec_is_killed() {
    for timeout in [None, "1h".parse().ok()] {
        let stage = Stage::new();
        let mut request = stage.named("one");
        request.resources.timeout = timeout;
        let id = stage.engine.create(request).await.expect("it is made").spec.id;
        drop(
            stage
                .engine
                .exec(&name("one"), exec_spec(&["parent"]))
                .await
                .expect("it starts"),
        );
        eventually("the command is gone", || stage.world.processes(&id) == 0).await;
    }
}

#[tokio::test]
async fn doctor_tells_of_every_backend() {
    let stage = Stage::new();
    let doctor = stage.engine.doctor().await.expect("a report");
    let usable: Vec<_> = doctor
        .backends
        .iter()
        .map(|backend| (backend.name, backend.usable))
        .collect();
    assert_eq!(
        usable,
        vec![("fake-vm", false), ("broken", false), ("fake", true)]
    );
    assert!(
        doctor
            .backends
            .iter()
            .all(|backend| backend.usable || backend.remedy.is_some())
    );
    let doctor = Stage::none().engine.doctor().await.expect("a report");
    assert!(doctor.findings[0].contains("no backend"), "{:?}", doctor.findings);
}
