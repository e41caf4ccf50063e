//! The network of one sandbox as backends use it: a plane, its policy with rules that end by themselves, its published
//! ports and its log. In this process ([`Gateway::start`]), or in a small one of its own that lives as long as the
//! sandbox ([`process`]), which any process reaches over a socket ([`Gateway::over`]).
//!
//! It knows no backend: whoever makes a sandbox hands over a device.

mod actor;
mod facet;
mod journal;
mod own;
pub mod process;
mod request;

use std::{
    net::SocketAddr,
    os::unix::net::UnixStream,
    sync::{Mutex, PoisonError},
};

use agentkernel_backend::{Error, Result};
use agentkernel_types::{ErrorKind, NetworkMode, PublishedPort, SandboxSpec, TimedPolicy};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use crate::Device;

pub use journal::{Journal, read as read_journal};
use request::{Answer, Question};

/// What a gateway is made of.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Setup {
    /// As commands name it: for the remedies of denials.
    pub sandbox: String,
    pub policy: TimedPolicy,
    pub ports: Vec<PublishedPort>,
    /// None: those of the host.
    pub name_servers: Vec<SocketAddr>,
}

impl Setup {
    /// None: the sandbox has no network of ours (`none`, `host`).
    pub fn of(spec: &SandboxSpec) -> Option<Self> {
        if !is_carried(spec.network.policy.mode) {
            return None;
        }
        let name = spec.name.as_ref().map(|name| name.as_str().to_owned());
        Some(Self {
            sandbox: name.unwrap_or_default(),
            policy: spec.network.clone(),
            ports: spec.ports.clone(),
            name_servers: spec.name_servers.clone(),
        })
    }
}

/// Whether a sandbox of this mode has a gateway. `none` has no device, and `host` no namespace of its own.
pub const fn is_carried(mode: NetworkMode) -> bool {
    match mode {
        NetworkMode::Allowlist | NetworkMode::Public | NetworkMode::Open => true,
        NetworkMode::None | NetworkMode::Host => false,
    }
}

/// A running gateway. Dropping the one that was started here cuts the sandbox off.
#[derive(Debug)]
pub struct Gateway(Way);

#[derive(Debug)]
enum Way {
    Here {
        orders: mpsc::Sender<Order>,
        task: Mutex<Option<JoinHandle<()>>>,
    },
    There(tokio::sync::Mutex<BufReader<tokio::net::UnixStream>>),
}

/// What the one task that owns a plane is told.
enum Order {
    Answer(Question, oneshot::Sender<Answer>),
    Close,
}

/// An answer longer than this is not from a gateway of ours.
const LONGEST_ANSWER: u64 = 64 << 20;

impl Gateway {
    /// Becomes the gateway of the device, within the calling runtime. The ports are open when this returns.
    pub async fn start(device: Device, setup: Setup, journal: Journal) -> Result<Self> {
        let (orders, incoming) = mpsc::channel(16);
        let actor = actor::Actor::start(device, setup, journal).await?;
        let task = Mutex::new(Some(tokio::spawn(actor.run(incoming))));
        Ok(Self(Way::Here { orders, task }))
    }

    /// Cuts the sandbox off, and closes its ports, before it returns. One in another process ends with its sandbox.
    pub async fn close(&self) {
        let Way::Here { orders, task } = &self.0 else {
            return;
        };
        let task = task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            // One that has ended already hears nothing.
            let _ = orders.send(Order::Close).await;
            let _ = task.await;
        }
    }

    /// One that runs in another process, behind this connection.
    pub fn over(stream: UnixStream) -> Result<Self> {
        let stream = stream
            .set_nonblocking(true)
            .and_then(|()| tokio::net::UnixStream::from_std(stream));
        let stream = stream.map_err(|error| ended().because(error))?;
        Ok(Self(Way::There(tokio::sync::Mutex::new(BufReader::new(stream)))))
    }

    async fn ask(&self, question: Question) -> Result<Answer> {
        let answer = match &self.0 {
            Way::Here { orders, .. } => {
                let (sender, answer) = oneshot::channel();
                orders
                    .send(Order::Answer(question, sender))
                    .await
                    .map_err(|_| ended())?;
                answer.await.map_err(|_| ended())?
            }
            Way::There(stream) => ask_there(&mut *stream.lock().await, &question)
                .await
                .map_err(|error| ended().because(error))?,
        };
        match answer {
            Answer::Failed(failure) => Err(failure.into()),
            answer => Ok(answer),
        }
    }
}

async fn ask_there(
    stream: &mut BufReader<tokio::net::UnixStream>,
    question: &Question,
) -> std::io::Result<Answer> {
    use tokio::io::AsyncReadExt;
    let mut line = serde_json::to_vec(question)?;
    line.push(b'\n');
    stream.write_all(&line).await?;
    line.clear();
    (&mut *stream)
        .take(LONGEST_ANSWER)
        .read_until(b'\n', &mut line)
        .await?;
    if line.last() != Some(&b'\n') {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    Ok(serde_json::from_slice(&line)?)
}

fn ended() -> Error {
    Error::new(
        ErrorKind::Broken,
        "network",
        "the gateway of the sandbox has ended, so the sandbox has no network",
    )
    .hint("stop and start the sandbox")
}

fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}
