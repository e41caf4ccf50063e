//! The one task that owns a plane: it answers questions in turn, writes the log, and ends rules at their time.

use std::{future::pending, sync::Arc, time::Duration};

use agentkernel_backend::{BoundPort, Error, Result};
use agentkernel_policy::CompiledNetwork;
use agentkernel_types::{
    ErrorKind, IpNetwork, NetworkEvent, NetworkEventKind, NetworkMode, PublishedPort, TimedPolicy,
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

use crate::{
    Addresses, Device, Egress, HostSockets, Options, Published, Upstreams,
    gateway::{
        Order, Setup,
        journal::Journal,
        now_ms, own,
        request::{Answer, Question},
    },
    start,
};

/// How often it is looked whether the host has other addresses now.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// Events between two turns of the task.
const EVENTS: usize = 4096;

pub(super) struct Actor {
    egress: Egress,
    events: mpsc::Receiver<NetworkEvent>,
    journal: Journal,
    sandbox: String,
    policy: TimedPolicy,
    own: Vec<IpNetwork>,
    ports: Vec<BoundPort>,
    lost: u64,
}

impl Actor {
    pub async fn start(device: Device, setup: Setup, journal: Journal) -> Result<Self> {
        let own = own::addresses();
        let compiled = compile(&setup.policy, &setup.sandbox, &own)?;
        let (sender, events) = mpsc::channel(EVENTS);
        let options = Options {
            addresses: Addresses::default(),
            policy: compiled,
            upstreams: match setup.name_servers.is_empty() {
                true => Upstreams::default(),
                false => Upstreams::Given(setup.name_servers),
            },
            dial: Arc::new(HostSockets),
            events: sender,
        };
        let egress = start(device, options).map_err(failed)?;
        let mut actor = Self {
            egress,
            events,
            journal,
            sandbox: setup.sandbox,
            policy: setup.policy,
            own,
            ports: Vec::new(),
            lost: 0,
        };
        actor.log_policy();
        for port in &setup.ports {
            actor.publish(*port).await?;
        }
        Ok(actor)
    }

    /// Until nobody can ask any more, or the plane has ended.
    pub async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        let mut look = Instant::now() + LOOK_AGAIN;
        loop {
            let ends = rule_ends(self.policy.next_change(now_ms()));
            // Events first: what happened before a question is part of its answer.
            tokio::select! {
                biased;
                event = self.events.recv() => match event {
                    Some(event) => self.journal.write(event),
                    None => return,
                },
                order = orders.recv() => match order {
                    Some(Order::Answer(question, answer)) => drop(answer.send(self.answer(question).await)),
                    Some(Order::Close) => return self.egress.leave().await,
                    None => return,
                },
                () = ends => self.renew().await,
                () = sleep_until(look) => {
                    look = Instant::now() + LOOK_AGAIN;
                    if own::addresses() != self.own {
                        self.renew().await;
                    }
                }
            }
        }
    }

    async fn answer(&mut self, question: Question) -> Answer {
        let answer = match question {
            Question::Policy => Ok(Answer::Policy(self.policy.clone())),
            Question::Apply(policy) => self.apply(policy).await.map(|()| Answer::Done),
            Question::Published => Ok(Answer::Published(self.ports.clone())),
            Question::Publish(port) => self.publish(port).await.map(Answer::Bound),
            Question::Unpublish(address, protocol) => {
                self.unpublish(address, protocol).await.map(|()| Answer::Done)
            }
            Question::Events(most) => self.last_events(most),
        };
        answer.unwrap_or_else(|error| Answer::Failed(error.into()))
    }

    async fn apply(&mut self, policy: TimedPolicy) -> Result<()> {
        if policy.policy.mode == NetworkMode::Host {
            let message = "a running sandbox cannot come to share the host's network";
            return Err(Error::unsupported("policy", "mode", message)
                .hint("make another sandbox with --network host, or use --network open"));
        }
        let compiled = compile(&policy, &self.sandbox, &self.own)?;
        self.egress.apply(compiled).await.map_err(failed)?;
        self.policy = policy;
        self.log_policy();
        Ok(())
    }

    /// A rule has ended, or the host has other addresses.
    async fn renew(&mut self) {
        self.own = own::addresses();
        let now = now_ms();
        let ended = |rule: &agentkernel_types::TemporaryRule| rule.until_ms <= now;
        let some_ended = self.policy.temporary.iter().any(ended);
        self.policy.temporary.retain(|rule| !ended(rule));
        let Ok(compiled) = compile(&self.policy, &self.sandbox, &self.own) else {
            unreachable!("fewer rules of a policy that was compiled are one");
        };
        // A plane that has ended is noticed by the end of its events.
        let _ = self.egress.apply(compiled).await;
        if some_ended {
            self.policy.version += 1;
            self.log_policy();
        }
    }

    async fn publish(&mut self, port: PublishedPort) -> Result<BoundPort> {
        let published = Published {
            host: port.host,
            guest_port: port.sandbox,
            protocol: port.protocol,
        };
        let address = self.egress.publish(published).await.map_err(failed)?;
        let bound = BoundPort { port, address };
        self.ports.push(bound);
        self.log(NetworkEventKind::Published { port, address });
        Ok(bound)
    }

    async fn unpublish(
        &mut self,
        address: std::net::SocketAddr,
        protocol: agentkernel_types::Protocol,
    ) -> Result<()> {
        let found = self
            .ports
            .iter()
            .position(|bound| bound.address == address && bound.port.protocol == protocol);
        let Some(found) = found else {
            let message = format!("{address}/{protocol} is not published by this sandbox");
            return Err(Error::new(ErrorKind::NotFound, "unpublish", message)
                .hint("list what is with `agentkernel port list NAME`"));
        };
        let published = Published {
            host: address,
            guest_port: self.ports[found].port.sandbox,
            protocol,
        };
        self.egress.unpublish(published).await.map_err(failed)?;
        self.ports.remove(found);
        self.log(NetworkEventKind::Unpublished { address, protocol });
        Ok(())
    }

    fn last_events(&mut self, most: usize) -> Result<Answer> {
        while let Ok(event) = self.events.try_recv() {
            self.journal.write(event);
        }
        let lost = self.egress.statistics().events_lost;
        if lost > self.lost {
            self.log(NetworkEventKind::Lost {
                events: lost - self.lost,
            });
            self.lost = lost;
        }
        let events = self.journal.last(most).map_err(|error| {
            Error::new(
                ErrorKind::Broken,
                "why",
                "cannot read the log of the sandbox's network",
            )
            .because(error)
        })?;
        Ok(Answer::Events(events))
    }

    fn log_policy(&mut self) {
        let policy = self.policy.clone();
        self.log(NetworkEventKind::Policy { policy });
    }

    fn log(&mut self, kind: NetworkEventKind) {
        self.journal.write(NetworkEvent {
            at_ms: now_ms(),
            kind,
        });
    }
}

