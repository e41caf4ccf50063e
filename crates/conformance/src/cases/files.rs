//! Files that go in and come out.

use std::sync::Arc;

use agentkernel_backend::{Error, FileKind, Files, MakeFile, Sandbox};
use agentkernel_types::{ErrorKind, GuestPath};
use bytes::Bytes;
use tokio::sync::mpsc;

use crate::{
    Failure, Program, Scene, Verdict,
    scene::{check, equal, refused},
};

list! {
    |has| has.files => a_written_file_is_read_back,
    |has| has.files => an_empty_file_is_written_and_read,
    |has| has.files => a_file_of_all_bytes_is_read_back,
    |has| has.files => four_mebibytes_are_written_and_read,
    |has| has.files => a_command_sees_a_written_file,
    |has| has.files => a_file_of_a_command_is_read,
    |has| has.files => a_written_file_has_its_mode_and_time,
    |has| has.files => set_id_bits_are_refused,
    |has| has.files => a_write_replaces_the_whole_file,
    |has| has.files => a_broken_write_leaves_the_old_content,
    |has| has.files => a_broken_write_of_a_new_file_leaves_nothing,
    |has| has.files => writing_into_a_missing_folder_is_not_found,
    |has| has.files => reading_a_missing_file_is_not_found,
    |has| has.files => reading_a_folder_is_refused,
    |has| has.files => files_are_refused_in_a_stopped_sandbox_or_work,
}

pub(super) fn path(text: &str) -> GuestPath {
    text.parse().expect("a path of the suite is valid")
}

pub(super) fn facet(sandbox: &Arc<dyn Sandbox>) -> Verdict<&dyn Files> {
    sandbox
        .files()
        .ok_or_else(|| Failure("files are declared, but there is no facet for them".to_owned()))
}

pub(super) const PLAIN: MakeFile = MakeFile {
    mode: 0o644,
    modified: None,
};

/// A channel that gives `items` and ends.
fn content(items: Vec<Result<Bytes, Error>>) -> mpsc::Receiver<Result<Bytes, Error>> {
    let (sender, receiver) = mpsc::channel(items.len().max(1));
    for item in items {
        sender
            .try_send(item)
            .expect("the channel has room for all of them");
    }
    receiver
}

pub(super) async fn write(scene: &Scene, files: &dyn Files, at: &str, bytes: &[u8]) -> Verdict {
    let chunks = bytes
        .chunks(64 << 10)
        .map(|chunk| Ok(Bytes::copy_from_slice(chunk)))
        .collect();
    Ok(files.write(&scene.cx, &path(at), PLAIN, content(chunks)).await?)
}

pub(super) async fn read(scene: &Scene, files: &dyn Files, at: &str) -> Result<Vec<u8>, Error> {
    let mut chunks = files.read(&scene.cx, &path(at)).await?;
    let mut read = Vec::new();
    while let Some(chunk) = chunks.recv().await {
        read.extend_from_slice(&chunk?);
    }
    Ok(read)
}

async fn read_back(scene: &Scene, bytes: &[u8]) -> Verdict {
    let sandbox = scene.running().await?;
    let files = facet(&sandbox)?;
    write(scene, files, "/tmp/file", bytes).await?;
    let found = read(scene, files, "/tmp/file").await?;
    equal(found.len(), bytes.len(), "bytes read")?;
    check(found == bytes, "the bytes are not those that were written")
}

async fn a_written_file_is_read_back(scene: &Scene) -> Verdict {
    read_back(scene, b"some text\n").await
}

async fn an_empty_file_is_written_and_read(scene: &Scene) -> Verdict {
    read_back(scene, b"").await
}

async fn a_file_of_all_bytes_is_read_back(scene: &Scene) -> Verdict {
    read_back(scene, &(0..=255).collect::<Vec<u8>>()).await
}

async fn four_mebibytes_are_written_and_read(scene: &Scene) -> Verdict {
    read_back(scene, &Program::pattern(4 << 20)).await
}

async fn a_command_sees_a_written_file(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    write(scene, facet(&sandbox)?, "/tmp/file", b"for the command").await?;
    let seen = scene
        .outcome(&sandbox, &Program::CatFile("/tmp/file".to_owned()))
        .await?;
    equal(
        seen.text(),
        "for the command".to_owned(),
        "what the command reads",
    )
}

