//! The file service.

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use agentkernel_agent_client::AgentFiles;
use agentkernel_backend::{Error, FileKind, Files, MakeFile, Result};
use agentkernel_types::{ErrorKind, GuestPath};
use bytes::Bytes;
use rustix::fs::{Mode, OFlags, mkdirat, openat};
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::support::*;

/// A folder to play in, as the agent sees it.
struct Ground {
    agent: Agent,
    files: AgentFiles,
    folder: TempDir,
}

fn ground() -> Ground {
    let agent = start();
    let files = agent.connection.files();
    Ground {
        agent,
        files,
        folder: tempfile::tempdir().unwrap(),
    }
}

impl Ground {
    fn path(&self, name: &str) -> GuestPath {
        format!("{}/{name}", self.folder.path().display())
            .parse()
            .unwrap()
    }

    fn host(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    async fn read(&self, name: &str) -> Result<Vec<u8>> {
        let mut content = self.files.read(&cx(), &self.path(name)).await?;
        let mut bytes = Vec::new();
        while let Some(chunk) = content.recv().await {
            bytes.extend_from_slice(&chunk?);
        }
        Ok(bytes)
    }

    async fn write(&self, name: &str, content: &[u8]) -> Result<()> {
        let (sender, receiver) = mpsc::channel(4);
        let bytes = Bytes::copy_from_slice(content);
        let path = self.path(name);
        let make = MakeFile {
            mode: 0o640,
            modified: Some(1_000_000_000),
        };
        let context = cx();
        let (result, ()) = tokio::join!(self.files.write(&context, &path, make, receiver), async move {
            for start in (0..bytes.len()).step_by(100_000) {
                // The receiver is gone where the file was refused.
                let _ = sender
                    .send(Ok(bytes.slice(start..bytes.len().min(start + 100_000))))
                    .await;
            }
        });
        result
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path()).unwrap().flatten();
        let mut names: Vec<String> = entries
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect();
        names.sort_unstable();
        names
    }
}

fn kind<T>(result: Result<T>) -> ErrorKind {
    match result {
        Ok(_) => panic!("it succeeded"),
        Err(error) => error.kind(),
    }
}

#[tokio::test]
async fn what_is_written_is_read_with_mode_and_time() {
    let ground = ground();
    for length in [0, 1, 65_536, 3_000_001] {
        let content: Vec<u8> = (0..length).map(|position| ((position * 31) >> 3) as u8).collect();
        ground.write("file", &content).await.unwrap();
        assert!(ground.read("file").await.unwrap() == content);
    }
    let stat = ground.files.stat(&cx(), &ground.path("file")).await.unwrap();
    assert_eq!(
        (stat.kind, stat.mode, stat.size, stat.modified),
        (FileKind::File, 0o640, 3_000_001, 1_000_000_000)
    );
    assert_eq!(stat.name, b"file");
    assert_eq!(ground.names(), ["file"]);
}

#[tokio::test]
async fn a_broken_write_leaves_the_old_content_and_nothing_else() {
    let ground = ground();
    ground.write("file", b"old").await.unwrap();
    let (sender, receiver) = mpsc::channel(4);
    sender.send(Ok(Bytes::from_static(b"new"))).await.unwrap();
    sender
        .send(Err(Error::new(ErrorKind::Denied, "copy", "the source is gone")))
        .await
        .unwrap();
    let make = MakeFile {
        mode: 0o600,
        modified: None,
    };
    let result = ground
        .files
        .write(&cx(), &ground.path("file"), make, receiver)
        .await;
    assert_eq!(kind(result), ErrorKind::Denied);
    ground.agent.connection.ping(&cx()).await.unwrap();
    assert_eq!(ground.read("file").await.unwrap(), b"old");
    assert_eq!(ground.names(), ["file"]);
}

