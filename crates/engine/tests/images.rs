//! From a name to an image of the store, and what then runs; nobody outside is asked.

mod common;

use std::fs;

use agentkernel_backend::Capabilities;
use agentkernel_conformance::fake::everything;
use agentkernel_control::{Control, EventKind, ImageAccess, PruneRequest, RunRequest};
use agentkernel_image::{
    ImageConfig, Reference, Source, Store,
    archive::{self, Import},
    unpack::Limits,
};
use agentkernel_types::{Digest, ErrorKind, ImageRef, Isolation, PullPolicy, RegistryImages};
use common::{Stage, command, events, name};

/// A port on which nobody listens.
const NOWHERE: &str = "localhost:1";

/// A backend that takes its images from our store.
fn stage() -> Stage {
    let capabilities = Capabilities {
        registry_images: RegistryImages::Layers,
        ..everything(Isolation::Container)
    };
    Stage::with(capabilities, &[])
}

fn store(stage: &Stage) -> Store {
    Store::new(stage.folder.path().join("data/images"))
}

/// A root file system with accounts, under a name.
fn add(stage: &Stage, name: &str, config: ImageConfig) -> Digest {
    let mut archive = tar::Builder::new(Vec::new());
    let passwd = b"root:x:0:0::/root:/bin/sh\napp:x:1234:1234::/:/bin/sh\n";
    let mut header = tar::Header::new_gnu();
    header.set_size(passwd.len() as u64);
    header.set_mode(0o644);
    archive
        .append_data(&mut header, "etc/passwd", &passwd[..])
        .expect("it goes to memory");
    let bytes = archive.into_inner().expect("it goes to memory");
    let import = Import {
        name: Some(name.parse::<Reference>().expect("a name of the test is valid")),
        source: Source::Archive { path: "-".to_owned() },
        config,
        limits: Limits::default(),
    };
    let writer = store(stage).writer().expect("a store can be made");
    let images = archive::import(&writer, &mut &bytes[..], &import).expect("it is an archive");
    images[0].id.clone()
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn of_image(stage: &Stage, image: &str, argv: Option<&[&str]>) -> RunRequest {
    let mut request = stage.run(&["true"]);
    request.sandbox.image = Some(image.parse().expect("an image of the test is valid"));
    request.command = argv.map(command);
    request
}

/// What would run.
async fn planned(stage: &Stage, request: &RunRequest) -> String {
    let explained = stage.engine.explain(request).await.expect("a plan");
    let choice = explained
        .choices
        .into_iter()
        .find(|choice| choice.what == "command");
    choice.expect("the command is told").value
}

async fn refusal(stage: &Stage, request: &RunRequest) -> agentkernel_control::Error {
    stage
        .engine
        .run(request.clone())
        .await
        .expect_err("it is refused")
}

#[tokio::test]
async fn an_image_of_the_store_is_found_by_name_id_and_beginning_of_an_id() {
    let stage = stage();
    let id = add(&stage, "tools/x:1", ImageConfig::default());
    for image in ["tools/x:1", "docker.io/tools/x:1", id.as_str()] {
        let explained = stage
            .engine
            .explain(&of_image(&stage, image, Some(&["true"])))
            .await
            .expect(image);
        assert_eq!(explained.spec.image_id.as_ref(), Some(&id), "{image}");
    }
}

#[tokio::test]
async fn entrypoint_and_command_go_together_as_with_docker() {
    let stage = stage();
    let config = ImageConfig {
        entrypoint: words(&["echo", "entry"]),
        cmd: words(&["default"]),
        ..ImageConfig::default()
    };
    add(&stage, "both", config);
    let cmd = words(&["echo", "only"]);
    add(
        &stage,
        "only",
        ImageConfig {
            cmd,
            ..ImageConfig::default()
        },
    );
    add(&stage, "silent", ImageConfig::default());
    let entry = |word: &str| Some(words(&[word]));
    type Case<'a> = (&'a str, Option<Vec<String>>, Option<&'a [&'a str]>, &'a str);
    let table: [Case<'_>; 7] = [
        ("both", None, None, r#"["echo", "entry", "default"]"#),
        ("both", None, Some(&["mine"]), r#"["echo", "entry", "mine"]"#),
        // With another entrypoint the image's command has no meaning.
        ("both", entry("true"), None, r#"["true"]"#),
        ("both", entry("echo"), Some(&["mine"]), r#"["echo", "mine"]"#),
        ("both", entry(""), Some(&["true"]), r#"["true"]"#),
        ("only", None, None, r#"["echo", "only"]"#),
        ("only", None, Some(&["true"]), r#"["true"]"#),
    ];
    for (image, entrypoint, argv, expected) in table {
        let mut request = of_image(&stage, image, argv);
        request.entrypoint = entrypoint;
        assert_eq!(planned(&stage, &request).await, expected, "{image}");
    }
    for (image, entrypoint) in [("silent", None), ("both", entry(""))] {
        let mut request = of_image(&stage, image, None);
        request.entrypoint = entrypoint;
        let error = refusal(&stage, &request).await;
        assert_eq!(
            (error.kind(), error.field()),
            (ErrorKind::InvalidSpec, Some("command")),
            "{error}"
        );
    }
    assert!(stage.world.sandboxes().is_empty(), "a refused run makes nothing");
}

#[tokio::test]
async fn what_the_image_says_is_explained_with_its_reasons() {
    let stage = stage();
    let config = ImageConfig {
        env: vec![("LANG".to_owned(), "C".to_owned())],
        user: Some("app".to_owned()),
        workdir: Some("/srv".to_owned()),
        cmd: words(&["true"]),
        ..ImageConfig::default()
    };
    add(&stage, "told", config);
    let mut request = of_image(&stage, "told", None);
    let told = |request: RunRequest| {
        let engine = stage.engine.clone();
        async move {
            let explained = engine.explain(&request).await.expect("a plan");
            let told = explained.choices.into_iter();
            told.map(|choice| format!("{}={}", choice.what, choice.value))
                .collect::<Vec<_>>()
        }
    };
    let said = told(request.clone()).await;
    for expected in ["user=1234:1234 (app)", "workdir=/srv", "env=LANG=C"] {
        assert!(said.iter().any(|said| said == expected), "{expected}: {said:?}");
    }
    request.sandbox.user = Some("0".parse().expect("a user"));
    request.sandbox.workdir = Some("/tmp".parse().expect("a path"));
    let said = told(request).await;
    assert!(said.iter().any(|said| said.starts_with("user=0:0")), "{said:?}");
    assert!(said.iter().any(|said| said == "workdir=/tmp"), "{said:?}");
}

#[tokio::test]
async fn nothing_is_fetched_where_there_is_nothing_to_run() {
    let stage = stage();
    let mut request = stage.run(&["true"]);
    request.command = None;
    for image in [None, Some(ImageRef::Host)] {
        request.sandbox.image = image;
        let error = refusal(&stage, &request).await;
        assert_eq!(error.field(), Some("command"), "{error}");
        let error = stage
            .engine
            .explain(&request)
            .await
            .expect_err("nothing to explain");
        assert_eq!(error.field(), Some("command"), "{error}");
    }
    request.entrypoint = Some(words(&["true"]));
    let (_, exit) = common::outcome(stage.engine.run(request).await).await;
    assert!(exit.is_success());
}

#[tokio::test]
async fn never_refuses_with_the_command_that_pulls() {
    let stage = stage();
    let error = refusal(&stage, &of_image(&stage, "absent:1", Some(&["true"]))).await;
    assert_eq!(
        (error.kind(), error.field()),
        (ErrorKind::NotFound, Some("image"))
    );
    assert_eq!(
        error.hint_text(),
        Some("agentkernel image pull absent:1, or --image host for this machine's own programs")
    );
}

#[tokio::test]
async fn explain_asks_nobody_and_says_where_an_image_would_come_from() {
    let stage = stage();
    let mut request = of_image(&stage, &format!("{NOWHERE}/x:1"), Some(&["true"]));
    request.sandbox.images.policy = PullPolicy::Missing;
    let explained = stage
        .engine
        .explain(&request)
        .await
        .expect("a plan without an image");
    let choice = explained.choices.iter().find(|choice| choice.what == "image id");
    let why = &choice.expect("it is told").why;
    assert!(why.contains("would be") && why.contains(NOWHERE), "{why}");
    assert_eq!(explained.spec.image_id, None);
    // Without a command nothing can be said of it either, and that is no failure.
    request.command = None;
    assert_eq!(planned(&stage, &request).await, "not known yet");
}

#[tokio::test]
async fn a_detected_image_that_is_not_here_gives_way_to_the_host() {
    let stage = stage();
    let mut request = stage.run(&["python3", "-c", "print(1)"]);
    request.sandbox.image = None;
    let events = events(stage.engine.run(request.clone()).await.expect("it starts")).await;
    let EventKind::Started { image, .. } = &events[0] else {
        panic!("{:?}", events[0])
    };
    assert_eq!(*image, ImageRef::Host);
    let EventKind::Notice(notice) = &events[1] else {
        panic!("{:?}", events[1])
    };
    let message = &notice.message;
    assert!(
        message.contains("is not in the store") && message.contains("agentkernel image pull python:"),
        "{message}"
    );
    assert!(!matches!(events[2], EventKind::Notice(_)), "one line is enough");
}

#[tokio::test]
async fn a_registry_that_was_out_of_reach_is_not_waited_for_again() {
    let stage = stage();
    let memory = stage.folder.path().join("cache/unreachable");
    fs::create_dir_all(&memory).expect("a folder");
    fs::write(memory.join("docker.io"), "the cable was cut").expect("a file");
    let mut request = stage.run(&["python3", "-c", "print(1)"]);
    request.sandbox.image = None;
    request.sandbox.images.policy = PullPolicy::Missing;
    let events = events(stage.engine.run(request).await.expect("it starts")).await;
    let EventKind::Notice(notice) = &events[1] else {
        panic!("{:?}", events[1])
    };
    assert!(notice.message.contains("the cable was cut"), "{}", notice.message);
}

#[tokio::test]
async fn an_image_that_was_asked_for_is_tried_each_time_and_the_failure_is_remembered() {
    let stage = stage();
    let memory = stage.folder.path().join("cache/unreachable/localhost_1");
    fs::create_dir_all(memory.parent().expect("it has a parent")).expect("a folder");
    fs::write(&memory, "an old story").expect("a file");
    let mut request = of_image(&stage, &format!("{NOWHERE}/x:1"), Some(&["true"]));
    // Also where the image is here: what is wanted is what the registry has now.
    add(&stage, &format!("{NOWHERE}/x:1"), ImageConfig::default());
    request.sandbox.images.policy = PullPolicy::Always;
    let error = refusal(&stage, &request).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(!error.message().contains("an old story"), "{error}");
    let kept = fs::read_to_string(&memory).expect("it is remembered");
    assert_eq!(kept, error.message());
}

#[tokio::test]
async fn a_locked_name_means_its_digest_and_nothing_else() {
    let stage = stage();
    add(&stage, "tool:1", ImageConfig::default());
    let mut request = of_image(&stage, "tool:1", Some(&["true"]));
    let pinned = Digest::from_sha256([7; 32]);
    request.sandbox.images = ImageAccess {
        pinned: [("docker.io/library/tool:1".to_owned(), pinned.clone())].into(),
        ..request.sandbox.images
    };
    let error = refusal(&stage, &request).await;
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.message().contains(pinned.as_str()), "{error}");
    // The user's own digest is not overruled.
    let own = format!("tool:1@{}", Digest::from_sha256([8; 32]));
    request.sandbox.image = Some(own.parse().expect("an image"));
    let error = refusal(&stage, &request).await;
    assert!(error.message().contains(&"08".repeat(32)), "{error}");
}

#[tokio::test]
async fn images_of_kept_sandboxes_stay() {
    let stage = stage();
    let id = add(&stage, "kept:1", ImageConfig::default());
    let free = add(
        &stage,
        "free:1",
        ImageConfig {
            cmd: words(&["true"]),
            ..ImageConfig::default()
        },
    );
    let mut request = stage.named("box");
    request.image = Some("kept:1".parse().expect("an image"));
    stage.engine.create(request).await.expect("it is made");
    stage
        .engine
        .stop(&name("box"), std::time::Duration::ZERO)
        .await
        .expect("it stops");

    let images = stage.engine.images();
    let error = images.remove("kept:1", true).await.expect_err("it is in use");
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    let all = PruneRequest {
        all: true,
        ..PruneRequest::default()
    };
    let removed = images.prune(all.clone()).await.expect("it can be pruned");
    assert_eq!(removed.images, [free]);
    let listed = images.list().await.expect("a list").images;
    assert_eq!((listed.len(), &listed[0].id, listed[0].in_use), (1, &id, true));

    stage.engine.remove(&name("box"), true).await.expect("it goes");
    let removed = images.prune(all).await.expect("it can be pruned");
    assert_eq!(removed.images, [id]);
}

#[tokio::test]
async fn a_record_that_cannot_be_read_may_speak_of_any_image() {
    let stage = stage();
    let id = add(&stage, "x:1", ImageConfig::default());
    let mut request = stage.named("box");
    request.image = Some("x:1".parse().expect("an image"));
    stage.engine.create(request).await.expect("it is made");
    fs::write(stage.sandboxes_folder().join("box/record.json"), "{").expect("a damaged record");
    let images = stage.engine.images();
    // Looking is allowed, removing is not.
    assert_eq!(images.list().await.expect("a list").images[0].id, id);
    assert_eq!(images.inspect("x:1").await.expect("it is there").info.id, id);
    let error = images.remove("x:1", true).await.expect_err("nobody knows");
    assert!(error.message().contains("box"), "{error}");
    let all = PruneRequest {
        all: true,
        ..PruneRequest::default()
    };
    images.prune(all).await.expect_err("nobody knows");
    assert_eq!(images.list().await.expect("a list").images.len(), 1);
}

#[tokio::test]
async fn what_a_broken_pull_left_is_collected() {
    let stage = stage();
    add(&stage, "x:1", ImageConfig::default());
    let left = stage.folder.path().join("data/images/incoming/half.download");
    fs::write(&left, "half").expect("a file");
    let dry = stage.engine.gc(true).await.expect("it can be looked at");
    assert!(
        left.exists()
            && dry
                .removed
                .iter()
                .any(|left| left.name.ends_with("half.download"))
    );
    let report = stage.engine.gc(false).await.expect("it is collected");
    assert!(!left.exists() && report.failed.is_empty(), "{report:?}");
    assert_eq!(
        stage.engine.images().list().await.expect("a list").images.len(),
        1
    );
}

#[tokio::test]
async fn an_ephemeral_run_of_the_host_image_makes_no_store() {
    let stage = stage();
    common::outcome(stage.engine.run(stage.run(&["true"])).await).await;
    assert!(!stage.folder.path().join("data").exists());
}
