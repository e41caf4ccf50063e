//! Records as they are read: whole, or an error that names the file and spoils nothing else.

#![expect(clippy::unwrap_used, reason = "a test fails with a panic")]

mod support;

use std::{fs, os::unix::fs::symlink, path::PathBuf};

use agentkernel_store::{Error, Phase, Record, Store};
use agentkernel_types::ErrorKind;
use proptest::prelude::*;
use support::{name, record, sandboxes, store_in};

fn keep(store: &Store, text: &str) {
    store
        .reserve(&name(text), record())
        .unwrap()
        .update(|record| record.phase = Phase::Ready)
        .unwrap();
}

fn with_record(content: impl AsRef<[u8]>) -> (tempfile::TempDir, Store, PathBuf) {
    let temp = tempfile::tempdir().unwrap();
    let store = store_in(temp.path());
    for text in ["bad", "good", "other"] {
        keep(&store, text);
    }
    let path = sandboxes(temp.path()).join("bad/record.json");
    fs::write(&path, content).unwrap();
    (temp, store, path)
}

#[test]
fn reading_makes_nothing_and_finds_nothing_in_an_empty_home() {
    let temp = tempfile::tempdir().unwrap();
    let store = store_in(temp.path());
    assert_eq!(store.read(&name("a")).unwrap(), None);
    assert!(store.list().unwrap().is_empty());
    assert!(store.debris().unwrap().is_empty());
    assert_eq!(
        store.try_claim(&name("a")).unwrap_err().kind(),
        ErrorKind::NotFound
    );
    store.discard(&name("a")).unwrap();
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 0);
}

#[test]
fn a_listing_is_sorted_and_shows_only_sandboxes() {
    let temp = tempfile::tempdir().unwrap();
    let store = store_in(temp.path());
    for text in ["b", "a.1", "Z"] {
        keep(&store, text);
    }
    fs::write(sandboxes(temp.path()).join("no sandbox~"), "").unwrap();
    fs::create_dir(sandboxes(temp.path()).join(".new-x")).unwrap();
    let names: Vec<_> = store
        .list()
        .unwrap()
        .into_iter()
        .map(|entry| entry.record.unwrap().spec.name.unwrap())
        .collect();
    assert_eq!(names, [name("Z"), name("a.1"), name("b")]);
}

#[test]
fn a_record_that_cannot_be_used_is_one_error_with_file_and_remedy_and_hides_no_other() {
    let whole = serde_json::to_string(&{
        let mut record = record();
        record.spec.name = Some(name("bad"));
        record
    })
    .unwrap();
    let huge = format!("{whole}{}", " ".repeat(Record::MAX_LENGTH));
    let nested = "[".repeat(1 << 20);
    let cases = [
        ("empty", String::new()),
        ("truncated", whole[..whole.len() / 2].to_owned()),
        ("a wrong type", whole.replace("\"fake\"", "7")),
        ("an unknown field", whole.replacen('{', "{\"later\":1,", 1)),
        ("no version", whole.replace("\"schema_version\":1,", "")),
        (
            "version 0",
            whole.replace("\"schema_version\":1", "\"schema_version\":0"),
        ),
        (
            "an invalid name",
            whole.replace("\"name\":\"bad\"", "\"name\":\"../x\""),
        ),
        (
            "another's record",
            whole.replace("\"name\":\"bad\"", "\"name\":\"good\""),
        ),
        ("no name", whole.replace("\"name\":\"bad\"", "\"name\":null")),
        ("huge", huge),
        ("nested", nested),
        ("two records", whole.repeat(2)),
        ("NULs", "\0".repeat(100)),
    ];
    for (case, content) in cases {
        let (_temp, store, path) = with_record(content);
        let error = store.read(&name("bad")).expect_err(case);
        assert!(matches!(error, Error::Corrupt { .. }), "{case}: {error}");
        assert!(
            error.to_string().contains(path.to_str().unwrap()),
            "{case}: {error}"
        );
        assert!(
            error.hint().unwrap().contains("agentkernel remove --force bad"),
            "{case}"
        );
        let usable: Vec<_> = store
            .list()
            .unwrap()
            .iter()
            .map(|entry| entry.record.is_ok())
            .collect();
        assert_eq!(usable, [false, true, true], "{case}");
        assert!(store.try_claim(&name("bad")).is_err(), "{case}");
        assert!(
            store.debris().unwrap().is_empty(),
            "{case}: it is for a person to judge"
        );
        store.discard(&name("bad")).unwrap();
        assert_eq!(store.read(&name("bad")).unwrap(), None, "{case}");
    }
}

