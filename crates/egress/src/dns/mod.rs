//! The resolver of one sandbox, the only one it can reach: on the gateway's address, by UDP and TCP.
//!
//! It answers for names that the policy allows, with addresses that the policy allows for them, and remembers what
//! it answered. No byte of an upstream's answer is passed on: answers are read and written anew.
//!
//! A denied name does not exist (NXDOMAIN, with the reason as an extended error of RFC 8914): programs give up at
//! once. REFUSED would make a stub resolver ask again and report a passing failure.

mod cache;
mod question;
mod respond;
mod sockets;
mod upstream;

use std::{
    cell::{Cell, RefCell},
    net::IpAddr,
    rc::Rc,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use agentkernel_policy::{CompiledNetwork, Verdict};
use agentkernel_types::{DomainName, NetworkMode, Protocol};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    time::timeout,
};

use crate::{events::Attempt, options::Upstreams, packet::Dropped, plane::Plane, reply, tcp::Key};
use cache::{Cache, Found};
use question::{Kind, Question};
use respond::Outcome;
use sockets::Sockets;
use upstream::Servers;

pub(crate) const PORT: u16 = 53;
/// Questions of a sandbox that are being answered at a time.
const MOST: usize = 256;
/// Questions that go upstream: so many at once, then so many a second. Enough for any program; too slow to carry
/// data away in names.
const BURST: f64 = 2000.0;
const EACH_SECOND: f64 = 100.0;
/// Longest question, and the silence after which a TCP connection to the resolver is closed.
const LONGEST: usize = 2048;
const SILENCE: Duration = Duration::from_secs(30);
/// How long a fixed answer may be kept.
const FIXED: Duration = Duration::from_secs(60);

pub(crate) struct Resolver {
    servers: RefCell<Servers>,
    cache: RefCell<Cache>,
    sockets: Sockets,
    running: Cell<usize>,
    allowance: Cell<(f64, Instant)>,
}

impl Resolver {
    pub fn new(upstreams: Upstreams) -> Self {
        Self {
            servers: RefCell::new(Servers::new(upstreams)),
            cache: RefCell::default(),
            sockets: Sockets::default(),
            running: Cell::new(0),
            allowance: Cell::new((BURST, Instant::now())),
        }
    }

    fn may_ask_upstream(&self) -> bool {
        let (left, then) = self.allowance.get();
        let now = Instant::now();
        let left = (left + now.duration_since(then).as_secs_f64() * EACH_SECOND).min(BURST);
        let may = left >= 1.0;
        self.allowance.set((if may { left - 1.0 } else { left }, now));
        may
    }
}

/// The name of the host's services, for events.
pub(crate) fn host_name() -> Option<DomainName> {
    CompiledNetwork::HOST_NAME.parse().ok()
}

/// A question by UDP.
pub(crate) fn take_datagram(plane: &Rc<Plane>, key: Key, bytes: &[u8]) -> Result<(), Dropped> {
    if bytes.len() > LONGEST || plane.resolver.running.get() >= MOST {
        return Err(Dropped::Overload);
    }
    let question = match Question::parse(bytes) {
        Ok(question) => question,
        Err(refusal) => {
            if let Some(refusal) = refusal {
                reply::datagram(&plane.link, key.outside, key.inside, &refusal);
            }
            return Ok(());
        }
    };
    plane.resolver.running.set(plane.resolver.running.get() + 1);
    let plane = Rc::clone(plane);
    tokio::task::spawn_local(async move {
        let outcome = answer(&plane, &question).await;
        let message = respond::write(&question, &outcome, question.room);
        reply::datagram(&plane.link, key.outside, key.inside, &message);
        plane.resolver.running.set(plane.resolver.running.get() - 1);
    });
    Ok(())
}

/// Questions by TCP, one after the other.
pub(crate) async fn serve_stream(plane: Rc<Plane>, mut stream: DuplexStream) {
    let mut bytes = Vec::new();
    while let Ok(Ok(length)) = timeout(SILENCE, stream.read_u16()).await {
        let length = usize::from(length);
        if length > LONGEST {
            return;
        }
        bytes.resize(length, 0);
        match timeout(SILENCE, stream.read_exact(&mut bytes)).await {
            Ok(Ok(_)) => {}
            _ => return,
        }
        let message = match Question::parse(&bytes) {
            Ok(question) => {
                let outcome = answer(&plane, &question).await;
                respond::write(&question, &outcome, usize::from(u16::MAX))
            }
            Err(Some(refusal)) => refusal,
            Err(None) => return,
        };
        let Ok(length) = u16::try_from(message.len()) else {
            return;
        };
        let mut framed = length.to_be_bytes().to_vec();
        framed.extend_from_slice(&message);
        match timeout(SILENCE, stream.write_all(&framed)).await {
            Ok(Ok(())) => {}
            _ => return,
        }
    }
}

