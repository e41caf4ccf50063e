//! A process that is killed at any step leaves a whole sandbox, or debris that is found and swept.

#![expect(clippy::unwrap_used, reason = "a test fails with a panic")]

mod support;

use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::process::ExitStatusExt,
    path::Path,
    time::{Duration, SystemTime},
};

use agentkernel_store::{Phase, Store};
use support::{child, fast_folder, name, record, sandboxes, snapshot, store_in};

/// Writes each step's name to a log and dies at the one whose number the parent chose.
fn log_or_die(step: &'static str) {
    let base = std::env::var_os("STORE_TEST_BASE").expect("the parent says where");
    let log = Path::new(&base).join("steps");
    let number = fs::read_to_string(&log).unwrap_or_default().lines().count();
    let mut file = OpenOptions::new().append(true).create(true).open(&log).unwrap();
    writeln!(file, "{step}").unwrap();
    if std::env::var("STORE_TEST_DIE_AT").is_ok_and(|chosen| chosen == number.to_string()) {
        let own = rustix::process::getpid();
        rustix::process::kill_process(own, rustix::process::Signal::KILL).unwrap();
    }
}

/// A whole life: given up, made, updated, removed, and a sweep of what an earlier crash has left.
#[test]
#[ignore = "a child of the tests below"]
fn life() {
    let base = std::env::var_os("STORE_TEST_BASE").expect("the parent says where");
    let store = store_in(Path::new(&base)).with_steps(log_or_die);
    drop(store.reserve(&name("given-up"), record()).unwrap());

    let mut claim = store.reserve(&name("victim"), record()).unwrap();
    fs::create_dir_all(claim.workspace().join("deep/er")).unwrap();
    fs::write(claim.workspace().join("deep/er/file"), "content").unwrap();
    claim.update(|record| record.phase = Phase::Ready).unwrap();
    claim
        .update(|record| record.agent = Some("updated".to_owned()))
        .unwrap();
    drop(claim);
    store.claim(&name("victim")).unwrap().remove().unwrap();

    let mut claim = store.reserve(&name("victim"), record()).unwrap();
    claim.update(|record| record.phase = Phase::Removing).unwrap();
    drop(claim);
    sweep_all(&store);
}

fn sweep_all(store: &Store) {
    for debris in store
        .debris_as_of(SystemTime::now() + Duration::from_secs(100))
        .unwrap()
    {
        assert!(store.sweep(&debris).unwrap(), "{debris}");
    }
}

fn base_with_a_bystander() -> tempfile::TempDir {
    let temp = fast_folder();
    let store = store_in(temp.path());
    let mut claim = store.reserve(&name("bystander"), record()).unwrap();
    fs::write(claim.workspace().join("file"), "precious").unwrap();
    claim.update(|record| record.phase = Phase::Ready).unwrap();
    temp
}

#[test]
fn a_kill_at_any_step_leaves_whole_sandboxes_and_debris_that_is_found() {
    let rehearsal = base_with_a_bystander();
    assert!(
        child("life")
            .env("STORE_TEST_BASE", rehearsal.path())
            .status()
            .unwrap()
            .success()
    );
    let steps = fs::read_to_string(rehearsal.path().join("steps")).unwrap();
    assert!(steps.lines().count() > 30, "{steps}");

    for (number, step) in steps.lines().enumerate() {
        let temp = base_with_a_bystander();
        let bystander = sandboxes(temp.path()).join("bystander");
        let before = snapshot(&bystander);
        let status = child("life")
            .env("STORE_TEST_BASE", temp.path())
            .env("STORE_TEST_DIE_AT", number.to_string())
            .status()
            .unwrap();
        assert_eq!(status.signal(), Some(9), "step {number}, {step}");
        check_after_crash(temp.path(), &format!("step {number}, {step}"));
        assert_eq!(snapshot(&bystander), before, "step {number}, {step}");
    }
}

fn check_after_crash(base: &Path, step: &str) {
    let store = store_in(base);
    let before: Vec<_> = store.list().unwrap();
    assert!(
        before.iter().all(|entry| entry.record.is_ok()),
        "{step}: {before:?}"
    );
    sweep_all(&store);
    assert!(store.debris().unwrap().is_empty(), "{step}");

    let victim = name("victim");
    let mut left: Vec<String> = fs::read_dir(sandboxes(base))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    match store.read(&victim).unwrap() {
        None => assert_eq!(left, ["bystander"], "{step}"),
        Some(record) => {
            assert_eq!(
                (left, record.phase),
                (vec!["bystander".into(), "victim".into()], Phase::Ready),
                "{step}"
            );
            let inside: Vec<_> = snapshot(&sandboxes(base).join("victim"))
                .into_iter()
                .map(|(path, _)| path)
                .collect();
            let expected = [
                "lock",
                "record.json",
                "workspace",
                "workspace/deep",
                "workspace/deep/er",
                "workspace/deep/er/file",
            ];
            assert_eq!(
                inside,
                expected.map(|path| sandboxes(base).join("victim").join(path)),
                "{step}"
            );
            let content = fs::read(store.workspace(&victim).join("deep/er/file")).unwrap();
            assert_eq!(content, b"content", "{step}");
            store.try_claim(&victim).expect(step).remove().unwrap();
        }
    }
    drop(store.reserve(&victim, record()).expect("the name is free again"));
}
