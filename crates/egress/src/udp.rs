//! UDP: one connected socket of the host for each pair of ends, until nothing was said for a while.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    io,
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use agentkernel_policy::CompiledNetwork;
use agentkernel_types::{DomainName, Protocol};
use tokio::{net::UdpSocket, sync::Notify, time::timeout};

use crate::{
    dial::Outgoing,
    dns,
    events::{self, Attempt, Direction},
    packet::{Dropped, Packet},
    plane::{Plane, Way},
    reply::{self, Unreachable},
    tcp::Key,
};

const MOST: usize = 1024;
/// Silence after which a flow is over: a question without an answer, and a conversation.
const QUESTION: Duration = Duration::from_secs(30);
const CONVERSATION: Duration = Duration::from_secs(180);
/// Datagrams that wait for the socket, and the largest one of which a copy is kept to quote in an ICMP error.
const WAITING: usize = 8;
const QUOTED: usize = 1500;
/// Datagrams that are taken from one socket before others have their turn.
const BATCH: usize = 16;

#[derive(Default)]
pub(crate) struct Flows {
    table: RefCell<HashMap<Key, Rc<Flow>>>,
}

struct Flow {
    key: Key,
    names: Vec<DomainName>,
    rule: String,
    socket: RefCell<Option<Rc<UdpSocket>>>,
    waiting: RefCell<Vec<Box<[u8]>>>,
    last: RefCell<Vec<u8>>,
    sent: Cell<u64>,
    received: Cell<u64>,
    active: Cell<Instant>,
    cut: Notify,
}

/// A datagram from the sandbox.
pub(crate) fn take(plane: &Rc<Plane>, packet: &Packet<'_>) -> Result<(), Dropped> {
    let (inside, outside, bytes) = packet.udp()?;
    let key = Key { inside, outside };
    if plane.ports.take_datagram(&key, bytes) {
        return Ok(());
    }
    let known = plane.udp.table.borrow().get(&key).cloned();
    if let Some(flow) = known {
        flow.send(packet, bytes);
        return Ok(());
    }
    let (to, names, verdict) = match plane.way(outside, Protocol::Udp) {
        Way::Resolver => return dns::take_datagram(plane, key, bytes),
        Way::Host(service, verdict) => (service, dns::host_name().into_iter().collect(), verdict),
        Way::Out(names, verdict) => (outside, names, verdict),
    };
    if !verdict.allowed {
        let name = names.last().cloned();
        plane
            .events
            .denied(Attempt::Connect, name, Some(outside), Protocol::Udp, verdict);
        let gateway = plane.addresses.gateway_for(packet.source);
        reply::unreachable(&plane.link, gateway, packet, Unreachable::Denied);
        return Ok(());
    }
    if plane.udp.table.borrow().len() >= MOST {
        return Err(Dropped::Overload);
    }
    let flow = Rc::new(Flow {
        key,
        names,
        rule: verdict.rule,
        socket: RefCell::default(),
        waiting: RefCell::default(),
        last: RefCell::default(),
        sent: Cell::new(0),
        received: Cell::new(0),
        active: Cell::new(Instant::now()),
        cut: Notify::new(),
    });
    plane.udp.table.borrow_mut().insert(key, Rc::clone(&flow));
    flow.send(packet, bytes);
    tokio::task::spawn_local(carry(Rc::clone(plane), flow, to));
    Ok(())
}

impl Flow {
    /// Passes on, or keeps for a moment. What finds no room is lost, as everywhere with UDP.
    fn send(&self, packet: &Packet<'_>, bytes: &[u8]) {
        self.active.set(Instant::now());
        let mut last = self.last.borrow_mut();
        last.clear();
        if packet.whole.len() <= QUOTED {
            last.extend_from_slice(packet.whole);
        }
        let Some(socket) = &*self.socket.borrow() else {
            let mut waiting = self.waiting.borrow_mut();
            if waiting.len() < WAITING {
                waiting.push(bytes.into());
            }
            return;
        };
        self.pass(socket, bytes);
    }

