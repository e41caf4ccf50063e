//! What crashes leave of kept sandboxes, and who cleans it up.

mod common;

use agentkernel_backend::{Context, Workspace};
use agentkernel_conformance::fake::Fault;
use agentkernel_control::Control;
use agentkernel_store::{Phase, Record, Store};
use agentkernel_types::{ErrorKind, Exit};
use common::{Stage, exec_spec, name, paths};

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
        images_dir: paths.images(),
        network_program: Vec::new(),
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
async fn gc_leaves_alone_what_somebody_is_making() {
    use futures_util::FutureExt;
    for polls in 1..8 {
        let stage = Stage::new();
        let request = stage.named("one");
        let mut making = stage.engine.create(request);
        let mut made = None;
        for _ in 0..polls {
            made = (&mut making).now_or_never();
            if made.is_some() {
                break;
            }
        }
        let report = stage.other_process().gc(false).await.expect("a report");
        assert_eq!((report.removed.len(), report.failed.len()), (0, 0), "{report:?}");
        match made {
            Some(made) => made.expect("it was made before"),
            None => making.await.expect("it is made all the same"),
        };
        assert_eq!(stage.exec(&name("one"), &["exit", "3"]).await.1, Exit::code(3));
    }
}
