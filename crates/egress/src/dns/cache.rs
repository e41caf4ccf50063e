//! Answers of upstreams, until they expire. Judged anew at each question: what is kept is what the upstream said.

use std::{
    collections::HashMap,
    net::IpAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use agentkernel_types::DomainName;
use domain::{
    base::{
        Message, Rtype,
        iana::{Class, Rcode},
    },
    rdata::{A, Aaaa},
};

use super::question::{Kind, Question};

/// Most bytes of all answers together.
const MOST_BYTES: usize = 256 * 1024;
/// A name that changes often is not asked for at each connection; one that never changes is asked for again.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(300);
/// "There is none" is believed for so long.
const NEGATIVE: Duration = Duration::from_secs(5);

/// A well-formed answer to a question.
#[derive(Debug)]
pub(super) struct Found {
    pub message: Message<Vec<u8>>,
    /// The name does not exist.
    pub missing: bool,
    since: Instant,
    life: Duration,
}

impl Found {
    /// None: no answer that could be used.
    pub fn read(bytes: Vec<u8>, question: &Question, now: Instant) -> Option<Self> {
        let message = Message::from_octets(bytes).ok()?;
        let missing = match message.header().rcode() {
            Rcode::NOERROR => false,
            Rcode::NXDOMAIN => true,
            _ => return None,
        };
        let mut life: Option<Duration> = None;
        // Every record is looked at, so that a message that cannot be read is not used in part.
        for record in message.answer().ok()? {
            let ttl = record.ok()?.ttl().into_duration();
            life = Some(life.map_or(ttl, |life| life.min(ttl)));
        }
        let mut found = Self {
            message,
            missing,
            since: now,
            life: NEGATIVE,
        };
        let useful = !missing && (!question.kind.is_address() || !found.addresses(question).is_empty());
        if let Some(life) = life.filter(|_| useful) {
            found.life = life.clamp(SHORTEST, LONGEST);
        }
        Some(found)
    }

    /// The addresses at the end of the chain of aliases that begins at the question's name.
    pub fn addresses(&self, question: &Question) -> Vec<IpAddr> {
        let Some(name) = self.message.canonical_name() else {
            return Vec::new();
        };
        let Ok(section) = self.message.answer() else {
            return Vec::new();
        };
        let records = section
            .flatten()
            .filter(|record| record.class() == Class::IN && record.owner() == name);
        let addresses = records.filter_map(|record| match question.kind {
            Kind::A if record.rtype() == Rtype::A => {
                let record = record.into_record::<A>().ok()??;
                Some(IpAddr::V4(record.data().addr()))
            }
            Kind::Aaaa if record.rtype() == Rtype::AAAA => {
                let record = record.into_record::<Aaaa>().ok()??;
                Some(IpAddr::V6(record.data().addr()))
            }
            _ => None,
        });
        addresses.collect()
    }

    pub fn age(&self, now: Instant) -> Duration {
        now.duration_since(self.since)
    }

    pub fn rest(&self, now: Instant) -> Duration {
        self.life.saturating_sub(self.age(now)).max(SHORTEST)
    }

    fn is_fresh(&self, now: Instant) -> bool {
        self.age(now) < self.life
    }
}

#[derive(Default)]
pub(super) struct Cache {
    answers: HashMap<(DomainName, Rtype), Rc<Found>>,
    bytes: usize,
}

impl Cache {
    pub fn get(&self, question: &Question, now: Instant) -> Option<Rc<Found>> {
        let found = self.answers.get(&(question.name.clone(), question.rtype))?;
        found.is_fresh(now).then(|| Rc::clone(found))
    }

    pub fn put(&mut self, question: &Question, found: &Rc<Found>) {
        let size = |found: &Found| found.message.as_slice().len() + 256;
        if self.bytes + size(found) > MOST_BYTES {
            let now = found.since;
            self.answers.retain(|_, old| old.is_fresh(now));
            self.bytes = self.answers.values().map(|old| size(old)).sum();
        }
        if self.bytes + size(found) > MOST_BYTES {
            // Full of what is fresh: begin again rather than keep an order of use for so little.
            self.answers.clear();
            self.bytes = 0;
        }
        let old = self
            .answers
            .insert((question.name.clone(), question.rtype), Rc::clone(found));
        self.bytes += size(found);
        self.bytes -= old.map_or(0, |old| size(&old));
    }
}
