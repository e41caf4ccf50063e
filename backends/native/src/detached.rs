//! The records and the kept output of detached commands: files beside the sandbox's own.
//!
//! `<id>.start` is written by the host before the command is started, the others by the guest agent. What the
//! agent wrote is a guest's word: it is read without following links and within bounds.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    pin::Pin,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use agentkernel_backend::{DetachedStatus, Error, LogStream, Result};
use agentkernel_types::{Command, ErrorKind, ExecId, Exit, ExitCause};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

/// How often a log is looked at while it is followed.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(25);
const CHUNK: usize = 64 << 10;

/// Asked while a log is followed: whether its command may still write.
pub(crate) type Alive = Box<dyn Fn() -> Pin<Box<dyn Future<Output = bool> + Send>> + Send + Sync>;

/// The folder of one sandbox's logs.
#[derive(Clone, Debug)]
pub(crate) struct Logs {
    folder: PathBuf,
}

#[derive(Debug, Serialize, Deserialize)]
struct Start {
    command: Vec<String>,
    started_at_ms: u64,
}

impl Logs {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    fn file(&self, id: &ExecId, suffix: &str) -> PathBuf {
        self.folder.join(format!("{id}.{suffix}"))
    }

    /// Remembers that the command is about to be started.
    pub(crate) fn begin(&self, id: &ExecId, command: &Command) -> io::Result<()> {
        let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let start = Start {
            command: command
                .argv()
                .iter()
                .map(|argument| argument.to_string_lossy().into_owned())
                .collect(),
            started_at_ms: u64::try_from(started.as_millis()).unwrap_or(u64::MAX),
        };
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(self.file(id, "start"))?;
        file.write_all(&serde_json::to_vec(&start)?)
    }

    /// Takes it back: the command could not be started.
    pub(crate) fn forget(&self, id: &ExecId) {
        let _ = fs::remove_file(self.file(id, "start"));
    }

    /// All commands, the oldest first. `running` are those that the agent says still run.
    pub(crate) fn list(&self, running: &[ExecId]) -> io::Result<Vec<DetachedStatus>> {
        let mut found = Vec::new();
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
            Err(error) => return Err(error),
        };
        for entry in entries {
            let name = entry?.file_name();
            let id = name
                .to_str()
                .and_then(|name| name.strip_suffix(".start"))
                .and_then(|id| id.parse().ok());
            if let Some(status) = id.and_then(|id| self.status(&id, running)) {
                found.push(status);
            }
        }
        found.sort_by(|a, b| (a.started_at_ms, &a.id).cmp(&(b.started_at_ms, &b.id)));
        Ok(found)
    }

    fn status(&self, id: &ExecId, running: &[ExecId]) -> Option<DetachedStatus> {
        let start: Start = serde_json::from_slice(&read_small(&self.file(id, "start")).ok()?).ok()?;
        let size = |suffix| fs::symlink_metadata(self.file(id, suffix)).map_or(0, |found| found.size());
        let exit = match self.exit(id) {
            Some(exit) => Some(exit),
            None if running.contains(id) => None,
            None => Some(Exit::signal(9).with_cause(ExitCause::SandboxStopped)),
        };
        Some(DetachedStatus {
            id: id.clone(),
            command: start.command,
            started_at_ms: start.started_at_ms,
            exit,
            stdout_bytes: size("stdout"),
            stderr_bytes: size("stderr"),
        })
    }

    fn exit(&self, id: &ExecId) -> Option<Exit> {
        let text = String::from_utf8(read_small(&self.file(id, "exit")).ok()?).ok()?;
        let (kind, number) = text.trim().split_once(' ')?;
        let number = number.parse().ok()?;
        match kind {
            "code" => Some(Exit::code(number)),
            "signal" => Some(Exit::signal(number)),
            _ => None,
        }
    }

    /// The kept output from `offset` on. `alive` is asked while nothing new comes; when it says no, the rest is read
    /// and the stream ends.
    pub(crate) fn read(
        &self,
        id: &ExecId,
        stream: LogStream,
        offset: u64,
        alive: Alive,
    ) -> Result<mpsc::Receiver<Result<Bytes>>> {
        let suffix = match stream {
            LogStream::Stdout => "stdout",
            LogStream::Stderr => "stderr",
        };
        if !self.file(id, "start").exists() {
            return Err(Error::new(
                ErrorKind::NotFound,
                "logs",
                format!("no detached command {id} in this sandbox"),
            )
            .hint("list them with `agentkernel exec-list NAME`"));
        }
        let path = self.file(id, suffix);
        let (sender, receiver) = mpsc::channel(4);
        tokio::spawn(async move {
            if let Err(error) = copy(&path, offset, alive, &sender).await {
                let error = Error::new(ErrorKind::Broken, "logs", "cannot read the log").because(error);
                let _ = sender.send(Err(error)).await;
            }
        });
        Ok(receiver)
    }

    pub(crate) fn has_ended(&self, id: &ExecId) -> bool {
        self.file(id, "exit").exists()
    }
}

async fn copy(
    path: &Path,
    mut offset: u64,
    alive: Alive,
    sender: &mpsc::Sender<Result<Bytes>>,
) -> io::Result<()> {
    loop {
        // Asked before the reading: what was written until the end is then read after it.
        let more_may_come = alive().await;
        while let Some(chunk) = chunk_at(path, offset)? {
            offset += chunk.len() as u64;
            if sender.send(Ok(chunk)).await.is_err() {
                return Ok(());
            }
        }
        if !more_may_come || sender.is_closed() {
            return Ok(());
        }
        tokio::time::sleep(FOLLOW_INTERVAL).await;
    }
}

fn chunk_at(path: &Path, offset: u64) -> io::Result<Option<Bytes>> {
    let mut file = match open_plain(path) {
        Ok(file) => file,
        // The agent makes it with the first byte.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    file.seek(SeekFrom::Start(offset))?;
    let mut chunk = vec![0; CHUNK];
    let length = file.read(&mut chunk)?;
    chunk.truncate(length);
    Ok((length > 0).then(|| Bytes::from(chunk)))
}

fn read_small(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    open_plain(path)?.take(1 << 20).read_to_end(&mut content)?;
    Ok(content)
}

/// A regular file, not through a link, without waiting for a pipe's writer.
fn open_plain(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    Ok(file)
}
