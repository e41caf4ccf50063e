//! One command in a fresh sandbox. For an ephemeral one nothing is read from or written to the disk here.

use std::time::{Duration, Instant};

use agentkernel_backend::{Context, Error, Output, Process, Result, Sandbox, Workspace};
use agentkernel_control::{Event, EventKind, Notice, Run, RunRequest};
use agentkernel_types::{Command, ErrorKind, ExecSpec, Exit, Lifetime, NetworkEvent, NetworkEventKind};
use tokio::sync::mpsc;

use crate::{
    Engine,
    choose::Chosen,
    guard::Doomed,
    identity,
    images::{Intent, refuse_nothing_to_run},
    inject, network,
    timeout::TIMED_OUT,
};

/// How many events wait for a slow reader at most.
const EVENTS: usize = 32;
/// Among the last of these events denials are looked for.
const LAST_EVENTS: usize = 1000;
/// What a kept sandbox's other processes get when the command has ended.
const GRACE: Duration = Duration::from_secs(5);

impl Engine {
    pub(crate) async fn run_command(&self, mut request: RunRequest) -> Result<Run> {
        let begin = Instant::now();
        let began_ms = network::now_ms();
        refuse_nothing_to_run(&request)?;
        let lifetime = if request.keep {
            Lifetime::Kept
        } else {
            Lifetime::Ephemeral
        };
        if request.keep && request.sandbox.name.is_none() {
            request.sandbox.name = Some(identity::fresh_name());
        }
        let chosen = self
            .choose(&request.sandbox, request.command.as_ref(), lifetime, Intent::Make)
            .await?;
        let command = self.command_of(&request, &chosen)?;
        let limit = chosen.plan.spec.resources.timeout.map(|span| span.duration());
        let started = started(&chosen);
        let notices = chosen.plan.notices.clone();

        let cx = Context::default();
        let doomed = match lifetime {
            Lifetime::Ephemeral => {
                let sandbox = chosen
                    .backend
                    .create(&cx, &chosen.plan.spec, &Workspace::None)
                    .await?;
                let doomed = Doomed::new(sandbox, None);
                if let Err(error) = doomed.sandbox().start(&cx).await {
                    return Err(after_destroying(doomed, error).await);
                }
                doomed
            }
            Lifetime::Kept => self.make_kept(&cx, &request.sandbox, chosen).await?,
        };
        let process = match prepare(&cx, &doomed, &request, command).await {
            Ok(process) => process,
            Err(error) => return Err(after_destroying(doomed, error).await),
        };
        let (sender, events) = mpsc::channel(EVENTS);
        let run = Run {
            events,
            input: process.sink(),
        };
        let relay = Relay {
            events: sender,
            sequence: 0,
            begin,
            began_ms,
        };
        let end = match lifetime {
            Lifetime::Ephemeral => End::Destroy(doomed),
            Lifetime::Kept => End::Stop(self.settle(doomed, &request.sandbox)?),
        };
        tokio::spawn(relay.serve(started, notices, process, limit, end));
        Ok(run)
    }
}

fn started(chosen: &Chosen) -> EventKind {
    let (descriptor, spec) = (chosen.backend.descriptor(), &chosen.plan.spec);
    EventKind::Started {
        id: spec.id.clone(),
        name: spec.name.clone(),
        backend: descriptor.name.to_owned(),
        isolation: descriptor.isolation,
        image: spec.image.clone(),
        network: spec.network.policy.mode,
    }
}

async fn prepare(cx: &Context, doomed: &Doomed, request: &RunRequest, command: Command) -> Result<Process> {
    let sandbox = doomed.sandbox();
    // A kept one got its files when it was made.
    if !request.keep {
        inject::files(cx, sandbox, &request.sandbox.files).await?;
    }
    let mut spec = ExecSpec::new(command);
    spec.terminal = request.terminal;
    spec.stdin = request.stdin;
    sandbox.exec(cx, spec).await
}

/// The first error is the one that counts.
pub(crate) async fn after_destroying(doomed: Doomed, error: Error) -> Error {
    // What could not be destroyed is destroyed again by the guard, in the background.
    let _ = doomed.destroy().await;
    error
}

/// What becomes of the sandbox after the command.
enum End {
    Destroy(Doomed),
    Stop(std::sync::Arc<dyn Sandbox>),
}

