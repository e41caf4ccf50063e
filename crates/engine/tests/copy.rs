//! Files in and out as tar streams.

mod common;

use std::collections::BTreeMap;

use agentkernel_control::{Control, Error};
use agentkernel_types::ErrorKind;
use bytes::Bytes;
use common::{
    archive::{Found, at, contents, copy_in, copy_out, header, stage},
    name,
};
use tokio::sync::mpsc;

fn sample() -> (Vec<u8>, BTreeMap<String, Found>) {
    let mut builder = tar::Builder::new(Vec::new());
    let long = format!("{}/{}", "d".repeat(120), "f".repeat(200));
    let files: [(&str, Vec<u8>, u32); 6] = [
        ("plain", b"text".to_vec(), 0o644),
        ("empty", Vec::new(), 0o600),
        ("sub/run", vec![0, 255, 10, 13], 0o755),
        ("with ü and 😀", b"unicode".to_vec(), 0o640),
        ("big", (0..300_000u32).map(|n| n as u8).collect(), 0o644),
        (&long, b"deep".to_vec(), 0o644),
    ];
    let mut expected = BTreeMap::new();
    builder
        .append_data(&mut header(tar::EntryType::Directory, 0, 0o755), "bare", &[][..])
        .expect("in memory");
    expected.insert("dest/bare".to_owned(), Found::Folder);
    for (path, content, mode) in files {
        let mut header = header(tar::EntryType::Regular, content.len() as u64, mode);
        builder
            .append_data(&mut header, path, &content[..])
            .expect("in memory");
        expected.insert(format!("dest/{path}"), Found::File(content, mode));
    }
    for target in ["plain".to_owned(), "/etc/passwd".to_owned(), "../".repeat(50)] {
        let link = format!("link{}", target.len());
        builder
            .append_link(&mut header(tar::EntryType::Symlink, 0, 0o777), &link, &target)
            .expect("in memory");
        expected.insert(format!("dest/{link}"), Found::Link(target.into()));
    }
    for folder in [
        "dest".to_owned(),
        "dest/sub".to_owned(),
        format!("dest/{}", "d".repeat(120)),
    ] {
        expected.insert(folder, Found::Folder);
    }
    (builder.into_inner().expect("in memory"), expected)
}

#[tokio::test]
async fn what_goes_in_comes_out() {
    let (archive, expected) = sample();
    for size in [1, 7, 511, 512, 513, 65_536, usize::MAX] {
        let stage = stage().await;
        copy_in(&stage, "/tmp/dest", &archive, size)
            .await
            .expect("a good archive");
        assert_eq!(
            contents(&copy_out(&stage, "/tmp/dest").await),
            expected,
            "in chunks of {size}"
        );
    }
}

#[tokio::test]
async fn what_came_out_can_go_in_again() {
    let stage = stage().await;
    let (archive, _) = sample();
    copy_in(&stage, "/tmp/dest", &archive, 4096)
        .await
        .expect("a good archive");
    let out = copy_out(&stage, "/tmp/dest").await;
    copy_in(&stage, "/tmp/again", &out, 1000)
        .await
        .expect("our own archive");
    assert_eq!(copy_out(&stage, "/tmp/again/dest").await, out);
    // A second time over what is there already.
    copy_in(&stage, "/tmp/again", &out, 1000)
        .await
        .expect("our own archive");
    assert_eq!(copy_out(&stage, "/tmp/again/dest").await, out);
}

#[tokio::test]
async fn a_single_file_comes_out_under_its_name() {
    let stage = stage().await;
    let found = contents(&copy_out(&stage, "/etc/passwd").await);
    assert_eq!(found.keys().collect::<Vec<_>>(), vec!["passwd"]);
}

#[tokio::test]
async fn a_missing_path_is_not_found() {
    let stage = stage().await;
    let error = stage
        .engine
        .copy_out(&name("one"), &at("/no/such"))
        .await
        .expect_err("it is missing");
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_stopped_sandbox_is_started_for_a_copy() {
    let stage = stage().await;
    stage
        .engine
        .stop(&name("one"), std::time::Duration::ZERO)
        .await
        .expect("it stops");
    assert_eq!(
        stage
            .engine
            .stat(&name("one"), &at("/etc/passwd"))
            .await
            .expect("it is there")
            .name,
        b"passwd"
    );
}

#[tokio::test]
async fn a_dropped_archive_ends_the_packing() {
    let stage = stage().await;
    let (archive, _) = sample();
    copy_in(&stage, "/tmp/dest", &archive, 4096)
        .await
        .expect("a good archive");
    let mut out = stage
        .engine
        .copy_out(&name("one"), &at("/tmp/dest"))
        .await
        .expect("it is there");
    out.recv().await.expect("a first chunk").expect("it is readable");
    drop(out);
    assert_eq!(stage.exec(&name("one"), &["exit", "3"]).await.1.exit_code(), 3);
}

#[tokio::test]
async fn a_broken_stream_is_an_error_and_leaves_the_old_file() {
    let stage = stage().await;
    let (archive, _) = sample();
    copy_in(&stage, "/tmp/dest", &archive, 4096)
        .await
        .expect("a good archive");
    let before = copy_out(&stage, "/tmp/dest").await;
    let (sender, receiver) = mpsc::channel(8);
    let mut part = tar::Builder::new(Vec::new());
    part.append_data(
        &mut header(tar::EntryType::Regular, 2000, 0o644),
        "plain",
        &[b'x'; 2000][..],
    )
    .expect("in memory");
    let part = part.into_inner().expect("in memory");
    sender
        .try_send(Ok(Bytes::copy_from_slice(&part[..1000])))
        .expect("there is room");
    sender
        .try_send(Err(Error::new(ErrorKind::TimedOut, "copy", "the reader failed")))
        .expect("there is room");
    drop(sender);
    let error = stage
        .engine
        .copy_in(&name("one"), &at("/tmp/dest"), receiver)
        .await
        .expect_err("it is broken");
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert_eq!(copy_out(&stage, "/tmp/dest").await, before);
}

#[tokio::test]
async fn a_hard_link_becomes_a_file_of_its_own() {
    let stage = stage().await;
    let mut builder = tar::Builder::new(Vec::new());
    builder
        .append_data(
            &mut header(tar::EntryType::Regular, 4, 0o640),
            "a/one",
            &b"same"[..],
        )
        .expect("in memory");
    builder
        .append_link(&mut header(tar::EntryType::Link, 0, 0o644), "two", "a/one")
        .expect("in memory");
    copy_in(
        &stage,
        "/tmp/dest",
        &builder.into_inner().expect("in memory"),
        512,
    )
    .await
    .expect("a good archive");
    let found = contents(&copy_out(&stage, "/tmp/dest").await);
    assert_eq!(found["dest/two"], Found::File(b"same".to_vec(), 0o640));
}

#[tokio::test]
async fn set_id_bits_do_not_pass() {
    let stage = stage().await;
    let mut builder = tar::Builder::new(Vec::new());
    builder
        .append_data(&mut header(tar::EntryType::Regular, 1, 0o6755), "tool", &b"x"[..])
        .expect("in memory");
    copy_in(
        &stage,
        "/tmp/dest",
        &builder.into_inner().expect("in memory"),
        512,
    )
    .await
    .expect("a good archive");
    assert_eq!(
        contents(&copy_out(&stage, "/tmp/dest").await)["dest/tool"],
        Found::File(b"x".to_vec(), 0o755)
    );
}