#[test]
fn a_record_of_a_newer_generation_is_refused_by_its_version_and_stays_as_it_is() {
    for content in [
        r#"{"schema_version": 2, "shape": "unknown"}"#.to_owned(),
        serde_json::to_string(&Record {
            schema_version: 2,
            ..record()
        })
        .unwrap(),
    ] {
        let (_temp, store, path) = with_record(&content);
        let error = store.read(&name("bad")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("schema version 2"), "{error}");
        assert!(store.try_claim(&name("bad")).is_err());
        assert_eq!(fs::read_to_string(path).unwrap(), content);
    }
}

#[test]
fn what_is_no_regular_file_is_no_record() {
    type Replace = fn(&PathBuf);
    let pipe = |path: &PathBuf| {
        assert!(
            std::process::Command::new("mkfifo")
                .arg(path)
                .status()
                .unwrap()
                .success()
        );
    };
    let cases: [(&str, Replace); 4] = [
        ("a folder", |path| fs::create_dir(path).unwrap()),
        ("a link", |path| symlink("../good/record.json", path).unwrap()),
        ("a pipe", pipe),
        ("missing", |_| {}),
    ];
    for (case, replace) in cases {
        let (_temp, store, path) = with_record("");
        fs::remove_file(&path).unwrap();
        replace(&path);
        let error = store.read(&name("bad")).expect_err(case);
        assert!(matches!(error, Error::Corrupt { .. }), "{case}: {error}");
    }
}

#[test]
fn a_record_that_is_too_long_is_never_written() {
    let temp = tempfile::tempdir().unwrap();
    let store = store_in(temp.path());
    let mut claim = store.reserve(&name("a"), record()).unwrap();
    claim.update(|record| record.phase = Phase::Ready).unwrap();
    let before = claim.record().clone();
    let error = claim
        .update(|record| record.handle = "x".repeat(Record::MAX_LENGTH).into())
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidSpec);
    assert_eq!(claim.record(), &before);
    assert_eq!(store.read(&name("a")).unwrap(), Some(before));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_record_is_read_as_it_was_written(
        backend in ".{0,20}", agent in proptest::option::of(".{0,20}"), created_at: u64,
        key in ".{0,9}", text in ".{0,99}", number: i64,
    ) {
        let temp = support::fast_folder();
        let store = store_in(temp.path());
        let mut claim = store.reserve(&name("a"), Record { backend, agent, created_at, ..record() }).unwrap();
        claim.update(|record| {
            record.handle = serde_json::json!({ key: [text, number.to_string()], "number": number });
            record.phase = Phase::Ready;
        }).unwrap();
        let read = store.read(&name("a")).unwrap();
        prop_assert_eq!(read.as_ref(), Some(claim.record()));
    }

    #[test]
    fn any_bytes_in_place_of_a_record_are_an_error_and_no_panic(content: Vec<u8>, cut in 0usize..400) {
        let (_temp, store, path) = with_record(&content);
        prop_assert!(store.read(&name("bad")).is_err());
        let sound = fs::read(path.parent().unwrap().parent().unwrap().join("good/record.json")).unwrap();
        fs::write(&path, &sound[..cut.min(sound.len() - 2)]).unwrap();
        prop_assert!(store.read(&name("bad")).is_err());
    }
}