async fn answer(plane: &Rc<Plane>, question: &Question) -> Outcome {
    plane.counters.questions.fetch_add(1, Ordering::Relaxed);
    if question.kind == Kind::Refused {
        return Outcome::Refused;
    }
    if let Some(fixed) = fixed(plane, question) {
        return fixed;
    }
    let (verdict, mode) = {
        let policy = plane.policy.borrow();
        (policy.resolve(&question.name), policy.mode())
    };
    if !verdict.allowed {
        // Programs look up the names of addresses all the time without wanting to go there.
        if question.kind != Kind::Reverse {
            let name = Some(question.name.clone());
            plane
                .events
                .denied(Attempt::Lookup, name, None, Protocol::Udp, verdict.clone());
        }
        return Outcome::Denied(verdict.reason);
    }
    match question.kind {
        Kind::A | Kind::Aaaa => {}
        Kind::Other if mode != NetworkMode::Allowlist => {}
        Kind::Reverse if mode != NetworkMode::Allowlist && may_be_named(plane, question) => {}
        // Parameters of services would lead past the inspection of names, and nobody needs them.
        _ => return Outcome::Nothing,
    }
    match find(plane, question).await {
        Some(found) if question.kind.is_address() => addresses(plane, question, &found),
        Some(found) => Outcome::Records(found),
        None => Outcome::Failed,
    }
}

/// Names that are answered here.
fn fixed(plane: &Plane, question: &Question) -> Option<Outcome> {
    let name = question.name.as_str();
    if name == "localhost" || name.ends_with(".localhost") {
        let loopback = match question.kind {
            Kind::A => vec![IpAddr::from([127, 0, 0, 1])],
            Kind::Aaaa => vec![IpAddr::V6(std::net::Ipv6Addr::LOCALHOST)],
            _ => Vec::new(),
        };
        return Some(Outcome::Addresses(loopback, FIXED));
    }
    if name != CompiledNetwork::HOST_NAME {
        return None;
    }
    let verdict = plane.policy.borrow().resolve(&question.name);
    if !verdict.allowed {
        let name = Some(question.name.clone());
        plane
            .events
            .denied(Attempt::Lookup, name, None, Protocol::Udp, verdict.clone());
        return Some(Outcome::Denied(verdict.reason));
    }
    let gateway = match question.kind {
        Kind::A => vec![IpAddr::V4(plane.addresses.v4.gateway)],
        Kind::Aaaa => vec![IpAddr::V6(plane.addresses.v6.gateway)],
        _ => Vec::new(),
    };
    Some(Outcome::Addresses(gateway, FIXED))
}

/// The host's network has names too: only addresses that could be reached are looked up.
fn may_be_named(plane: &Plane, question: &Question) -> bool {
    let Some(address) = question::reverse(&question.name) else {
        return false;
    };
    !plane.addresses.is_gateway(address)
        && !plane.addresses.is_sandbox(address)
        && plane.policy.borrow().address(None, address).allowed
}

async fn find(plane: &Rc<Plane>, question: &Question) -> Option<Rc<Found>> {
    let now = Instant::now();
    if let Some(found) = plane.resolver.cache.borrow().get(question, now) {
        return Some(found);
    }
    if !plane.resolver.may_ask_upstream() {
        plane.counters.dropped(Dropped::Overload);
        return None;
    }
    plane.counters.questions_upstream.fetch_add(1, Ordering::Relaxed);
    let servers = plane.resolver.servers.borrow_mut().now();
    let message = upstream::ask(&plane.resolver.sockets, &servers, question).await?;
    let found = Rc::new(Found::read(message, question, Instant::now())?);
    plane.resolver.cache.borrow_mut().put(question, &found);
    Some(found)
}

/// What of the answer the policy allows, remembered.
fn addresses(plane: &Plane, question: &Question, found: &Found) -> Outcome {
    if found.missing {
        return Outcome::Missing;
    }
    let now = Instant::now();
    let rest = found.rest(now);
    let policy = plane.policy.borrow().clone();
    let mut allowed = Vec::new();
    let mut denied: Option<(IpAddr, Verdict)> = None;
    for address in found.addresses(question) {
        let verdict = policy.address(Some(&question.name), address);
        if verdict.allowed {
            plane.pins.borrow_mut().add(address, &question.name, rest, now);
            allowed.push(address);
        } else {
            denied = Some((address, verdict));
        }
    }
    if let Some((address, verdict)) = denied {
        let to = Some(std::net::SocketAddr::new(address, 0));
        let name = Some(question.name.clone());
        plane
            .events
            .denied(Attempt::Answer, name, to, Protocol::Udp, verdict);
    }
    Outcome::Addresses(allowed, rest)
}

/// For the fuzz target: reads a question and an answer, and writes one.
#[doc(hidden)]
pub fn fuzz(bytes: &[u8]) {
    let Ok(question) = Question::parse(bytes) else {
        return;
    };
    let _ = upstream::write(&question, 7);
    let now = Instant::now();
    // The same bytes as an answer: the bit that says so is set.
    let mut copy = bytes.to_vec();
    if let Some(flags) = copy.get_mut(2) {
        *flags |= 0x80;
    }
    if let Some(found) = Found::read(copy, &question, now) {
        let _ = found.addresses(&question);
        let _ = respond::write(&question, &Outcome::Records(Rc::new(found)), 512);
    }
}
