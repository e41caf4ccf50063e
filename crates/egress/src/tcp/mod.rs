//! TCP: a SYN is judged, then the far end is dialled, and only then the SYN is answered.

mod flow;
mod machine;
mod relay;
mod room;

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    rc::Rc,
    time::Duration,
};

use agentkernel_policy::CompiledNetwork;
use agentkernel_types::Protocol;
use smoltcp::wire::IpProtocol;

use crate::{
    events::Attempt,
    packet::{Dropped, Packet},
    plane::{Plane, Way},
    reply,
};

pub(crate) use flow::{Flow, enter};
pub(crate) use machine::Settings;

/// Most connections of a sandbox at a time, and of these not yet established.
const MOST: usize = 4096;
const MOST_DIALLING: usize = 1024;
/// Most bytes of buffers of one sandbox, and the limits of one direction of one flow.
const MEMORY: usize = 64 * 1024 * 1024;
const LARGEST_WINDOW: usize = 1024 * 1024;
const SMALLEST_WINDOW: usize = 8 * 1024;
const QUIET: Duration = Duration::from_secs(2);

/// Both ends, from the sandbox's point of view.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Key {
    pub inside: SocketAddr,
    pub outside: SocketAddr,
}

impl Key {
    /// The same port of the sandbox, where only it can see it.
    pub fn on_loopback(self) -> Self {
        Self {
            inside: SocketAddr::new(Ipv4Addr::LOCALHOST.into(), self.inside.port()),
            ..self
        }
    }
}

#[derive(Default)]
pub(crate) struct Flows {
    table: RefCell<HashMap<Key, Rc<Flow>>>,
    dialling: Cell<usize>,
    memory: Cell<usize>,
    rooms: room::Rooms,
    waiting_for_quiet: Cell<bool>,
}

impl Flows {
    /// A share of what is left: a few flows have large windows, thousands have small ones.
    /// Never more than the device can keep.
    fn window(&self, device: usize) -> usize {
        let free = MEMORY.saturating_sub(self.memory.get());
        let share = (free / 32).next_power_of_two().min(LARGEST_WINDOW);
        let mut window = share.max(SMALLEST_WINDOW);
        while window > device && window > SMALLEST_WINDOW {
            window /= 2;
        }
        window
    }

    fn all(&self) -> Vec<Rc<Flow>> {
        self.table.borrow().values().cloned().collect()
    }

    pub fn is_free(&self, key: &Key) -> bool {
        !self.table.borrow().contains_key(key)
    }

    pub fn is_full(&self) -> bool {
        self.table.borrow().len() >= MOST || self.dialling.get() >= MOST_DIALLING
    }
}

/// A packet from an address that is not the sandbox's own. Only the answers of a service on its 127.0.0.1 are taken,
/// which somebody outside talks to: nothing begins there.
pub(crate) fn take_from_loopback(plane: &Rc<Plane>, packet: &Packet<'_>) -> Result<(), Dropped> {
    if packet.source != IpAddr::from(Ipv4Addr::LOCALHOST) || packet.protocol != IpProtocol::Tcp {
        return Err(Dropped::Spoofed);
    }
    let (segment, inside, outside) = packet.tcp()?;
    let key = Key { inside, outside };
    let known = plane.tcp.table.borrow().get(&key).cloned();
    let flow = known.filter(|flow| flow.port.is_some()).ok_or(Dropped::Spoofed)?;
    flow.take(plane, packet, &segment);
    Ok(())
}

/// A segment from the sandbox.
pub(crate) fn take(plane: &Rc<Plane>, packet: &Packet<'_>) -> Result<(), Dropped> {
    let (segment, inside, outside) = packet.tcp()?;
    let key = Key { inside, outside };
    let known = plane.tcp.table.borrow().get(&key).cloned();
    if let Some(flow) = known {
        flow.take(plane, packet, &segment);
        return Ok(());
    }
    if !segment.syn() || segment.ack() || segment.rst() || segment.fin() {
        reply::reset(&plane.link, packet, &segment);
        return Ok(());
    }
    if plane.tcp.is_full() {
        // Not answered: the sandbox's kernel tries again, and there may be room then.
        return Err(Dropped::Overload);
    }
    let way = plane.way(outside, Protocol::Tcp);
    let (name, verdict) = match &way {
        Way::Resolver => (None, None),
        Way::Host(_, verdict) => (crate::dns::host_name(), Some(verdict)),
        Way::Out(names, verdict) => (names.last().cloned(), Some(verdict)),
    };
    if let Some(verdict) = verdict.filter(|verdict| !verdict.allowed) {
        plane.events.denied(
            Attempt::Connect,
            name,
            Some(outside),
            Protocol::Tcp,
            verdict.clone(),
        );
        reply::reset(&plane.link, packet, &segment);
        return Ok(());
    }
    flow::leave(plane, key, way, packet.whole);
    Ok(())
}

/// Cuts what the policy of now does not allow.
pub(crate) fn judge_again(plane: &Rc<Plane>, old: &CompiledNetwork) {
    for flow in plane.tcp.all() {
        flow.judge_again(plane, old);
    }
}

pub(crate) fn cut_all(plane: &Plane) {
    for flow in plane.tcp.all() {
        flow.cut(plane);
    }
}

/// Cuts the connections that came in by a published port.
pub(crate) fn cut_published(plane: &Plane, port: u64) {
    for flow in plane.tcp.all() {
        if flow.port == Some(port) {
            flow.cut(plane);
        }
    }
}

/// Memory that was lent goes back to the system when nobody has talked for a moment.
fn give_back_when_quiet(plane: &Rc<Plane>) {
    let flows = &plane.tcp;
    if !flows.table.borrow().is_empty() || flows.waiting_for_quiet.replace(true) {
        return;
    }
    let plane = Rc::clone(plane);
    tokio::task::spawn_local(async move {
        tokio::time::sleep(QUIET).await;
        plane.tcp.waiting_for_quiet.set(false);
        if plane.tcp.table.borrow().is_empty() {
            plane.tcp.rooms.clear();
        }
    });
}
