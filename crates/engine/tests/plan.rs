//! What a request becomes: mounts, variables, limits, and the reasons that are told.

mod common;

use std::{os::unix::fs::symlink, path::PathBuf};

use agentkernel_backend::Capabilities;
use agentkernel_conformance::fake::FAKE;
use agentkernel_control::{Control, Explanation, Result, SandboxRequest};
use agentkernel_engine::{Engine, EngineOptions};
use agentkernel_store::Paths;
use agentkernel_types::{EnvVar, ErrorKind, Isolation, Mount, NetworkMode, RootAccess};
use common::{Stage, command, host_only, outcome};

async fn explain(stage: &Stage, change: impl FnOnce(&mut SandboxRequest)) -> Result<Explanation> {
    let mut request = stage.run(&["true"]);
    change(&mut request.sandbox);
    stage.engine.explain(&request).await
}

/// A home folder with a project, keys and an open file.
fn home(stage: &Stage) -> PathBuf {
    let home = stage
        .folder
        .path()
        .canonicalize()
        .expect("it is there")
        .join("home");
    for folder in ["work/project", ".ssh", "notes"] {
        std::fs::create_dir_all(home.join(folder)).expect("a folder");
    }
    for file in [".ssh/id_ed25519", ".netrc", "notes/open", "work/project/code"] {
        std::fs::write(home.join(file), file).expect("a file");
    }
    home
}

fn targets(explained: &Explanation) -> Vec<&str> {
    explained
        .spec
        .mounts
        .iter()
        .map(|mount| mount.target.as_str())
        .collect()
}

fn mount(text: &str) -> Mount {
    Mount::parse(text).expect("a mount of the test is valid")
}

#[tokio::test]
async fn nothing_of_the_host_is_mounted_by_default() {
    let stage = Stage::new();
    let explained = explain(&stage, |_| {}).await.expect("a plan");
    assert!(
        explained.spec.mounts.is_empty() && explained.spec.env.is_empty() && explained.spec.workdir.is_none()
    );
    assert_eq!(
        (explained.spec.root, explained.spec.network.policy.mode),
        (RootAccess::Writable, NetworkMode::Host)
    );
}

#[tokio::test]
async fn the_project_is_mounted_writable_at_its_own_path_and_is_the_working_directory() {
    let stage = Stage::new();
    let mut request = stage.run(&["pwd"]);
    request.sandbox.grants.mount_cwd = true;
    let (text, _) = outcome(stage.engine.run(request.clone()).await).await;
    assert_eq!(text.trim(), stage.project().display().to_string());
    request.command = Some(command(&["write", &format!("{}/made", text.trim()), "inside"]));
    assert!(
        outcome(stage.engine.run(request.clone()).await)
            .await
            .1
            .is_success()
    );
    assert_eq!(
        std::fs::read_to_string(stage.project().join("made")).expect("it is on the host"),
        "inside"
    );
    request.sandbox.workdir = "/tmp".parse().ok();
    request.command = Some(command(&["pwd"]));
    assert_eq!(outcome(stage.engine.run(request).await).await.0, "/tmp\n");
}

#[tokio::test]
async fn the_home_folder_is_mounted_without_its_credentials() {
    let stage = Stage::new();
    let home = home(&stage);
    let grant = |request: &mut SandboxRequest| {
        request.grants.mount_home = true;
        request.home_dir = Some(home.clone());
    };
    let explained = explain(&stage, grant).await.expect("a plan");
    let at = |name: &str| home.join(name).display().to_string();
    assert_eq!(targets(&explained), [at("notes"), at("work")]);
    assert!(explained.spec.mounts.iter().all(|mount| mount.read_only));
    let home_variable = explained
        .spec
        .env
        .iter()
        .find(|variable| variable.name() == "HOME")
        .expect("HOME is set");
    assert_eq!(home_variable.value(), home.display().to_string());

    let mut request = stage.run(&["cat", &at(".ssh/id_ed25519")]);
    grant(&mut request.sandbox);
    assert_eq!(
        outcome(stage.engine.run(request.clone()).await)
            .await
            .1
            .exit_code(),
        1
    );
    request.sandbox.credentials = vec![".ssh".to_owned()];
    assert_eq!(
        outcome(stage.engine.run(request).await).await.0,
        ".ssh/id_ed25519"
    );
}

