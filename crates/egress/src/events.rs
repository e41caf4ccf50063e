//! What happened, for whoever keeps the log: flows and denials. Never blocks: what finds no room is counted.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant, SystemTime},
};

use agentkernel_policy::Verdict;
use agentkernel_types::{DomainName, Protocol};
use tokio::sync::mpsc;

use crate::statistics::Counters;

/// Equal denials within this time are one event.
const QUIET: Duration = Duration::from_secs(5);
/// Denials that are remembered for that: a sandbox that makes more different ones repeats some events.
const REMEMBERED: usize = 256;

/// Something that the log wants to know.
#[derive(Clone, Debug)]
pub enum EgressEvent {
    Opened(Flow),
    Closed {
        flow: Flow,
        sent: u64,
        received: u64,
        lasted: Duration,
    },
    Denied(Denial),
}

/// A connection, or datagrams between two ends.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Flow {
    /// Counts from 1 in each sandbox; the same in both events of a flow.
    pub number: u64,
    pub at: SystemTime,
    pub direction: Direction,
    pub protocol: Protocol,
    /// In the sandbox.
    pub inside: SocketAddr,
    /// Outside: the destination of a flow that leaves, the source of one that comes in.
    pub outside: SocketAddr,
    /// The names that were answered with that address in this sandbox.
    pub names: Vec<DomainName>,
    /// The rule that allowed it.
    pub rule: String,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Direction {
    Leaving,
    /// To a published port.
    Entering,
}

/// Something that the policy refused.
#[derive(Clone, Debug)]
pub struct Denial {
    pub at: SystemTime,
    pub attempt: Attempt,
    pub name: Option<DomainName>,
    /// The port is 0 for a name that was looked up and for ICMP.
    pub to: Option<SocketAddr>,
    pub protocol: Protocol,
    /// Of an HTTP request.
    pub method: Option<String>,
    pub verdict: Verdict,
    /// How often the same was refused since it was last told, this time included.
    pub times: u64,
}

/// At which of its moments an attempt was refused.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Attempt {
    /// A name was looked up.
    Lookup,
    /// A name was answered with an address that it must not have.
    Answer,
    /// A connection or a datagram was about to leave.
    Connect,
    /// The bytes of a connection claimed another name, or none.
    Claim,
    /// It existed when the policy changed.
    Existing,
}

#[derive(Eq, Hash, PartialEq)]
struct Sameness(Attempt, Option<DomainName>, Option<SocketAddr>, Protocol, String);

pub(crate) struct Events {
    sender: mpsc::Sender<EgressEvent>,
    counters: Arc<Counters>,
    recent: RefCell<HashMap<Sameness, (Instant, u64)>>,
    flows: Cell<u64>,
}

impl Events {
    pub fn new(sender: mpsc::Sender<EgressEvent>, counters: Arc<Counters>) -> Self {
        Self {
            sender,
            counters,
            recent: RefCell::default(),
            flows: Cell::new(0),
        }
    }

    pub fn next_flow(&self) -> u64 {
        self.flows.set(self.flows.get() + 1);
        self.flows.get()
    }

    pub fn opened(&self, flow: &Flow) {
        self.counters.flows_opened.fetch_add(1, Ordering::Relaxed);
        self.tell(EgressEvent::Opened(flow.clone()));
    }

    pub fn closed(&self, flow: Flow, sent: u64, received: u64, lasted: Duration) {
        self.counters.flows_closed.fetch_add(1, Ordering::Relaxed);
        self.counters.bytes_sent.fetch_add(sent, Ordering::Relaxed);
        self.counters
            .bytes_received
            .fetch_add(received, Ordering::Relaxed);
        self.tell(EgressEvent::Closed {
            flow,
            sent,
            received,
            lasted,
        });
    }

    pub fn denied(
        &self,
        attempt: Attempt,
        name: Option<DomainName>,
        to: Option<SocketAddr>,
        protocol: Protocol,
        verdict: Verdict,
    ) {
        self.denied_request(attempt, name, to, protocol, None, verdict);
    }

    pub fn denied_request(
        &self,
        attempt: Attempt,
        name: Option<DomainName>,
        to: Option<SocketAddr>,
        protocol: Protocol,
        method: Option<String>,
        verdict: Verdict,
    ) {
        self.counters.denied.fetch_add(1, Ordering::Relaxed);
        let same = Sameness(attempt, name.clone(), to, protocol, verdict.rule.clone());
        let Some(times) = self.due(same) else { return };
        let at = SystemTime::now();
        self.tell(EgressEvent::Denied(Denial {
            at,
            attempt,
            name,
            to,
            protocol,
            method,
            verdict,
            times,
        }));
    }

    /// How many times it happened since it was last told; none, if that was just now.
    fn due(&self, same: Sameness) -> Option<u64> {
        let mut recent = self.recent.borrow_mut();
        let now = Instant::now();
        if let Some((told, times)) = recent.get_mut(&same) {
            *times += 1;
            if now.duration_since(*told) < QUIET {
                return None;
            }
            *told = now;
            return Some(std::mem::take(times));
        }
        if recent.len() >= REMEMBERED {
            recent.retain(|_, (told, _)| now.duration_since(*told) < QUIET);
        }
        if recent.len() < REMEMBERED {
            recent.insert(same, (now, 0));
        }
        Some(1)
    }

    fn tell(&self, event: EgressEvent) {
        if self.sender.try_send(event).is_err() {
            self.counters.events_lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}
