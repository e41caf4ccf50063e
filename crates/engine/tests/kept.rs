//! Kept sandboxes: their life, many processes at once, and what crashes leave.

mod common;

use std::time::Duration;

use agentkernel_backend::{Context, Workspace};
use agentkernel_conformance::fake::Fault;
use agentkernel_control::{Control, LogStream, SandboxState};
use agentkernel_store::{Phase, Record, Store};
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

/// A process died after its step: the record is in that phase, the sandbox may be there, nobody holds the lock.
async fn crashed(stage: &Stage, phase: Phase, with_sandbox: bool, with_handle: bool) {
    let spec = {
        let info = stage
            .engine
            .create(stage.named("model"))
            .await
            .expect("it is made");
        stage.engine.remove(&name("model"), true).await.expect("it goes");
        agentkernel_types::SandboxSpec {
            name: Some(name("one")),
            ..info.spec
        }
    };
    let store = Store::open(&paths(&stage.folder)).expect("the store");
    let mut claim = store
        .reserve(&name("one"), Record::new(spec.clone(), "fake", 1))
        .expect("it is free");
    let fake = fake_of(stage).await;
    let mut handle = serde_json::Value::Null;
    if with_sandbox {
        let workspace = Workspace::Folder(claim.workspace());
        let sandbox = fake
            .create(&Context::default(), &spec, &workspace)
            .await
            .expect("it is made");
        sandbox.start(&Context::default()).await.expect("it starts");
        handle = sandbox.handle().0;
    }
    claim
        .update(|record| {
            // Anything but `Creating` is not undone by the drop of the claim.
            record.phase = Phase::Removing;
            record.handle = if with_handle {
                handle
            } else {
                serde_json::Value::Null
            };
        })
        .expect("it is written");
    drop(claim);
    if phase == Phase::Creating {
        let file = stage.sandboxes_folder().join("one/record.json");
        let text = std::fs::read_to_string(&file)
            .expect("a record")
            .replace("\"removing\"", "\"creating\"");
        std::fs::write(file, text).expect("it is written");
    }
}

async fn fake_of(stage: &Stage) -> std::sync::Arc<dyn agentkernel_backend::Backend> {
    let paths = paths(&stage.folder);
    let settings = agentkernel_backend::Settings {
        runtime_dir: paths.runtime,
        cache_dir: paths.cache,
    };
    (agentkernel_conformance::fake::FAKE.connect)(&settings)
        .await
        .expect("it is installed")
}

const CRASHES: [(Phase, bool, bool); 5] = [
    (Phase::Creating, false, false),
    (Phase::Creating, true, false),
    (Phase::Removing, true, true),
    (Phase::Removing, true, false),
    (Phase::Removing, false, false),
];

#[tokio::test]
async fn gc_finishes_what_a_crash_has_left() {
    for (phase, sandbox, handle) in CRASHES {
        let stage = Stage::new();
        crashed(&stage, phase, sandbox, handle).await;
        assert!(
            stage.engine.list().await.expect("a list").is_empty(),
            "what is not whole is not listed"
        );
        let dry = stage.engine.gc(true).await.expect("a report");
        assert!(
            dry.dry_run && !dry.removed.is_empty() && dry.failed.is_empty(),
            "{dry:?}"
        );
        assert_eq!(
            stage.world.sandboxes().len(),
            usize::from(sandbox),
            "a dry run changes nothing"
        );
        let report = stage.engine.gc(false).await.expect("a report");
        assert!(
            !report.removed.is_empty() && report.failed.is_empty(),
            "{report:?}"
        );
        assert!(stage.world.sandboxes().is_empty());
        assert_eq!(
            std::fs::read_dir(stage.sandboxes_folder())
                .expect("a folder")
                .count(),
            0
        );
        assert!(
            stage.engine.gc(false).await.expect("a report").removed.is_empty(),
            "nothing is left for a second time"
        );
    }
}

#[tokio::test]
async fn the_next_command_finishes_what_a_crash_has_left() {
    for (phase, sandbox, handle) in CRASHES {
        let stage = Stage::new();
        crashed(&stage, phase, sandbox, handle).await;
        let error = stage
            .engine
            .exec(&name("one"), exec_spec(&["true"]))
            .await
            .expect_err("it is not whole");
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(stage.world.sandboxes().is_empty());

        let stage = Stage::new();
        crashed(&stage, phase, sandbox, handle).await;
        stage
            .engine
            .create(stage.named("one"))
            .await
            .expect("the name is free");
        assert_eq!(stage.world.sandboxes().len(), 1);

        let stage = Stage::new();
        crashed(&stage, phase, sandbox, handle).await;
        stage
            .engine
            .remove(&name("one"), false)
            .await
            .expect("removing goes on");
        assert!(stage.world.sandboxes().is_empty());
    }
}

#[tokio::test]
async fn gc_leaves_kept_sandboxes_alone_and_sweeps_what_nobody_knows() {
    let stage = Stage::new();
    let kept = stage
        .engine
        .create(stage.named("one"))
        .await
        .expect("it is made")
        .spec;
    let stray = agentkernel_types::SandboxSpec {
        id: "00000000beef".parse().expect("an id"),
        ..kept.clone()
    };
    let workspace = Workspace::Folder(stage.project());
    fake_of(&stage)
        .await
        .create(&Context::default(), &stray, &workspace)
        .await
        .expect("it is made");
    let report = stage.engine.gc(false).await.expect("a report");
    assert_eq!(report.removed.len(), 1);
    assert_eq!(report.removed[0].name, "00000000beef");
    assert_eq!(stage.world.sandboxes(), vec![kept.id]);
}

#[tokio::test]
async fn a_record_that_cannot_be_read_protects_everything_from_gc() {
    let stage = Stage::new();
    stage.engine.create(stage.named("one")).await.expect("it is made");
    std::fs::write(stage.sandboxes_folder().join("one/record.json"), "{").expect("it is written");
    let report = stage.engine.gc(false).await.expect("a report");
    assert_eq!((report.removed.len(), stage.world.sandboxes().len()), (0, 1));
    assert!(!report.failed.is_empty());
    let doctor = stage.engine.doctor().await.expect("a report");
    assert!(
        doctor.findings.iter().any(|finding| finding.contains("one")),
        "{:?}",
        doctor.findings
    );
    stage
        .engine
        .remove(&name("one"), true)
        .await
        .expect("with force it goes");
    assert_eq!(stage.engine.gc(false).await.expect("a report").removed.len(), 1);
    assert!(stage.world.sandboxes().is_empty());
}

#[tokio::test]
async fn a_removal_that_fails_is_finished_later() {
    let stage = Stage::new();
    stage.engine.create(stage.named("one")).await.expect("it is made");
    let broken = stage.other_process_with(&[Fault::DestroyFails]);
    broken
        .remove(&name("one"), true)
        .await
        .expect_err("it was planted");
    assert_eq!(stage.world.sandboxes().len(), 1);
    stage.engine.gc(false).await.expect("a report");
    assert!(stage.world.sandboxes().is_empty());
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
