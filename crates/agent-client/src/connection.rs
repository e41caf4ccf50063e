//! A connection to one agent, as its users hold it.

use std::time::Duration;

use agentkernel_backend::{Context, Error, Process, Result};
use agentkernel_protocol::{Boot, ToGuest};
use agentkernel_types::{ErrorKind, ExecId, ExecSpec};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{mpsc, oneshot, watch},
};

use crate::{
    AgentFiles,
    driver::{self, Command, Progress},
    exec,
    failure::Lost,
    stream::{Answer, Opening},
};

/// Requests that wait to be written. Each is small; bulk data has its own channels.
const REQUESTS: usize = 64;

/// Cloneable: all clones share the one connection, which ends with the last of them and the last process.
#[derive(Clone, Debug)]
pub struct AgentConnection {
    commands: mpsc::Sender<Command>,
    progress: watch::Receiver<Progress>,
}

/// What an agent says of its sandbox.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AgentStats {
    /// Without the agent itself.
    pub processes: u32,
    /// Of this connection.
    pub streams: u32,
    pub uptime: Duration,
}

impl AgentConnection {
    /// Greets the agent. Does not wait: whatever is asked next goes out together with the greeting.
    ///
    /// Needs a tokio runtime, on which one task is started.
    pub fn open<S>(stream: S) -> Self
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        Self::start(stream, None)
    }

    /// The same on the owner's connection, with its `Boot`: the first command can follow at once.
    pub fn open_and_boot<S>(stream: S, boot: Boot) -> Self
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        Self::start(stream, Some(boot))
    }

    fn start<S>(stream: S, boot: Option<Boot>) -> Self
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let (commands, receiver) = mpsc::channel(REQUESTS);
        let (sender, progress) = watch::channel(Progress::Greeting);
        tokio::spawn(driver::Driver::new(Box::pin(stream), receiver, sender, boot));
        Self { commands, progress }
    }

    /// Waits until the agent has answered the greeting, and `Boot` if it was sent.
    /// No other call needs this: they fail by themselves where it would.
    pub async fn ready(&self, cx: &Context) -> Result<()> {
        cx.bound("connect", async {
            let mut progress = self.progress.clone();
            let reached = progress
                .wait_for(|progress| !matches!(progress, Progress::Greeting))
                .await;
            match reached.as_deref() {
                Ok(Progress::Lost(lost)) => Err(lost.to_error("connect")),
                Ok(_) => Ok(()),
                Err(_) => Err(Lost::closed().to_error("connect")),
            }
        })
        .await
    }

    /// Waits until the connection is over, for whatever reason.
    pub async fn closed(&self) {
        let mut progress = self.progress.clone();
        // An error is the end of the task: the same.
        let _ = progress
            .wait_for(|progress| matches!(progress, Progress::Lost(_)))
            .await;
    }

    pub fn is_closed(&self) -> bool {
        self.commands.is_closed() || matches!(*self.progress.borrow(), Progress::Lost(_))
    }

    /// Runs a command, and returns when it runs. Dropping the future or the process kills it.
    pub async fn exec(&self, cx: &Context, spec: ExecSpec) -> Result<Process> {
        exec::exec(self, cx, spec).await
    }

    pub fn files(&self) -> AgentFiles {
        AgentFiles::new(self.clone())
    }

    pub async fn kill_detached(&self, cx: &Context, id: &ExecId) -> Result<()> {
        let request = ToGuest::KillDetached(id.as_str().to_owned());
        match self.request(cx, "kill", request, Opening::Simple).await? {
            Answer::Done => Ok(()),
            _ => Err(unexpected("kill")),
        }
    }

    /// Those that run.
    pub async fn list_detached(&self, cx: &Context) -> Result<Vec<ExecId>> {
        match self
            .request(cx, "list", ToGuest::ListDetached, Opening::Simple)
            .await?
        {
            Answer::Detached(ids) => ids
                .iter()
                .map(|id| id.parse().map_err(|_| unexpected("list")))
                .collect(),
            _ => Err(unexpected("list")),
        }
    }

    pub async fn stats(&self, cx: &Context) -> Result<AgentStats> {
        match self.request(cx, "stats", ToGuest::Stats, Opening::Simple).await? {
            Answer::Stats(report) => Ok(AgentStats {
                processes: report.processes,
                streams: report.streams,
                uptime: Duration::from_millis(report.uptime_ms),
            }),
            _ => Err(unexpected("stats")),
        }
    }

    /// A round trip.
    pub async fn ping(&self, cx: &Context) -> Result<()> {
        match self.request(cx, "ping", ToGuest::Ping, Opening::Simple).await? {
            Answer::Pong => Ok(()),
            _ => Err(unexpected("ping")),
        }
    }

    /// Asks all processes to end, kills them after `grace`, and returns when the agent has gone.
    /// The agent that has gone already is a success.
    pub async fn shutdown(&self, cx: &Context, grace: Duration) -> Result<()> {
        let grace_ms = u32::try_from(grace.as_millis()).unwrap_or(u32::MAX);
        cx.bound("stop", async {
            if self
                .commands
                .send(Command::Connection(ToGuest::Shutdown { grace_ms }))
                .await
                .is_ok()
            {
                self.closed().await;
            }
            Ok(())
        })
        .await
    }

    /// Opens a stream and waits for its answer. Dropping the future cancels it.
    pub(crate) async fn request(
        &self,
        cx: &Context,
        operation: &'static str,
        message: ToGuest,
        opening: Opening,
    ) -> Result<Answer> {
        cx.bound(operation, async {
            let (reply, answer) = oneshot::channel();
            let command = Command::Open {
                message,
                operation,
                reply,
                opening,
            };
            if self.commands.send(command).await.is_err() {
                return Err(self.lost(operation));
            }
            match answer.await {
                Ok(result) => result,
                Err(_) => Err(self.lost(operation)),
            }
        })
        .await
    }

    fn lost(&self, operation: &'static str) -> Error {
        match &*self.progress.borrow() {
            Progress::Lost(lost) => lost.to_error(operation),
            _ => Lost::closed().to_error(operation),
        }
    }
}

pub(crate) fn unexpected(operation: &'static str) -> Error {
    Error::new(
        ErrorKind::Broken,
        operation,
        "the agent in the sandbox gave an answer to another question",
    )
}
