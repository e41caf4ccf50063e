//! Starts agents as a launcher does.

use std::{
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd},
        unix::{net::UnixListener, net::UnixStream as StdStream, process::CommandExt},
    },
    path::PathBuf,
    process::{Child, Command as Program, Stdio},
    time::{Duration, Instant},
};

use agentkernel_agent_client::{AgentConnection, Boot};
use agentkernel_backend::{Context, Process, Result};
use agentkernel_protocol::{ToGuest, ToHost, descriptor};
pub use agentkernel_types::{Command, ExecSpec, Exit, ExitCause, StdinMode};
use tempfile::TempDir;
use tokio::net::UnixStream;

pub struct Agent {
    pub process: Child,
    pub connection: AgentConnection,
    /// The owner's end, for the end of the test.
    owner: StdStream,
    pub folder: TempDir,
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It kills its processes when its owner goes; one that is not tied has ended, or is killed.
        let _ = self.owner.shutdown(std::net::Shutdown::Both);
        let until = Instant::now() + Duration::from_secs(5);
        while Instant::now() < until && matches!(self.process.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(1));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub fn boot() -> Boot {
    Boot {
        env: vec![b"PATH=/usr/bin:/bin".to_vec().into(), b"LANG=C".to_vec().into()],
        workdir: b"/tmp".to_vec().into(),
        tied_to_owner: true,
        listen: true,
        keep_logs: true,
    }
}

/// The process and the owner's end of its connection.
pub fn launch(folder: &TempDir) -> (Child, StdStream) {
    let (ours, theirs) = StdStream::pair().unwrap();
    let listener = UnixListener::bind(folder.path().join("socket")).unwrap();
    std::fs::create_dir(folder.path().join("logs")).unwrap();
    let logs = std::fs::File::open(folder.path().join("logs")).unwrap();
    let passed = [theirs.as_raw_fd(), listener.as_raw_fd(), logs.as_raw_fd()].map(high);
    let places = [descriptor::OWNER, descriptor::LISTENER, descriptor::LOGS];
    let sources = [
        passed[0].as_raw_fd(),
        passed[1].as_raw_fd(),
        passed[2].as_raw_fd(),
    ];
    let mut program = Program::new(env!("CARGO_BIN_EXE_agentkernel-agent"));
    program
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // SAFETY: only system calls between fork and exec.
    unsafe {
        program.pre_exec(move || {
            for (source, place) in sources.into_iter().zip(places) {
                if libc::dup2(source, place) < 0 {
                    return Err(std::io::Error::last_os_error());
                }
            }
            Ok(())
        });
    }
    (program.spawn().unwrap(), ours)
}

/// A copy above the numbers that the agent expects.
fn high(raw: i32) -> OwnedFd {
    // SAFETY: a fresh descriptor that nothing else owns.
    unsafe { OwnedFd::from_raw_fd(libc::fcntl(raw, libc::F_DUPFD_CLOEXEC, 20)) }
}

pub fn start() -> Agent {
    start_with(boot())
}

pub fn start_with(boot: Boot) -> Agent {
    let folder = tempfile::tempdir().unwrap();
    let (process, socket) = launch(&folder);
    let owner = socket.try_clone().unwrap();
    let connection = AgentConnection::open_and_boot(asynchronous(socket), boot);
    Agent {
        process,
        connection,
        owner,
        folder,
    }
}

pub fn asynchronous(socket: StdStream) -> UnixStream {
    socket.set_nonblocking(true).unwrap();
    UnixStream::from_std(socket).unwrap()
}

impl Agent {
    /// The owner goes away.
    pub fn leave(&self) {
        self.owner.shutdown(std::net::Shutdown::Both).unwrap();
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    pub fn log(&self, name: &str) -> PathBuf {
        self.folder.path().join("logs").join(name)
    }

    pub async fn exec(&self, spec: ExecSpec) -> Result<Process> {
        self.connection.exec(&cx(), spec).await
    }

    /// Runs to the end.
    pub async fn run(&self, argv: &[&str]) -> (Vec<u8>, Vec<u8>, Exit) {
        self.exec(spec(argv))
            .await
            .unwrap()
            .collect(usize::MAX)
            .await
            .unwrap()
    }

    pub async fn shell(&self, script: &str) -> (Vec<u8>, Vec<u8>, Exit) {
        self.run(&["sh", "-c", script]).await
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    pub fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid()))
            .unwrap()
            .count()
    }

    /// State letters of its children.
    pub fn children(&self) -> Vec<char> {
        let entries = std::fs::read_dir("/proc").unwrap().flatten();
        let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        numbers
            .filter_map(|pid| relation(pid).filter(|(_, parent)| *parent == self.pid()))
            .map(|(state, _)| state)
            .collect()
    }
}

/// State and parent.
fn relation(pid: u32) -> Option<(char, u32)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

/// Gone, or a zombie that only waits for its parent.
pub fn is_dead(pid: u32) -> bool {
    relation(pid).is_none_or(|(state, _)| state == 'Z')
}

pub fn cx() -> Context {
    Context::within(Duration::from_secs(60))
}

pub fn spec(argv: &[&str]) -> ExecSpec {
    ExecSpec::new(Command::new(argv.iter().copied()).unwrap())
}

pub fn shell(script: &str) -> ExecSpec {
    spec(&["sh", "-c", script])
}

/// Polls until it is true, at most 20 seconds.
pub async fn eventually(what: &str, mut check: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(20);
    while !check() {
        assert!(Instant::now() < until, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub fn frame(stream: u32, message: &ToGuest) -> Vec<u8> {
    let mut bytes = Vec::new();
    agentkernel_protocol::encode(stream, message, &mut bytes).unwrap();
    bytes
}

/// What a peer that speaks bytes gets, until `stop` says so or the end.
pub fn read_until(socket: &mut StdStream, mut stop: impl FnMut(u32, &ToHost) -> bool) -> Vec<(u32, ToHost)> {
    use std::io::Read;
    let mut decoder = agentkernel_protocol::Decoder::new();
    let mut messages = Vec::new();
    loop {
        while let Some((stream, message)) = decoder.decode::<ToHost>().unwrap() {
            let stops = stop(stream, &message);
            messages.push((stream, message));
            if stops {
                return messages;
            }
        }
        match socket.read(decoder.space()) {
            Ok(length) if length > 0 => decoder.advance(length),
            _ => return messages,
        }
    }
}
