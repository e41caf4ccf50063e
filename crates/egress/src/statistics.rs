//! Numbers of one sandbox's traffic. Read at any time, from any thread.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::packet::Dropped;

/// A reading. All counts are since the start.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Statistics {
    pub flows_opened: u64,
    pub flows_closed: u64,
    /// Payload of closed flows, from the sandbox.
    pub bytes_sent: u64,
    /// Payload of closed flows, to the sandbox.
    pub bytes_received: u64,
    pub denied: u64,
    pub questions: u64,
    /// Questions that had to be asked upstream.
    pub questions_upstream: u64,
    /// Events that found no room.
    pub events_lost: u64,
    /// Packets of the sandbox that were dropped, by reason.
    pub dropped: Vec<(Dropped, u64)>,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub flows_opened: AtomicU64,
    pub flows_closed: AtomicU64,
    pub bytes_sent: AtomicU64,
    pub bytes_received: AtomicU64,
    pub denied: AtomicU64,
    pub questions: AtomicU64,
    pub questions_upstream: AtomicU64,
    pub events_lost: AtomicU64,
    dropped: [AtomicU64; Dropped::ALL.len()],
}

impl Counters {
    pub fn dropped(&self, why: Dropped) {
        self.dropped[why as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub fn read(&self) -> Statistics {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Statistics {
            flows_opened: get(&self.flows_opened),
            flows_closed: get(&self.flows_closed),
            bytes_sent: get(&self.bytes_sent),
            bytes_received: get(&self.bytes_received),
            denied: get(&self.denied),
            questions: get(&self.questions),
            questions_upstream: get(&self.questions_upstream),
            events_lost: get(&self.events_lost),
            dropped: Dropped::ALL
                .into_iter()
                .map(|why| (why, get(&self.dropped[why as usize])))
                .collect(),
        }
    }
}
