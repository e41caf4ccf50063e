//! One connection, from its SYN to its last byte.

use std::{
    cell::{Cell, RefCell},
    io,
    net::SocketAddr,
    rc::Rc,
    task::Waker,
    time::{Duration, Instant},
};

use agentkernel_policy::CompiledNetwork;
use agentkernel_types::{DomainName, Protocol};
use smoltcp::wire::TcpPacket;
use tokio::time::timeout;

use super::{Key, machine::Machine, relay, room::Room};
use crate::{
    dial::{Connection, Outgoing},
    events::{self, Attempt, Direction},
    inspect::{FlowGuard, Refusal},
    packet::Packet,
    plane::{Plane, Way},
    reply::{self, Unreachable},
};

/// A far end that has not answered by then is unreachable.
const DIALLING: Duration = Duration::from_secs(30);
/// Bytes between the stack and the resolver's side of a connection.
const RESOLVER_ROOM: usize = 16 * 1024;

pub(crate) struct Flow {
    pub key: Key,
    /// The number of the published port that it came in by.
    pub port: Option<u64>,
    way: Option<Way>,
    phase: RefCell<Phase>,
    /// Of what the sandbox sends. None: it may send what it likes.
    pub guard: RefCell<Option<FlowGuard>>,
    /// Of the relay, or of the task that waits for the sandbox's answer to our SYN.
    pub waker: RefCell<Option<Waker>>,
    pub cut: Cell<bool>,
    /// Bytes that the sandbox sent and that left; bytes that came for it.
    pub sent: Cell<u64>,
    pub received: Cell<u64>,
    memory: usize,
}

enum Phase {
    /// The SYN that waits for the far end.
    Dialling(Box<[u8]>),
    Open(Box<Machine>),
    Over,
}

impl Flow {
    fn new(plane: &Plane, key: Key, way: Option<Way>, port: Option<u64>, phase: Phase) -> Rc<Self> {
        let memory = 2 * plane.tcp.window(plane.link.most_under_way());
        plane.tcp.memory.set(plane.tcp.memory.get() + memory);
        let flow = Rc::new(Self {
            key,
            port,
            way,
            phase: RefCell::new(phase),
            guard: RefCell::default(),
            waker: RefCell::default(),
            cut: Cell::new(false),
            sent: Cell::new(0),
            received: Cell::new(0),
            memory,
        });
        plane.tcp.table.borrow_mut().insert(key, Rc::clone(&flow));
        flow
    }

    /// A segment from the sandbox.
    pub fn take(&self, plane: &Plane, packet: &Packet<'_>, segment: &TcpPacket<&[u8]>) {
        match &mut *self.phase.borrow_mut() {
            // The SYN again: its answer is on the way. A reset: nobody waits for it any more.
            Phase::Dialling(_) if segment.rst() => self.cut.set(true),
            Phase::Dialling(_) => return,
            Phase::Open(machine) => machine.take(&plane.link, packet.whole),
            Phase::Over => return,
        }
        self.wake();
    }