async fn rule_ends(at_ms: Option<u64>) {
    match at_ms {
        Some(end) => tokio::time::sleep(Duration::from_millis(end.saturating_sub(now_ms()))).await,
        None => pending().await,
    }
}

fn compile(policy: &TimedPolicy, sandbox: &str, own: &[IpNetwork]) -> Result<Arc<CompiledNetwork>> {
    let compiled = CompiledNetwork::new(&policy.at(now_ms())).map_err(|denied| {
        Error::new(denied.kind, "policy", denied.to_string())
            .hint(denied.way_out)
            .with("field", "network")
    })?;
    let compiled = compiled.with_own_addresses(own.iter().cloned());
    Ok(Arc::new(match sandbox {
        "" => compiled.for_run(),
        name => compiled.for_sandbox(name),
    }))
}

fn failed(error: crate::Error) -> Error {
    let kind = match &error {
        crate::Error::Publish { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => {
            ErrorKind::Denied
        }
        crate::Error::Publish { .. } => ErrorKind::Conflict,
        crate::Error::NotPublished(_) => ErrorKind::NotFound,
        crate::Error::Start(_) | crate::Error::Ended => ErrorKind::Broken,
    };
    let text = error.to_string();
    let (message, hint) = match text.split_once("; ") {
        Some((message, hint)) => (message, Some(hint)),
        None => (text.as_str(), None),
    };
    let mut failure = Error::new(kind, "network", message);
    if let Some(hint) = hint {
        failure = failure.hint(hint);
    }
    match std::error::Error::source(&error) {
        Some(source) => failure.because(source.to_string()),
        None => failure,
    }
}