#[tokio::test]
async fn a_write_whose_caller_goes_away_leaves_nothing() {
    let ground = ground();
    let (sender, receiver) = mpsc::channel(4);
    let (files, path) = (ground.files.clone(), ground.path("file"));
    let make = MakeFile {
        mode: 0o600,
        modified: None,
    };
    let task = tokio::spawn(async move { files.write(&cx(), &path, make, receiver).await });
    sender.send(Ok(Bytes::from_static(b"x"))).await.unwrap();
    eventually("the write has begun", || !ground.names().is_empty()).await;
    task.abort();
    eventually("it is gone", || ground.names().is_empty()).await;
}

#[tokio::test]
async fn read_and_write_follow_the_last_link_and_nothing_else_does() {
    let ground = ground();
    std::fs::create_dir(ground.host("real")).unwrap();
    std::fs::write(ground.host("real/file"), "content").unwrap();
    symlink("real/file", ground.host("link")).unwrap();
    symlink("../real/new", ground.host("real/fresh")).unwrap();
    symlink("real", ground.host("folder")).unwrap();
    assert_eq!(ground.read("link").await.unwrap(), b"content");
    ground.write("link", b"changed").await.unwrap();
    assert!(ground.host("link").is_symlink());
    assert_eq!(std::fs::read(ground.host("real/file")).unwrap(), b"changed");
    ground.write("folder/fresh", b"made").await.unwrap();
    assert_eq!(std::fs::read(ground.host("real/new")).unwrap(), b"made");
    let stat = ground.files.stat(&cx(), &ground.path("link")).await.unwrap();
    assert_eq!(
        (stat.kind, stat.link_target),
        (FileKind::Symlink, Some(b"real/file".to_vec()))
    );
    assert_eq!(
        kind(ground.files.list(&cx(), &ground.path("folder")).await),
        ErrorKind::InvalidSpec
    );
    ground
        .files
        .remove(&cx(), &ground.path("folder"), true)
        .await
        .unwrap();
    assert!(ground.host("real/file").exists());
}

#[tokio::test]
async fn loops_devices_pipes_and_magic_links_are_refused() {
    let ground = ground();
    symlink("loop", ground.host("loop")).unwrap();
    symlink("/proc/self/fd/3", ground.host("descriptor")).unwrap();
    symlink("/proc/self/root", ground.host("root")).unwrap();
    assert!(
        std::process::Command::new("mkfifo")
            .arg(ground.host("pipe"))
            .status()
            .unwrap()
            .success()
    );
    symlink("/dev/zero", ground.host("zero")).unwrap();
    for name in [
        "loop",
        "descriptor",
        "root",
        "root/etc/passwd",
        "pipe",
        "zero",
        ".",
    ] {
        assert_eq!(
            kind(ground.read(name).await),
            ErrorKind::InvalidSpec,
            "read {name}"
        );
    }
    for name in ["loop", "pipe", "zero", "root/tmp/x"] {
        assert_eq!(
            kind(ground.write(name, b"x").await),
            ErrorKind::InvalidSpec,
            "write {name}"
        );
    }
    assert_eq!(ground.names(), ["descriptor", "loop", "pipe", "root", "zero"]);
}

#[tokio::test]
async fn a_folder_is_listed_in_the_order_of_its_names_however_large() {
    let ground = ground();
    for number in 0..3000 {
        std::fs::write(ground.host(&format!("{number}")), "").unwrap();
    }
    symlink("x", ground.host("a link")).unwrap();
    std::fs::create_dir(ground.host("Z")).unwrap();
    let entries = ground.files.list(&cx(), &ground.path(".")).await.unwrap();
    let names: Vec<String> = entries
        .iter()
        .map(|entry| String::from_utf8(entry.name.clone()).unwrap())
        .collect();
    assert_eq!(names, ground.names());
    assert_eq!(
        kind(ground.files.list(&cx(), &ground.path("none")).await),
        ErrorKind::NotFound
    );
    assert_eq!(
        kind(ground.files.list(&cx(), &ground.path("7")).await),
        ErrorKind::InvalidSpec
    );
}

