//! A gateway in a process of its own, for a sandbox that outlives whoever started it.
//!
//! The process holds the device, a listening socket for questions, and a pidfd of the sandbox's first process: it ends
//! with that one. It is started from this program's own file with a verb that [`carry`] answers, and gets everything by
//! descriptors and one line on its standard input, which is a socket: the answer comes back over it.

use std::{
    ffi::OsString,
    io,
    os::{
        fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd},
        unix::{
            net::{UnixListener, UnixStream},
            process::CommandExt,
        },
    },
    path::PathBuf,
    process::{Command, Stdio},
};

use agentkernel_backend::{Context, Error, Result};
use agentkernel_types::ErrorKind;
use rustix::io::fcntl_dupfd_cloexec;
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Interest, unix::AsyncFd},
    sync::{mpsc, oneshot},
};

use super::{
    Order, Setup,
    actor::Actor,
    journal::Journal,
    request::{Answer, Failure},
};
use crate::{Device, device::Kind};

/// Where the process finds what it inherits.
const DEVICE: RawFd = 3;
const LISTENER: RawFd = 4;
const FIRST_PROCESS: RawFd = 5;
/// Above them: what is copied down from here overwrites nothing that is still needed.
const FREE: RawFd = 10;

/// Longest line that asks something. A policy of some thousand rules has room.
const LONGEST_QUESTION: u64 = 4 << 20;
/// Connections at a time that ask. Only the host's user reaches the socket.
const MOST_ASKING: usize = 64;

/// What the process is started with.
pub struct Start<'a> {
    /// The program and its first arguments ([`agentkernel_backend::Settings::network_program`]).
    pub program: &'a [OsString],
    pub device: Device,
    /// Answers are given here.
    pub listener: UnixListener,
    /// The first process of the sandbox.
    pub first_process: &'a OwnedFd,
    pub setup: Setup,
    /// A file for the log.
    pub journal: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Beginning {
    device: Kind,
    setup: Setup,
    journal: PathBuf,
}

/// Starts the process and waits until it carries the sandbox's traffic and its ports are open.
pub async fn spawn(cx: &Context, start: Start<'_>) -> Result<()> {
    let (ours, theirs) = UnixStream::pair().map_err(cannot_start)?;
    let (device, descriptor) = start.device.into_parts();
    let inherited = [
        (high(&descriptor)?, DEVICE),
        (high(&start.listener)?, LISTENER),
        (high(start.first_process)?, FIRST_PROCESS),
    ];
    drop((descriptor, start.listener));
    let order = Beginning {
        device,
        setup: start.setup,
        journal: start.journal,
    };
    let [program, arguments @ ..] = start.program else {
        return Err(cannot_start(io::ErrorKind::NotFound.into()));
    };
    let mut command = Command::new(program);
    command.args(arguments).arg(&order.setup.sandbox).env_clear();
    command.current_dir("/").stdin(Stdio::from(OwnedFd::from(theirs)));
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let numbers = inherited.each_ref().map(|(from, to)| (from.as_raw_fd(), *to));
    // SAFETY: between fork and exec only `dup2` and `setsid` are called, on numbers that were copied before.
    unsafe {
        command.pre_exec(move || {
            for (from, to) in numbers {
                if libc::dup2(from, to) < 0 {
                    return Err(io::Error::last_os_error());
                }
            }
            rustix::process::setsid()?;
            Ok(())
        });
    }
    let mut child = command.spawn().map_err(cannot_start)?;
    // Its socket's other end goes with the command, so that the process's end is seen.
    drop((command, inherited));
    // Whoever lives longer than the sandbox reaps the process.
    let _ = std::thread::Builder::new()
        .name("reaper".into())
        .stack_size(64 << 10)
        .spawn(move || child.wait());
    match cx.bound("start", ready(ours, &order)).await? {
        Answer::Done => Ok(()),
        Answer::Failed(failure) => Err(failure.into()),
        _ => Err(cannot_start(io::ErrorKind::InvalidData.into())),
    }
}

async fn ready(stream: UnixStream, order: &Beginning) -> Result<Answer> {
    let talk = async {
        stream.set_nonblocking(true)?;
        let mut stream = tokio::net::UnixStream::from_std(stream)?;
        let mut line = serde_json::to_vec(order)?;
        line.push(b'\n');
        stream.write_all(&line).await?;
        line.clear();
        stream.read_to_end(&mut line).await?;
        Ok(serde_json::from_slice(&line)?)
    };
    talk.await.map_err(cannot_start)
}

fn high(descriptor: &impl AsFd) -> Result<OwnedFd> {
    fcntl_dupfd_cloexec(descriptor, FREE).map_err(|error| cannot_start(error.into()))
}