    pub fn wake(&self) {
        let waker = self.waker.borrow().clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Works on the state machine, if there is one.
    pub fn with<R>(&self, work: impl FnOnce(&mut Machine) -> R) -> Option<R> {
        match &mut *self.phase.borrow_mut() {
            Phase::Open(machine) => Some(work(machine)),
            _ => None,
        }
    }

    pub fn judge_again(&self, plane: &Plane, old: &CompiledNetwork) {
        if self.way.is_none() {
            return;
        }
        let to = self.key.outside;
        let refusal = match plane.lost(old, to, self.names(), Protocol::Tcp) {
            Some(verdict) => Refusal {
                verdict,
                name: self.names().last().cloned(),
                method: None,
            },
            None => match self.guard_by(plane) {
                Err(refusal) => refusal,
                Ok(()) => return,
            },
        };
        self.refused(plane, Attempt::Existing, refusal);
        self.cut(plane);
    }

    /// What was said before is judged again, and what comes is judged by the policy of now.
    fn guard_by(&self, plane: &Plane) -> Result<(), Refusal> {
        let mut guard = self.guard.borrow_mut();
        let policy = plane.policy.borrow().clone();
        guard
            .as_mut()
            .map_or(Ok(()), |guard| guard.judge_by(policy, self.sent.get() == 0))
    }

    pub fn refused(&self, plane: &Plane, attempt: Attempt, refusal: Refusal) {
        let Refusal {
            verdict,
            name,
            method,
        } = refusal;
        let to = Some(self.key.outside);
        plane
            .events
            .denied_request(attempt, name, to, Protocol::Tcp, method, verdict);
    }

    /// Both sides see a reset.
    pub fn cut(&self, plane: &Plane) {
        self.cut.set(true);
        self.with(|machine| {
            machine.socket().abort();
            machine.turn(&plane.link);
        });
        self.wake();
    }

    fn names(&self) -> &[DomainName] {
        match &self.way {
            Some(Way::Out(names, _)) => names,
            _ => &[],
        }
    }

    fn describe(&self, plane: &Plane) -> events::Flow {
        let rule = match &self.way {
            Some(Way::Out(_, verdict) | Way::Host(_, verdict)) => verdict.rule.clone(),
            Some(Way::Resolver) => "resolver".to_owned(),
            None => "published port".to_owned(),
        };
        events::Flow {
            flow: plane.events.next_flow(),
            direction: if self.way.is_some() {
                Direction::Leaving
            } else {
                Direction::Entering
            },
            protocol: Protocol::Tcp,
            inside: self.key.inside,
            outside: self.key.outside,
            names: self.names().to_vec(),
            rule,
        }
    }

    /// For both directions.
    fn rooms(&self, plane: &Plane) -> Option<[Room; 2]> {
        let rooms = &plane.tcp.rooms;
        Some([rooms.take(self.memory / 2)?, rooms.take(self.memory / 2)?])
    }

    fn end(&self, plane: &Rc<Plane>) {
        *self.phase.borrow_mut() = Phase::Over;
        plane.tcp.table.borrow_mut().remove(&self.key);
        plane.tcp.memory.set(plane.tcp.memory.get() - self.memory);
        super::give_back_when_quiet(plane);
    }
}

/// A connection that the sandbox wants and may have. Returns at once.
pub(super) fn leave(plane: &Rc<Plane>, key: Key, way: Way, syn: &[u8]) {
    let flow = Flow::new(plane, key, Some(way), None, Phase::Dialling(syn.into()));
    let plane = Rc::clone(plane);
    plane.tcp.dialling.set(plane.tcp.dialling.get() + 1);
    tokio::task::spawn_local(async move {
        let dialled = timeout(DIALLING, dial(&plane, &flow)).await;
        plane.tcp.dialling.set(plane.tcp.dialling.get() - 1);
        match dialled.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(mut stream) if flow.cut.get() => {
                stream.reset_on_drop();
                flow.refuse(&plane, None);
            }
            Ok(stream) => flow.carry(&plane, stream).await,
            Err(error) => flow.refuse(&plane, Some(error)),
        }
        flow.end(&plane);
    });
}

async fn dial(plane: &Rc<Plane>, flow: &Flow) -> io::Result<Box<dyn Connection>> {
    match &flow.way {
        Some(Way::Resolver) => {
            let (ours, theirs) = tokio::io::duplex(RESOLVER_ROOM);
            tokio::task::spawn_local(crate::dns::serve_stream(Rc::clone(plane), theirs));
            Ok(Box::new(ours))
        }
        Some(Way::Host(service, _)) => dial_host(plane, *service).await,
        Some(Way::Out(names, _)) => {
            let outgoing = Outgoing {
                to: flow.key.outside,
                names: names.clone(),
            };
            let stream = plane.dial.connect(outgoing).await?;
            let policy: std::sync::Arc<CompiledNetwork> = plane.policy.borrow().clone();
            let guard = FlowGuard::new(policy, names.clone(), flow.key.outside);
            *flow.guard.borrow_mut() = Some(guard);
            Ok(stream)
        }
        None => Err(io::ErrorKind::InvalidInput.into()),
    }
}

/// A service listens on one loopback address, or on the other.
async fn dial_host(plane: &Plane, service: SocketAddr) -> io::Result<Box<dyn Connection>> {
    let first = plane
        .dial
        .connect(Outgoing {
            to: service,
            names: Vec::new(),
        })
        .await;
    match first {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            let to = SocketAddr::new(std::net::Ipv6Addr::LOCALHOST.into(), service.port());
            let second = plane
                .dial
                .connect(Outgoing {
                    to,
                    names: Vec::new(),
                })
                .await;
            // The first refusal is the one that people expect.
            second.map_err(|_| error)
        }
        other => other,
    }
}

