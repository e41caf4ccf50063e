//! The messages. Fields and variants are only ever added at the end: postcard is positional.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::bounded;

/// Host to guest.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum ToGuest {
    /// First message of a connection, on stream 0.
    Hello(Hello),
    /// On the owner's connection only, right after `Hello`, once: before it nothing else is served.
    Boot(Boot),
    /// Opens a stream with a command.
    Exec(ExecRequest),
    /// At most the credit that `ToHost::StdinCredit` granted (`WINDOW` at the start).
    Stdin(ByteBuf),
    CloseStdin,
    /// To the command's process group (with a terminal: to the foreground group).
    Signal(u8),
    Resize {
        rows: u16,
        columns: u16,
    },
    /// So many more bytes of stdout and stderr together, or of file data, may be sent on this stream.
    OutputCredit(u32),
    /// Kills the stream's command and all its descendants, or breaks off the file operation.
    /// The stream ends with `Exited` or `Failed`. The end of a connection cancels all its streams.
    Cancel,
    /// Opens a stream with a file operation.
    File(FileRequest),
    /// Content for `FileRequest::Write`, under the same credit as stdin.
    FileData(ByteBuf),
    /// The content is complete: the file may appear.
    FileEnd,
    /// Answered by `ToHost::Stats`. On a stream of its own.
    Stats,
    /// Kills a detached command by its id. Answered by `Done`, or `Failed` with `NotFound`.
    KillDetached(String),
    /// The ids of the detached commands that run. Answered by `ToHost::Detached`.
    ListDetached,
    /// SIGTERM to everything, at most so many milliseconds later SIGKILL, then the agent ends
    /// and the sandbox with it. The end of the connection is the answer.
    Shutdown {
        grace_ms: u32,
    },
    /// Answered by `Pong`.
    Ping,
}

/// Guest to host.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum ToHost {
    /// Answer to `Hello`; on the owner's connection it is sent once, before `Boot` is read.
    Hello(Hello),
    /// `Boot` is done: commands can run.
    Booted,
    /// The command runs as this process of the sandbox.
    Started {
        pid: u32,
    },
    Stdout(ByteBuf),
    Stderr(ByteBuf),
    /// So many more bytes of stdin or file content may be sent on this stream.
    StdinCredit(u32),
    /// Job control has stopped the command (Ctrl-Z in its terminal).
    Stopped,
    /// Last message of a command's stream: every byte of output has been sent before.
    Exited(ExitReport),
    /// Last message of a stream that failed.
    Failed {
        kind: FailureKind,
        message: String,
    },
    /// Content for `FileRequest::Read`, under `OutputCredit`.
    FileData(ByteBuf),
    /// Some entries for `List`; more may follow until `Done`.
    Entries(#[serde(deserialize_with = "bounded::entries")] Vec<DirectoryEntry>),
    /// Answer to `Stat`; last message.
    Entry(DirectoryEntry),
    /// Last message of a stream that succeeded and has nothing more to say.
    Done,
    Stats(StatsReport),
    Detached(#[serde(deserialize_with = "bounded::entries")] Vec<String>),
    Pong,
    /// On stream 0 of every connection: a shutdown has begun. Commands that end from here on were ended by it.
    Stopping,
}

#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    pub magic: u32,
    /// The generations that the sender speaks; the highest common one is used, none is a failure.
    pub oldest: u32,
    pub newest: u32,
    /// For people, such as `agentkernel 0.1.0`. At most 64 bytes.
    pub software: String,
}

/// What the agent needs to know of its sandbox.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Boot {
    /// The environment of every command, `NAME=VALUE`.
    #[serde(deserialize_with = "bounded::strings")]
    pub env: Vec<ByteBuf>,
    /// Where commands start if they do not say otherwise.
    pub workdir: ByteBuf,
    /// The sandbox ends when the owner's connection does.
    pub tied_to_owner: bool,
    /// `descriptor::LISTENER` is there.
    pub listen: bool,
    /// `descriptor::LOGS` is there.
    pub keep_logs: bool,
}

#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct ExecRequest {
    /// Not empty. The program is looked up in the PATH of the resulting environment.
    #[serde(deserialize_with = "bounded::strings")]
    pub argv: Vec<ByteBuf>,
    /// `NAME=VALUE`, over `Boot::env`; the last of equal names wins.
    #[serde(deserialize_with = "bounded::strings")]
    pub env: Vec<ByteBuf>,
    /// Empty: `Boot::workdir`.
    pub workdir: ByteBuf,
    /// Rows and columns of a pseudo-terminal.
    pub terminal: Option<(u16, u16)>,
    /// Otherwise stdin is empty.
    pub piped_stdin: bool,
    /// The command outlives the connection; output goes to `<id>.stdout` and `<id>.stderr` and its end to
    /// `<id>.exit` in the logs folder. The stream ends with `Done` after `Started`.
    pub detach: Option<String>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum ExitReport {
    Code(u8),
    Signal(u8),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum FailureKind {
    NotFound,
    AlreadyExists,
    Invalid,
    Denied,
    Exhausted,
    Unsupported,
    /// The program does not exist in the sandbox.
    CommandNotFound,
    /// The program exists and cannot be executed.
    NotExecutable,
    Cancelled,
    Broken,
}

/// Paths are absolute, as the sandbox sees them.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum FileRequest {
    Read {
        path: ByteBuf,
    },
    /// `FileData` follows, then `FileEnd`; answered by `Done`. Written beside and renamed over.
    Write {
        path: ByteBuf,
        mode: u32,
        modified: Option<i64>,
    },
    List {
        path: ByteBuf,
    },
    Stat {
        path: ByteBuf,
    },
    Mkdir {
        path: ByteBuf,
        mode: u32,
    },
    Symlink {
        path: ByteBuf,
        target: ByteBuf,
    },
    Remove {
        path: ByteBuf,
        recursive: bool,
    },
    Rename {
        from: ByteBuf,
        to: ByteBuf,
    },
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum EntryKind {
    File,
    Directory,
    Symlink,
    Other,
}

#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct DirectoryEntry {
    pub name: ByteBuf,
    pub kind: EntryKind,
    pub mode: u32,
    pub size: u64,
    pub modified: i64,
    /// Empty but for a symbolic link.
    pub link_target: ByteBuf,
}

#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct StatsReport {
    /// Without the agent itself.
    pub processes: u32,
    pub streams: u32,
    pub uptime_ms: u64,
}