fn cannot_start(error: io::Error) -> Error {
    Error::new(
        ErrorKind::Broken,
        "start",
        "cannot start the process that carries the network of the sandbox",
    )
    .because(error)
}

/// The whole life of the process: what `main` does for the verb. Returns its exit code.
pub fn carry() -> u8 {
    // SAFETY: asking for the flags of a number changes nothing, whether it is open or not.
    let is_open = |number: RawFd| unsafe { libc::fcntl(number, libc::F_GETFD) } >= 0;
    if ![0, DEVICE, LISTENER, FIRST_PROCESS].into_iter().all(is_open) {
        // Somebody has typed the verb.
        return 2;
    }
    if give_up().is_err() {
        return 1;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build();
    match runtime.and_then(|runtime| runtime.block_on(live())) {
        Ok(()) => 0,
        Err(_) => 1,
    }
}

/// It reads what a hostile sandbox sends: of root's privileges it keeps the one that opens low ports. In the first thread,
/// before there is another one.
fn give_up() -> rustix::io::Result<()> {
    use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities, set_no_new_privs};
    set_no_new_privs(true)?;
    let kept = capabilities(None)?.permitted & CapabilitySet::NET_BIND_SERVICE;
    set_capabilities(
        None,
        CapabilitySets {
            effective: kept,
            permitted: kept,
            inheritable: CapabilitySet::empty(),
        },
    )
}

async fn live() -> io::Result<()> {
    // A busy sandbox has some thousand flows, and each has a descriptor.
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let _ = rustix::process::setrlimit(
        rustix::process::Resource::Nofile,
        rustix::process::Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    );
    // SAFETY: the one who started this verb has put exactly these here; nobody else in this process uses them.
    let [stdin, device, listener, first] =
        [0, DEVICE, LISTENER, FIRST_PROCESS].map(|number| unsafe { OwnedFd::from_raw_fd(number) });
    let owner = UnixStream::from(stdin);
    owner.set_nonblocking(true)?;
    let mut owner = BufReader::new(tokio::net::UnixStream::from_std(owner)?);
    let mut line = Vec::new();
    owner.read_until(b'\n', &mut line).await?;
    let order: Beginning = serde_json::from_slice(&line)?;
    let journal = Journal::in_file(&order.journal)?;
    let actor = match Actor::start(Device::from_parts(order.device, device), order.setup, journal).await {
        Ok(actor) => actor,
        Err(error) => {
            let answer = Answer::Failed(Failure::from(error));
            return owner.write_all(&serde_json::to_vec(&answer)?).await;
        }
    };
    let listener = UnixListener::from(listener);
    listener.set_nonblocking(true)?;
    let listener = tokio::net::UnixListener::from_std(listener)?;
    owner.write_all(&serde_json::to_vec(&Answer::Done)?).await?;
    drop(owner);
    let (orders, incoming) = mpsc::channel(16);
    // SAFETY: an `OwnedFd` is the same open descriptor for as long as it lives.
    let first = unsafe { AsyncFd::register_with_interest(first, Interest::READABLE)? };
    let end = orders.clone();
    let mut work = std::pin::pin!(actor.run(incoming));
    tokio::select! {
        // A pidfd becomes readable when its process ends.
        _ = first.readable() => {
            let _ = tokio::join!(end.send(Order::Close), work);
        }
        () = &mut work => {}
        () = serve(listener, orders) => {}
    }
    Ok(())
}

type Orders = mpsc::Sender<Order>;

async fn serve(listener: tokio::net::UnixListener, orders: Orders) {
    let room = std::sync::Arc::new(tokio::sync::Semaphore::new(MOST_ASKING));
    loop {
        let permit = std::sync::Arc::clone(&room).acquire_owned().await;
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            continue;
        };
        let orders = orders.clone();
        tokio::spawn(async move {
            // Whoever asks and goes away is not missed.
            let _ = converse(stream, orders).await;
            drop(permit);
        });
    }
}

async fn converse(stream: tokio::net::UnixStream, orders: Orders) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut line = Vec::new();
    loop {
        line.clear();
        (&mut stream)
            .take(LONGEST_QUESTION)
            .read_until(b'\n', &mut line)
            .await?;
        if line.last() != Some(&b'\n') {
            return Ok(());
        }
        let question = serde_json::from_slice(&line)?;
        let (sender, answer) = oneshot::channel();
        let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        orders
            .send(Order::Answer(question, sender))
            .await
            .map_err(|_| gone(()))?;
        let answer = answer.await.map_err(|_| gone(()))?;
        let mut line = serde_json::to_vec(&answer)?;
        line.push(b'\n');
        stream.write_all(&line).await?;
    }
}
