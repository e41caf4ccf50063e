//! What happened, for whoever keeps the log: flows and denials. Never blocks: what finds no room is counted.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use agentkernel_policy::Verdict;
pub(crate) use agentkernel_types::{Attempt, Direction, Flow};
use agentkernel_types::{Denial, DomainName, NetworkEvent, NetworkEventKind, Protocol};
use tokio::sync::mpsc;

use crate::statistics::Counters;

/// Equal denials within this time are one event.
const QUIET: Duration = Duration::from_secs(5);
/// Denials that are remembered for that: a sandbox that makes more different ones repeats some events.
const REMEMBERED: usize = 256;

#[derive(Eq, Hash, PartialEq)]
struct Sameness(Attempt, Option<DomainName>, Option<SocketAddr>, Protocol, String);

pub(crate) struct Events {
    sender: mpsc::Sender<NetworkEvent>,
    counters: Arc<Counters>,
    recent: RefCell<HashMap<Sameness, (Instant, u64)>>,
    flows: Cell<u64>,
}

impl Events {
    pub fn new(sender: mpsc::Sender<NetworkEvent>, counters: Arc<Counters>) -> Self {
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
        self.tell(NetworkEventKind::Opened(flow.clone()));
    }

    pub fn closed(&self, flow: Flow, sent: u64, received: u64, lasted: Duration) {
        self.counters.flows_closed.fetch_add(1, Ordering::Relaxed);
        self.counters.bytes_sent.fetch_add(sent, Ordering::Relaxed);
        self.counters
            .bytes_received
            .fetch_add(received, Ordering::Relaxed);
        self.tell(NetworkEventKind::Closed {
            flow,
            sent,
            received,
            lasted_ms: milliseconds(lasted),
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
        self.tell(NetworkEventKind::Denied(Denial {
            attempt,
            name,
            to,
            protocol,
            method,
            rule: verdict.rule,
            reason: verdict.reason,
            remedy: verdict.remedy,
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

    fn tell(&self, kind: NetworkEventKind) {
        let at_ms = milliseconds(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default());
        let event = NetworkEvent { at_ms, kind };
        if self.sender.try_send(event).is_err() {
            self.counters.events_lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