impl End {
    /// What the policy refused since the run began. A sandbox that cannot tell has nothing to tell.
    async fn denials(&self, began_ms: u64) -> Vec<NetworkEvent> {
        let sandbox = match self {
            Self::Destroy(doomed) => doomed.sandbox(),
            Self::Stop(sandbox) => sandbox,
        };
        let Some(network) = sandbox.network() else {
            return Vec::new();
        };
        let cx = Context::within(Duration::from_secs(5));
        let mut events = network.events(&cx, LAST_EVENTS).await.unwrap_or_default();
        events.retain(|event| event.at_ms >= began_ms && matches!(event.kind, NetworkEventKind::Denied(_)));
        events
    }

    async fn reach(self, grace: Duration) -> Result<()> {
        match self {
            Self::Destroy(doomed) => doomed.destroy().await,
            Self::Stop(sandbox) => {
                sandbox
                    .stop(&Context::within(grace + Context::DEFAULT), grace)
                    .await
            }
        }
    }
}

/// Whoever asked has gone.
struct Left;

struct Relay {
    events: mpsc::Sender<Result<Event>>,
    sequence: u64,
    begin: Instant,
    /// The same by the clock of events: milliseconds since 1970.
    began_ms: u64,
}

impl Relay {
    async fn serve(
        mut self,
        started: EventKind,
        notices: Vec<Notice>,
        mut process: Process,
        limit: Option<Duration>,
        end: End,
    ) {
        let watched = self.events.clone();
        let deadline = limit.map(|limit| tokio::time::Instant::now() + limit);
        let out_of_time = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        let told = tokio::select! {
            told = self.tell(started, notices, &mut process) => told,
            () = out_of_time => Ok(Ok(TIMED_OUT)),
            () = watched.closed() => Err(Left),
        };
        drop(process);
        let denials = end.denials(self.began_ms).await;
        // At the end of its time it is killed; otherwise what else runs in it may end in peace.
        let timed_out = matches!(&told, Ok(Ok(exit)) if *exit == TIMED_OUT);
        let ended = end.reach(if timed_out { Duration::ZERO } else { GRACE }).await;
        let Ok(exit) = told else { return };
        // Whoever asked may go at any time now: nothing is left to be done.
        let _ = self.finish(denials, exit, ended).await;
    }

    /// Everything up to the exit of the command.
    async fn tell(
        &mut self,
        started: EventKind,
        notices: Vec<Notice>,
        process: &mut Process,
    ) -> Result<Result<Exit>, Left> {
        self.say(started).await?;
        for notice in notices {
            self.say(EventKind::Notice(notice)).await?;
        }
        loop {
            match process.next().await {
                Some(Ok(Output::Exit(exit))) => return Ok(Ok(exit)),
                Some(Ok(output)) => self.say(EventKind::Output(output)).await?,
                Some(Err(error)) => return Ok(Err(error)),
                None => {
                    let why = "the stream of the command ended without its exit";
                    return Ok(Err(Error::new(ErrorKind::Broken, "exec", why)));
                }
            }
        }
    }

    async fn finish(
        &mut self,
        denials: Vec<NetworkEvent>,
        exit: Result<Exit>,
        ended: Result<()>,
    ) -> Result<(), Left> {
        for denial in denials {
            self.say(EventKind::Denied(denial)).await?;
        }
        if let Err(error) = ended {
            let message =
                format!("the sandbox could not be cleaned up: {error}; `agentkernel gc` tries again");
            self.say(EventKind::Notice(Notice {
                code: "left_behind",
                message,
            }))
            .await?;
        }
        match exit {
            Ok(exit) => {
                let duration_ms = self.begin.elapsed().as_millis().try_into().unwrap_or(u64::MAX);
                self.say(EventKind::Finished { exit, duration_ms }).await
            }
            Err(error) => self.events.send(Err(error)).await.map_err(|_| Left),
        }
    }

    async fn say(&mut self, kind: EventKind) -> Result<(), Left> {
        let event = Event {
            sequence: self.sequence + 1,
            kind,
        };
        self.events.send(Ok(event)).await.map_err(|_| Left)?;
        // Counted only now: an event that was cut off while waiting was never said.
        self.sequence += 1;
        Ok(())
    }
}