#[tokio::test]
async fn a_project_in_the_home_folder_is_writable_in_it() {
    let stage = Stage::new();
    let home = home(&stage);
    for project in ["work/project", "work"] {
        let explained = explain(&stage, |request| {
            request.grants.mount_home = true;
            request.grants.mount_cwd = true;
            request.home_dir = Some(home.clone());
            request.project_dir = home.join(project);
        });
        let explained = explained.await.expect("a plan");
        let own = home.join(project).display().to_string();
        let pieces: Vec<_> = explained
            .spec
            .mounts
            .iter()
            .filter(|mount| mount.target.as_str() == own)
            .collect();
        assert_eq!(pieces.len(), 1, "{:?}", explained.spec.mounts);
        assert!(!pieces[0].read_only);
        assert_eq!(
            explained
                .spec
                .mounts
                .last()
                .expect("there are some")
                .target
                .as_str(),
            own
        );
    }
}

#[tokio::test]
async fn a_home_folder_that_is_not_known_is_refused() {
    let error = explain(&Stage::new(), |request| request.grants.mount_home = true)
        .await
        .expect_err("it is not known");
    assert_eq!(
        (error.kind(), error.field()),
        (ErrorKind::InvalidSpec, Some("mount_home"))
    );
    assert!(error.hint_text().is_some());
}

#[tokio::test]
async fn a_relative_mount_starts_at_the_project() {
    let stage = Stage::new();
    std::fs::create_dir(stage.project().join("data")).expect("a folder");
    symlink("data", stage.project().join("link")).expect("a link");
    for source in ["data", "./data", "link"] {
        let explained = explain(&stage, |request| {
            request.mounts.push(mount(&format!("{source}:/mnt/data:ro")))
        });
        let explained = explained.await.expect("a plan");
        assert_eq!(
            explained.spec.mounts[0].source,
            stage.project().join("data"),
            "{source}"
        );
    }
}

#[tokio::test]
async fn dangerous_mounts_are_refused_with_a_way_out() {
    let stage = Stage::new();
    let home = home(&stage);
    std::fs::create_dir_all(stage.folder.path().join("data/sandboxes")).expect("a folder");
    symlink("/etc", stage.project().join("innocent")).expect("a link");
    let at = |name: &str| home.join(name).display().to_string();
    let own = stage.folder.path().join("data").display().to_string();
    let wanted = [
        ("/".to_owned(), "/mnt/x", ErrorKind::Denied),
        ("/etc".to_owned(), "/mnt/x", ErrorKind::Denied),
        ("/proc".to_owned(), "/mnt/x", ErrorKind::Denied),
        ("innocent".to_owned(), "/mnt/x", ErrorKind::Denied),
        (at(""), "/mnt/x", ErrorKind::Denied),
        (at(".ssh"), "/mnt/x", ErrorKind::Denied),
        (at(".ssh/id_ed25519"), "/mnt/x", ErrorKind::Denied),
        (own, "/mnt/x", ErrorKind::Denied),
        (at("notes"), "/etc", ErrorKind::Denied),
        (at("notes"), "/usr", ErrorKind::Denied),
        (at("none"), "/mnt/x", ErrorKind::InvalidSpec),
    ];
    for (source, target, kind) in wanted {
        let text = format!("{source}:{target}");
        let error = explain(&stage, |request| {
            request.home_dir = Some(home.clone());
            request.mounts.push(mount(&text));
        });
        let error = error.await.expect_err(&text);
        assert_eq!(
            (error.kind(), error.field()),
            (kind, Some("mounts")),
            "{text}: {error}"
        );
        assert!(error.hint_text().is_some(), "{text} has no way out");
    }
}

