//! Archives, and a sandbox to copy them in and out.

#![allow(dead_code, reason = "each test file uses its own part of it")]

use std::{collections::BTreeMap, io::Read, path::PathBuf};

use agentkernel_control::{ByteStream, Control, Result};
use agentkernel_types::GuestPath;
use bytes::Bytes;
use tokio::sync::mpsc;

use super::{Stage, name};

pub fn at(text: &str) -> GuestPath {
    text.parse().expect("a path of the test is valid")
}

/// A stream of `bytes` in chunks of `size`.
pub fn stream(bytes: &[u8], size: usize) -> ByteStream {
    let chunks: Vec<_> = bytes.chunks(size.max(1)).map(Bytes::copy_from_slice).collect();
    let (sender, receiver) = mpsc::channel(2);
    tokio::spawn(async move {
        for chunk in chunks {
            if sender.send(Ok(chunk)).await.is_err() {
                break;
            }
        }
    });
    receiver
}

pub async fn whole(mut stream: ByteStream) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.recv().await {
        bytes.extend_from_slice(&chunk?);
    }
    Ok(bytes)
}

pub async fn stage() -> Stage {
    let stage = Stage::new();
    stage.engine.create(stage.named("one")).await.expect("it is made");
    stage
}

pub async fn copy_in(stage: &Stage, path: &str, archive: &[u8], size: usize) -> Result<()> {
    stage
        .engine
        .copy_in(&name("one"), &at(path), stream(archive, size))
        .await
}

pub async fn copy_out(stage: &Stage, path: &str) -> Vec<u8> {
    whole(
        stage
            .engine
            .copy_out(&name("one"), &at(path))
            .await
            .expect("it is there"),
    )
    .await
    .expect("it is readable")
}

#[derive(Debug, Eq, PartialEq)]
pub enum Found {
    Folder,
    File(Vec<u8>, u32),
    Link(PathBuf),
}

/// What another reader of tar archives makes of it.
pub fn contents(archive: &[u8]) -> BTreeMap<String, Found> {
    let mut archive = tar::Archive::new(archive);
    let mut found = BTreeMap::new();
    for entry in archive.entries().expect("an archive") {
        let mut entry = entry.expect("an entry");
        let path = entry
            .path()
            .expect("a path")
            .to_string_lossy()
            .trim_end_matches('/')
            .to_owned();
        let mode = entry.header().mode().expect("a mode");
        let kind = entry.header().entry_type();
        let what = if kind.is_dir() {
            Found::Folder
        } else if kind.is_symlink() {
            Found::Link(entry.link_name().expect("a link").expect("a target").into_owned())
        } else {
            assert!(kind.is_file(), "{kind:?}");
            let mut content = Vec::new();
            entry.read_to_end(&mut content).expect("content");
            Found::File(content, mode)
        };
        assert!(
            found.insert(path.clone(), what).is_none(),
            "{path} is there twice"
        );
    }
    found
}

pub fn header(kind: tar::EntryType, size: u64, mode: u32) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(mode);
    header.set_mtime(1_000_000_000);
    header
}