async fn a_file_of_a_command_is_read(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    let program = Program::Write {
        path: "/tmp/file".to_owned(),
        text: "of the command".to_owned(),
    };
    scene.outcome(&sandbox, &program).await?;
    equal(
        read(scene, facet(&sandbox)?, "/tmp/file").await?,
        b"of the command".to_vec(),
        "content",
    )
}

async fn a_written_file_has_its_mode_and_time(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    let files = facet(&sandbox)?;
    let make = MakeFile {
        mode: 0o751,
        modified: Some(1_000_000_007),
    };
    files
        .write(
            &scene.cx,
            &path("/tmp/file"),
            make,
            content(vec![Ok(Bytes::from_static(b"12345"))]),
        )
        .await?;
    let stat = files.stat(&scene.cx, &path("/tmp/file")).await?;
    equal(stat.kind, FileKind::File, "kind")?;
    equal(
        (stat.mode, stat.size, stat.modified),
        (0o751, 5, 1_000_000_007),
        "mode, size and time",
    )?;
    equal(stat.name, b"file".to_vec(), "name")
}

async fn set_id_bits_are_refused(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    let files = facet(&sandbox)?;
    for mode in [0o4755, 0o2755, 0o6755] {
        let make = MakeFile { mode, modified: None };
        let result = files
            .write(&scene.cx, &path("/tmp/file"), make, content(vec![]))
            .await;
        check(result.is_err(), format!("the mode {mode:o} was accepted"))?;
    }
    Ok(())
}

async fn a_write_replaces_the_whole_file(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    let files = facet(&sandbox)?;
    write(scene, files, "/tmp/file", b"something long").await?;
    write(scene, files, "/tmp/file", b"short").await?;
    equal(
        read(scene, files, "/tmp/file").await?,
        b"short".to_vec(),
        "content",
    )
}

fn broken() -> mpsc::Receiver<Result<Bytes, Error>> {
    let failure = Error::new(ErrorKind::Broken, "write", "the writer failed");
    content(vec![Ok(Bytes::from_static(b"half")), Err(failure)])
}

async fn a_broken_write_leaves_the_old_content(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    let files = facet(&sandbox)?;
    write(scene, files, "/tmp/file", b"old").await?;
    let result = files.write(&scene.cx, &path("/tmp/file"), PLAIN, broken()).await;
    check(result.is_err(), "a write that failed midway succeeded")?;
    equal(read(scene, files, "/tmp/file").await?, b"old".to_vec(), "content")
}

async fn a_broken_write_of_a_new_file_leaves_nothing(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    let files = facet(&sandbox)?;
    files.mkdir(&scene.cx, &path("/tmp/empty"), 0o755).await?;
    let result = files
        .write(&scene.cx, &path("/tmp/empty/file"), PLAIN, broken())
        .await;
    check(result.is_err(), "a write that failed midway succeeded")?;
    equal(
        files.list(&scene.cx, &path("/tmp/empty")).await?,
        vec![],
        "entries of the folder",
    )
}

async fn writing_into_a_missing_folder_is_not_found(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    let result = facet(&sandbox)?
        .write(&scene.cx, &path("/tmp/no/file"), PLAIN, content(vec![]))
        .await;
    refused(result, ErrorKind::NotFound, "writing into a missing folder")
}

async fn reading_a_missing_file_is_not_found(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    let files = facet(&sandbox)?;
    refused(
        read(scene, files, "/tmp/none").await,
        ErrorKind::NotFound,
        "reading a missing file",
    )?;
    refused(
        files.stat(&scene.cx, &path("/tmp/none")).await,
        ErrorKind::NotFound,
        "stat of a missing file",
    )?;
    refused(
        files.list(&scene.cx, &path("/tmp/none")).await,
        ErrorKind::NotFound,
        "list of a missing folder",
    )?;
    refused(
        files.remove(&scene.cx, &path("/tmp/none"), false).await,
        ErrorKind::NotFound,
        "removing the missing",
    )
}

async fn reading_a_folder_is_refused(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    check(
        read(scene, facet(&sandbox)?, "/tmp").await.is_err(),
        "a folder was read as a file",
    )
}

async fn files_are_refused_in_a_stopped_sandbox_or_work(scene: &Scene) -> Verdict {
    let (sandbox, _) = scene.create(&scene.ephemeral()).await?;
    match facet(&sandbox)?.stat(&scene.cx, &path("/tmp")).await {
        Ok(stat) => equal(stat.kind, FileKind::Directory, "kind"),
        refusal => refused(refusal, ErrorKind::Conflict, "stat in a stopped sandbox"),
    }
}