#[tokio::test]
async fn our_own_folders_are_known_behind_links_and_before_they_exist() {
    let stage = Stage::new();
    let real = stage
        .folder
        .path()
        .canonicalize()
        .expect("it is there")
        .join("real");
    std::fs::create_dir(&real).expect("a folder");
    symlink(&real, stage.folder.path().join("alias")).expect("a link");
    let below = |name| stage.folder.path().join("alias").join(name);
    let paths = Paths {
        data: below("data"),
        ..common::paths(&stage.folder)
    };
    let engine = Engine::new(EngineOptions {
        paths,
        descriptors: vec![&FAKE],
        network_program: Vec::new(),
    });
    let mut request = stage.run(&["true"]);
    request
        .sandbox
        .mounts
        .push(mount(&format!("{}:/mnt/x", real.display())));
    let error = engine
        .explain(&request)
        .await
        .expect_err("it holds our own folder");
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
}

#[tokio::test]
async fn two_mounts_at_one_place_are_refused() {
    let stage = Stage::new();
    for folder in ["a", "b"] {
        std::fs::create_dir(stage.project().join(folder)).expect("a folder");
    }
    let error = explain(&stage, |request| {
        request.mounts = vec![mount("a:/mnt/x"), mount("b:/mnt/x")]
    });
    assert_eq!(
        error.await.expect_err("it is one place").kind(),
        ErrorKind::InvalidSpec
    );
    let nested = explain(&stage, |request| {
        request.mounts = vec![mount("a:/mnt/x/y"), mount("b:/mnt/x")]
    });
    assert_eq!(
        targets(&nested.await.expect("a plan")),
        ["/mnt/x", "/mnt/x/y"],
        "parents come first"
    );
}

#[tokio::test]
async fn the_callers_variables_pass_without_credentials_and_given_ones_win() {
    let variable = |name: &str, value: &str| EnvVar::new(name, value).expect("a valid variable");
    let stage = Stage::new();
    let explained = explain(&stage, |request| {
        request.grants.pass_env = true;
        request.caller_env = vec![
            variable("LANG", "C.UTF-8"),
            variable("HOME", "/home/ada"),
            variable("GITHUB_TOKEN", "secret"),
            variable("AWS_SECRET_ACCESS_KEY", "secret"),
            variable("EDITOR", "vi"),
        ];
        request.env = vec![variable("EDITOR", "ed")];
    });
    let env = explained.await.expect("a plan").spec.env;
    let names: Vec<_> = env
        .iter()
        .map(|variable| (variable.name(), variable.value()))
        .collect();
    assert_eq!(names, [("LANG", "C.UTF-8"), ("EDITOR", "vi"), ("EDITOR", "ed")]);
}

#[tokio::test]
async fn default_limits_hold_where_they_can_and_are_told_where_they_cannot() {
    let pids = |explained: &Explanation| {
        explained
            .choices
            .iter()
            .find(|choice| choice.what == "pids")
            .cloned()
    };
    let explained = explain(&Stage::new(), |_| {}).await.expect("a plan");
    assert_eq!(explained.spec.resources.pids, Some(4096));
    assert_eq!(pids(&explained).expect("it is told").why, "the default");
    let without = Stage::with(
        Capabilities {
            limit_pids: false,
            ..host_only(Isolation::Container)
        },
        &[],
    );
    let explained = explain(&without, |_| {}).await.expect("a plan");
    assert_eq!(
        (
            explained.spec.resources.pids,
            pids(&explained).expect("it is told").value
        ),
        (None, "none".to_owned())
    );
    let asked = explain(&without, |request| request.resources.pids = Some(10))
        .await
        .expect_err("it was asked for");
    assert_eq!(asked.field(), Some("resources.pids"));
}

#[tokio::test]
async fn every_decision_is_told_with_its_reason() {
    let stage = Stage::new();
    std::fs::write(stage.project().join("go.mod"), "module x\n\ngo 1.24\n").expect("a file");
    let explained = explain(&stage, |request| request.image = None)
        .await
        .expect("a plan");
    for what in ["runtime", "image", "network", "backend", "pids"] {
        let choice = explained.choices.iter().find(|choice| choice.what == what);
        assert!(
            choice.is_some_and(|choice| !choice.why.is_empty()),
            "{what} is not told"
        );
    }
    let error = explain(&stage, |request| {
        request.image = None;
        request.runtime = Some("cobol".to_owned());
    });
    assert_eq!(error.await.expect_err("it is not known").field(), Some("runtime"));
}
