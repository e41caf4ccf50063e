//! Which backend is chosen, and what is said when none can.

mod common;

use agentkernel_backend::Capabilities;
use agentkernel_control::{Control, Explanation, Result};
use agentkernel_types::{ErrorKind, Isolation, NetworkMode, NetworkPolicy};
use common::{Stage, host_only, name, offline};

async fn explain(
    stage: &Stage,
    change: impl FnOnce(&mut agentkernel_control::SandboxRequest),
) -> Result<Explanation> {
    let mut request = stage.run(&["true"]);
    change(&mut request.sandbox);
    stage.engine.explain(&request).await
}

fn both() -> Stage {
    Stage::two(host_only(Isolation::Container), host_only(Isolation::Vm))
}

#[tokio::test]
async fn the_best_isolation_is_chosen() {
    let explained = explain(&both(), |_| {}).await.expect("a plan");
    assert_eq!(
        (explained.backend.as_str(), explained.isolation),
        ("fake-vm", Isolation::Vm)
    );
    assert!(
        explained
            .choices
            .iter()
            .any(|choice| choice.what == "backend" && choice.value == "fake-vm")
    );
}

#[tokio::test]
async fn what_the_best_cannot_do_goes_to_the_next() {
    let stage = Stage::two(host_only(Isolation::Container), offline(Isolation::Vm));
    assert_eq!(explain(&stage, |_| {}).await.expect("a plan").backend, "fake");
    let explained = explain(&stage, |request| {
        request.network = NetworkPolicy::of(NetworkMode::None)
    })
    .await
    .expect("a plan");
    assert_eq!(explained.backend, "fake-vm");
}

#[tokio::test]
async fn a_minimum_is_never_undercut() {
    let stage = Stage::new();
    let error = explain(&stage, |request| request.isolation = Some(Isolation::Vm))
        .await
        .expect_err("there is none");
    assert_eq!(
        (error.kind(), error.field()),
        (ErrorKind::Unsupported, Some("isolation"))
    );
    for name in ["fake", "broken", "fake-vm"] {
        assert!(
            error.message().contains(&format!("{name}: ")),
            "{name} is not in {error}"
        );
    }
    let weaker = explain(&both(), |request| request.isolation = Some(Isolation::Container))
        .await
        .expect("a plan");
    assert_eq!(weaker.backend, "fake-vm");
}

#[tokio::test]
async fn a_named_backend_is_taken_or_fails() {
    let stage = both();
    let named = |text: &str| text.parse().ok();
    assert_eq!(
        explain(&stage, |request| request.backend = named("fake"))
            .await
            .expect("a plan")
            .backend,
        "fake"
    );
    let error = explain(&stage, |request| request.backend = named("broken"))
        .await
        .expect_err("it cannot be used");
    assert_eq!(
        (error.kind(), error.hint_text()),
        (ErrorKind::Unavailable, Some("install broken"))
    );
    let error = explain(&stage, |request| request.backend = named("unknown"))
        .await
        .expect_err("there is none");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.hint_text().expect("a way out").contains("fake-vm"));
}

#[tokio::test]
async fn a_named_backend_that_is_too_weak_is_refused() {
    let change = |request: &mut agentkernel_control::SandboxRequest| {
        request.backend = "fake".parse().ok();
        request.isolation = Some(Isolation::Vm);
    };
    let error = explain(&both(), change).await.expect_err("it is too weak");
    assert_eq!(
        (error.kind(), error.field()),
        (ErrorKind::Unsupported, Some("isolation"))
    );
}

#[tokio::test]
async fn the_error_tells_of_every_candidate_and_keeps_the_telling_kind() {
    let cannot = |isolation| Capabilities {
        limit_memory: false,
        ..host_only(isolation)
    };
    let stage = Stage::two(cannot(Isolation::Container), cannot(Isolation::Vm));
    let error = explain(&stage, |request| request.resources.memory = "64m".parse().ok())
        .await
        .expect_err("none can");
    assert_eq!(
        (error.kind(), error.field()),
        (ErrorKind::Unsupported, Some("resources.memory"))
    );
    assert!(
        error.message().contains("broken: broken is not installed"),
        "{error}"
    );
}

#[tokio::test]
async fn without_any_usable_backend_the_reason_is_unavailable() {
    let error = explain(&Stage::none(), |_| {}).await.expect_err("there is none");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn the_backend_of_a_sandbox_is_remembered() {
    let stage = both();
    let mut request = stage.named("one");
    request.backend = "fake".parse().ok();
    stage.engine.create(request).await.expect("it is made");
    assert_eq!(
        stage
            .engine
            .inspect(&name("one"))
            .await
            .expect("its record")
            .backend,
        "fake"
    );
    assert_eq!(
        (stage.world.sandboxes().len(), stage.vm_world.sandboxes().len()),
        (1, 0)
    );
}