impl Flow {
    /// Says to the waiting SYN what the far end said.
    fn refuse(&self, plane: &Plane, error: Option<io::Error>) {
        let syn = match &mut *self.phase.borrow_mut() {
            Phase::Dialling(syn) => std::mem::take(syn),
            _ => return,
        };
        let Ok(packet) = Packet::parse(&syn) else { return };
        let Ok((segment, ..)) = packet.tcp() else { return };
        let gateway = plane.addresses.gateway_for(packet.source);
        match error.map(|error| error.kind()) {
            Some(io::ErrorKind::NetworkUnreachable) => {
                reply::unreachable(&plane.link, gateway, &packet, Unreachable::Network);
            }
            Some(io::ErrorKind::HostUnreachable | io::ErrorKind::TimedOut) => {
                reply::unreachable(&plane.link, gateway, &packet, Unreachable::Host);
            }
            _ => reply::reset(&plane.link, &packet, &segment),
        }
    }

    /// Answers the SYN and carries bytes until the end.
    async fn carry(self: &Rc<Self>, plane: &Rc<Plane>, mut stream: Box<dyn Connection>) {
        let syn = match &mut *self.phase.borrow_mut() {
            Phase::Dialling(syn) => std::mem::take(syn),
            _ => return,
        };
        let local = self.key.outside;
        let machine = self
            .rooms(plane)
            .and_then(|rooms| Machine::listen(&plane.link, plane.settings, local, rooms));
        let Some(mut machine) = machine else {
            return stream.reset_on_drop();
        };
        machine.take(&plane.link, &syn);
        machine.turn(&plane.link);
        *self.phase.borrow_mut() = Phase::Open(Box::new(machine));
        self.pass(plane, stream).await;
    }

    /// Carries bytes between an open machine and the stream, and tells both ends of it.
    async fn pass(self: &Rc<Self>, plane: &Rc<Plane>, stream: Box<dyn Connection>) {
        let description = self.describe(plane);
        let (begin, quiet) = (Instant::now(), matches!(self.way, Some(Way::Resolver)));
        if !quiet {
            plane.events.opened(&description);
        }
        relay::Relay::new(Rc::clone(plane), Rc::clone(self), stream).await;
        if !quiet {
            plane
                .events
                .closed(description, self.sent.get(), self.received.get(), begin.elapsed());
        }
    }
}

/// What the sandbox said to a SYN of ours.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Answer {
    Open,
    Refused,
    Never,
}

/// A connection that came to a published port and wants into the sandbox. What listens on no other address than
/// 127.0.0.1, as servers of developers do, is found there.
pub(crate) async fn enter(plane: Rc<Plane>, key: Key, port: u64, mut stream: Box<dyn Connection>) {
    let mut flow = Flow::new(&plane, key, None, Some(port), Phase::Over);
    let mut answer = flow.knock(&plane).await;
    if answer == Answer::Refused {
        flow.end(&plane);
        flow = Flow::new(&plane, key.on_loopback(), None, Some(port), Phase::Over);
        answer = flow.knock(&plane).await;
    }
    match answer {
        Answer::Open => flow.pass(&plane, stream).await,
        Answer::Refused | Answer::Never => stream.reset_on_drop(),
    }
    flow.end(&plane);
}

impl Flow {
    /// Sends a SYN and waits.
    async fn knock(self: &Rc<Self>, plane: &Rc<Plane>) -> Answer {
        let (key, rooms) = (self.key, self.rooms(plane));
        let machine = rooms
            .and_then(|rooms| Machine::connect(&plane.link, plane.settings, key.outside, key.inside, rooms));
        let Some(machine) = machine else {
            return Answer::Never;
        };
        *self.phase.borrow_mut() = Phase::Open(Box::new(machine));
        match timeout(DIALLING, relay::Established(plane, self)).await {
            Ok(true) => Answer::Open,
            Ok(false) if self.cut.get() => Answer::Never,
            Ok(false) => Answer::Refused,
            Err(_) => {
                self.cut(plane);
                Answer::Never
            }
        }
    }
}