#[tokio::test]
async fn folders_are_made_with_their_parents_and_mode() {
    let ground = ground();
    ground
        .files
        .mkdir(&cx(), &ground.path("a/b/c"), 0o700)
        .await
        .unwrap();
    ground
        .files
        .mkdir(&cx(), &ground.path("a/b/c"), 0o755)
        .await
        .unwrap();
    assert_eq!(
        std::fs::metadata(ground.host("a/b/c"))
            .unwrap()
            .permissions()
            .mode()
            & 0o7777,
        0o700
    );
    std::fs::write(ground.host("file"), "").unwrap();
    symlink("a", ground.host("link")).unwrap();
    assert_eq!(
        kind(ground.files.mkdir(&cx(), &ground.path("file"), 0o755).await),
        ErrorKind::AlreadyExists
    );
    assert_eq!(
        kind(ground.files.mkdir(&cx(), &ground.path("link"), 0o755).await),
        ErrorKind::AlreadyExists
    );
    assert_eq!(
        kind(ground.files.mkdir(&cx(), &ground.path("file/x"), 0o755).await),
        ErrorKind::InvalidSpec
    );
    ground
        .files
        .mkdir(&cx(), &ground.path("link/d"), 0o755)
        .await
        .unwrap();
    assert!(ground.host("a/d").is_dir());
    ground
        .files
        .mkdir(&cx(), &GuestPath::root(), 0o755)
        .await
        .unwrap();
}

#[tokio::test]
async fn links_are_made_and_names_changed() {
    let ground = ground();
    ground
        .files
        .symlink(&cx(), &ground.path("link"), b"../any/where")
        .await
        .unwrap();
    assert_eq!(
        std::fs::read_link(ground.host("link")).unwrap().to_str(),
        Some("../any/where")
    );
    assert_eq!(
        kind(ground.files.symlink(&cx(), &ground.path("link"), b"x").await),
        ErrorKind::AlreadyExists
    );
    ground
        .files
        .rename(&cx(), &ground.path("link"), &ground.path("other"))
        .await
        .unwrap();
    assert_eq!(ground.names(), ["other"]);
    assert_eq!(
        kind(
            ground
                .files
                .rename(&cx(), &ground.path("link"), &ground.path("x"))
                .await
        ),
        ErrorKind::NotFound
    );
}

#[tokio::test]
async fn a_tree_of_ten_thousand_levels_is_removed() {
    let ground = ground();
    let mut folder = std::fs::File::open(ground.folder.path()).unwrap();
    for _ in 0..10_000 {
        mkdirat(&folder, "d", Mode::RWXU).unwrap();
        let flags = OFlags::CREATE | OFlags::WRONLY;
        openat(&folder, "f", flags, Mode::RUSR).unwrap();
        folder = openat(&folder, "d", OFlags::RDONLY, Mode::empty())
            .unwrap()
            .into();
    }
    symlink("/etc", ground.host("d/outside")).unwrap();
    assert_eq!(
        kind(ground.files.remove(&cx(), &ground.path("d"), false).await),
        ErrorKind::InvalidSpec
    );
    ground.files.remove(&cx(), &ground.path("d"), true).await.unwrap();
    ground.files.remove(&cx(), &ground.path("f"), true).await.unwrap();
    assert!(ground.names().is_empty());
    assert!(std::fs::metadata("/etc").unwrap().ino() > 0);
    assert_eq!(
        kind(ground.files.remove(&cx(), &ground.path("d"), true).await),
        ErrorKind::NotFound
    );
    assert_eq!(
        kind(ground.files.remove(&cx(), &GuestPath::root(), true).await),
        ErrorKind::InvalidSpec
    );
}

#[tokio::test]
async fn a_slow_reader_of_a_large_file_does_not_stop_the_others() {
    let ground = ground();
    std::fs::write(ground.host("large"), vec![7; 8 << 20]).unwrap();
    let mut slow = ground.files.read(&cx(), &ground.path("large")).await.unwrap();
    for _ in 0..50 {
        assert_eq!(ground.agent.run(&["echo", "x"]).await.0, b"x\n");
    }
    let mut length = 0;
    while let Some(chunk) = slow.recv().await {
        length += chunk.unwrap().len();
    }
    assert_eq!(length, 8 << 20);
}
