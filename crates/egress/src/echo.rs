//! ICMP echo: `ping` to what the policy allows, by the kernel's unprivileged echo sockets.
//!
//! Nothing else of ICMP leaves. Where the host gives no such socket, the far end is unreachable.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    os::fd::OwnedFd,
    rc::Rc,
    time::Duration,
};

use agentkernel_policy::CompiledNetwork;
use agentkernel_types::{DomainName, Protocol};
use smoltcp::wire::{Icmpv4Message, Icmpv4Packet, Icmpv6Message, Icmpv6Packet};
use tokio::{io::unix::AsyncFd, sync::Notify, time::timeout};

use crate::{
    events::Attempt,
    packet::{Dropped, Packet},
    plane::{Plane, Way},
    reply::{self, Unreachable},
};

const MOST: usize = 64;
const SILENCE: Duration = Duration::from_secs(30);
/// Bytes of an echo message before its data: type, code, checksum, identifier, sequence number.
const HEADER: usize = 8;

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct Key {
    inside: IpAddr,
    outside: IpAddr,
    ident: u16,
}

#[derive(Default)]
pub(crate) struct Flows {
    table: RefCell<HashMap<Key, Rc<Flow>>>,
}

struct Flow {
    key: Key,
    names: Vec<DomainName>,
    socket: AsyncFd<OwnedFd>,
    cut: Cell<bool>,
    wake: Notify,
}

struct Request<'a> {
    ident: u16,
    sequence: u16,
    data: &'a [u8],
}

fn parse<'a>(packet: &Packet<'a>) -> Result<Request<'a>, Dropped> {
    let bytes = packet.payload;
    let is_request = match packet.source {
        IpAddr::V4(_) => {
            let message = Icmpv4Packet::new_checked(bytes).map_err(|_| Dropped::Malformed)?;
            message.msg_type() == Icmpv4Message::EchoRequest && message.msg_code() == 0
        }
        IpAddr::V6(_) => {
            let message = Icmpv6Packet::new_checked(bytes).map_err(|_| Dropped::Malformed)?;
            message.msg_type() == Icmpv6Message::EchoRequest && message.msg_code() == 0
        }
    };
    if !is_request || bytes.len() < HEADER {
        return Err(Dropped::Protocol);
    }
    let number = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    Ok(Request {
        ident: number(4),
        sequence: number(6),
        data: &bytes[HEADER..],
    })
}

/// An ICMP message from the sandbox.
pub(crate) fn take(plane: &Rc<Plane>, packet: &Packet<'_>) -> Result<(), Dropped> {
    let request = parse(packet)?;
    if plane.addresses.is_gateway(packet.destination) {
        // The gateway is here.
        let (from, to) = (packet.destination, packet.source);
        reply::echo(
            &plane.link,
            from,
            to,
            request.ident,
            request.sequence,
            request.data,
        );
        return Ok(());
    }
    let key = Key {
        inside: packet.source,
        outside: packet.destination,
        ident: request.ident,
    };
    let known = plane.echo.table.borrow().get(&key).cloned();
    let flow = match known {
        Some(flow) => flow,
        None => match open(plane, key, packet)? {
            Some(flow) => flow,
            None => return Ok(()),
        },
    };
    flow.send(&request);
    Ok(())
}

/// None: refused, and the sandbox was told.
fn open(plane: &Rc<Plane>, key: Key, packet: &Packet<'_>) -> Result<Option<Rc<Flow>>, Dropped> {
    let to = SocketAddr::new(key.outside, 0);
    let Way::Out(names, verdict) = plane.way(to, Protocol::Icmp) else {
        return Err(Dropped::Protocol);
    };
    let gateway = plane.addresses.gateway_for(packet.source);
    if !verdict.allowed {
        let name = names.last().cloned();
        plane
            .events
            .denied(Attempt::Connect, name, Some(to), Protocol::Icmp, verdict);
        reply::unreachable(&plane.link, gateway, packet, Unreachable::Denied);
        return Ok(None);
    }
    if plane.echo.table.borrow().len() >= MOST {
        return Err(Dropped::Overload);
    }
    let Ok(socket) = plane.dial.echo(key.outside).and_then(crate::link::watch) else {
        reply::unreachable(&plane.link, gateway, packet, Unreachable::Host);
        return Ok(None);
    };
    let flow = Rc::new(Flow {
        key,
        names,
        socket,
        cut: Cell::new(false),
        wake: Notify::new(),
    });
    plane.echo.table.borrow_mut().insert(key, Rc::clone(&flow));
    tokio::task::spawn_local(receive(Rc::clone(plane), Rc::clone(&flow)));
    Ok(Some(flow))
}

impl Flow {
    fn send(&self, request: &Request<'_>) {
        let mut message = Vec::with_capacity(HEADER + request.data.len());
        // The kernel puts its own identifier and the checksum in.
        message.extend_from_slice(&[if self.key.outside.is_ipv4() { 8 } else { 128 }, 0, 0, 0, 0, 0]);
        message.extend_from_slice(&request.sequence.to_be_bytes());
        message.extend_from_slice(request.data);
        let _ = rustix::io::write(self.socket.get_ref(), &message);
    }
}

async fn receive(plane: Rc<Plane>, flow: Rc<Flow>) {
    while !flow.cut.get() {
        let mut ready = tokio::select! {
            () = flow.wake.notified() => continue,
            ready = timeout(SILENCE, flow.socket.readable()) => match ready {
                Ok(Ok(ready)) => ready,
                _ => break,
            },
        };
        let mut scratch = plane.scratch.borrow_mut();
        let got = ready
            .try_io(|socket| rustix::io::read(socket.get_ref(), &mut **scratch).map_err(io::Error::from));
        let Ok(Ok(length)) = got else { continue };
        if length < HEADER {
            continue;
        }
        let sequence = u16::from_be_bytes([scratch[6], scratch[7]]);
        let (from, to) = (flow.key.outside, flow.key.inside);
        reply::echo(
            &plane.link,
            from,
            to,
            flow.key.ident,
            sequence,
            &scratch[HEADER..length],
        );
    }
    plane.echo.table.borrow_mut().remove(&flow.key);
}

/// Cuts what the policy of now does not allow.
pub(crate) fn judge_again(plane: &Rc<Plane>, old: &CompiledNetwork) {
    let flows: Vec<_> = plane.echo.table.borrow().values().cloned().collect();
    for flow in flows {
        let to = SocketAddr::new(flow.key.outside, 0);
        let Some(verdict) = plane.lost(old, to, &flow.names, Protocol::Icmp) else {
            continue;
        };
        let name = flow.names.last().cloned();
        plane
            .events
            .denied(Attempt::Existing, name, Some(to), Protocol::Icmp, verdict);
        plane.echo.table.borrow_mut().remove(&flow.key);
        flow.cut.set(true);
        flow.wake.notify_one();
    }
}