    fn pass(&self, socket: &UdpSocket, bytes: &[u8]) {
        if socket.try_send(bytes).is_ok() {
            self.sent.set(self.sent.get() + bytes.len() as u64);
        }
    }

    /// Tells the sandbox that nobody listens there.
    fn refused(&self, plane: &Plane, error: &io::Error) {
        let why = match error.kind() {
            io::ErrorKind::ConnectionRefused => Unreachable::Port,
            io::ErrorKind::HostUnreachable => Unreachable::Host,
            io::ErrorKind::NetworkUnreachable => Unreachable::Network,
            _ => return,
        };
        let last = self.last.borrow();
        if let Ok(packet) = Packet::parse(&last) {
            let from = match why {
                Unreachable::Port => packet.destination,
                _ => plane.addresses.gateway_for(packet.source),
            };
            reply::unreachable(&plane.link, from, &packet, why);
        }
    }

    fn patience(&self) -> Duration {
        if self.received.get() > 0 {
            CONVERSATION
        } else {
            QUESTION
        }
    }
}

async fn carry(plane: Rc<Plane>, flow: Rc<Flow>, to: SocketAddr) {
    let begin = Instant::now();
    let description = events::Flow {
        flow: plane.events.next_flow(),
        direction: Direction::Leaving,
        protocol: Protocol::Udp,
        inside: flow.key.inside,
        outside: flow.key.outside,
        names: flow.names.clone(),
        rule: flow.rule.clone(),
    };
    plane.events.opened(&description);
    match plane
        .dial
        .datagrams(Outgoing {
            to,
            names: flow.names.clone(),
        })
        .await
    {
        Ok(socket) => receive(&plane, &flow, socket).await,
        Err(error) => flow.refused(&plane, &error),
    }
    plane.udp.table.borrow_mut().remove(&flow.key);
    plane
        .events
        .closed(description, flow.sent.get(), flow.received.get(), begin.elapsed());
}

async fn receive(plane: &Rc<Plane>, flow: &Rc<Flow>, socket: UdpSocket) {
    let socket = Rc::new(socket);
    // A new socket takes nothing before the runtime has seen that it can be written to.
    if socket.writable().await.is_err() {
        return;
    }
    for bytes in flow.waiting.take() {
        flow.pass(&socket, &bytes);
    }
    *flow.socket.borrow_mut() = Some(Rc::clone(&socket));
    loop {
        let ready = tokio::select! {
            () = flow.cut.notified() => return,
            ready = timeout(flow.patience(), socket.readable()) => ready,
        };
        if ready.is_err() && flow.active.get().elapsed() >= flow.patience() {
            return;
        }
        for _ in 0..BATCH {
            let mut scratch = plane.scratch.borrow_mut();
            match socket.try_recv(&mut scratch) {
                Ok(length) => {
                    flow.active.set(Instant::now());
                    flow.received.set(flow.received.get() + length as u64);
                    reply::datagram(&plane.link, flow.key.outside, flow.key.inside, &scratch[..length]);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => flow.refused(plane, &error),
            }
        }
        tokio::task::yield_now().await;
    }
}

/// Cuts what the policy of now does not allow, or what the old one allowed for a name that the new one does not.
pub(crate) fn judge_again(plane: &Rc<Plane>, old: &CompiledNetwork) {
    let flows: Vec<_> = plane.udp.table.borrow().values().cloned().collect();
    for flow in flows {
        let Some(verdict) = plane.lost(old, flow.key.outside, &flow.names, Protocol::Udp) else {
            continue;
        };
        let name = flow.names.last().cloned();
        let to = Some(flow.key.outside);
        plane
            .events
            .denied(Attempt::Existing, name, to, Protocol::Udp, verdict);
        // No datagram leaves after this, even before the task has ended.
        *flow.socket.borrow_mut() = None;
        plane.udp.table.borrow_mut().remove(&flow.key);
        flow.cut.notify_one();
    }
}

pub(crate) fn cut_all(plane: &Plane) {
    for flow in plane.udp.table.borrow().values() {
        flow.cut.notify_one();
    }
}
