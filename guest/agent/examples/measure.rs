//! Prints what the agent costs: `cargo run --release -p agentkernel-agent --example measure -- PATH-OF-AGENT`.
#![expect(clippy::print_stdout, reason = "it is for people")]

use std::{
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd},
        unix::{net::UnixStream as StdStream, process::CommandExt},
    },
    process::{Child, Command as Program, Stdio},
    time::{Duration, Instant},
};

use agentkernel_agent_client::{AgentConnection, Boot};
use agentkernel_backend::{Context, Input, Output};
use agentkernel_types::{Command, ExecSpec, StdinMode};
use bytes::Bytes;
use tokio::net::UnixStream;

fn main() {
    let agent = std::env::args()
        .nth(1)
        .expect("the path of the agent is the argument");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(measure(&agent));
}

async fn measure(agent: &str) {
    let mut first: Vec<Duration> = Vec::new();
    for _ in 0..200 {
        let begin = Instant::now();
        let (mut child, connection) = start(agent);
        run(&connection, &["/bin/true"]).await;
        first.push(begin.elapsed());
        drop(connection);
        while child.try_wait().expect("our own child").is_none() {
            tokio::task::yield_now().await;
        }
    }
    print("agent started, first /bin/true ended", first);
    let (child, connection) = start(agent);
    let mut pings = Vec::new();
    let mut execs = Vec::new();
    for _ in 0..2000 {
        let begin = Instant::now();
        connection.ping(&Context::default()).await.expect("a pong");
        pings.push(begin.elapsed());
        let begin = Instant::now();
        run(&connection, &["/bin/true"]).await;
        execs.push(begin.elapsed());
    }
    print("ping", pings);
    print("exec /bin/true", execs);
    tokio::time::sleep(Duration::from_secs(1)).await;
    memory("idle after 2000 commands", &child);
    throughput(&connection).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    memory("idle after 1 GiB", &child);
}

async fn run(connection: &AgentConnection, argv: &[&str]) {
    let spec = ExecSpec::new(Command::new(argv.iter().copied()).expect("a command"));
    let process = connection.exec(&Context::default(), spec).await.expect("it runs");
    let (_, _, exit) = process.collect(0).await.expect("it ends");
    assert!(exit.is_success());
}

async fn throughput(connection: &AgentConnection) {
    const TOTAL: usize = 1 << 30;
    let spec = ExecSpec {
        stdin: StdinMode::Piped,
        ..ExecSpec::new(Command::new(["cat"]).expect("a command"))
    };
    let mut cat = connection.exec(&Context::default(), spec).await.expect("it runs");
    let sink = cat.sink();
    let begin = Instant::now();
    tokio::spawn(async move {
        let chunk = Bytes::from(vec![b'x'; 64 << 10]);
        for _ in 0..TOTAL / chunk.len() {
            sink.send(Input::Stdin(chunk.clone())).await.expect("cat reads");
        }
        sink.send(Input::CloseStdin).await.expect("cat runs");
    });
    let mut length = 0;
    while let Some(item) = cat.next().await {
        if let Output::Stdout(bytes) = item.expect("output") {
            length += bytes.len();
        }
    }
    assert_eq!(length, TOTAL);
    println!(
        "1 GiB through cat, both ways: {:.0} MiB/s",
        1024.0 / begin.elapsed().as_secs_f64()
    );
}

fn print(name: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    println!(
        "{name}: p50 {:?}, p99 {:?}",
        times[times.len() / 2],
        times[times.len() * 99 / 100]
    );
}

fn memory(name: &str, child: &Child) {
    let text = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", child.id())).expect("our own child");
    let fields = ["Rss:", "Pss:", "Private_Clean:", "Private_Dirty:"];
    let lines: Vec<String> = text
        .lines()
        .filter(|line| fields.iter().any(|field| line.starts_with(field)))
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    println!("{name}: {}", lines.join(", "));
}

fn start(agent: &str) -> (Child, AgentConnection) {
    let (ours, theirs) = StdStream::pair().expect("a socket pair");
    // SAFETY: a fresh descriptor that nothing else owns.
    let theirs = unsafe { OwnedFd::from_raw_fd(libc::fcntl(theirs.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 20)) };
    let source = theirs.as_raw_fd();
    let mut program = Program::new(agent);
    program
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // SAFETY: one system call between fork and exec.
    unsafe {
        program.pre_exec(move || match libc::dup2(source, 3) {
            -1 => Err(std::io::Error::last_os_error()),
            _ => Ok(()),
        });
    }
    let child = program.spawn().expect("the agent");
    ours.set_nonblocking(true).expect("a socket");
    let boot = Boot {
        env: vec![b"PATH=/usr/bin:/bin".to_vec().into()],
        tied_to_owner: true,
        ..Boot::default()
    };
    (
        child,
        AgentConnection::open_and_boot(UnixStream::from_std(ours).expect("a socket"), boot),
    )
}
