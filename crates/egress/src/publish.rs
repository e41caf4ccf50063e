//! Published ports: a listener on the host whose connections go into the sandbox. The sandbox sees the gateway as
//! their source, whoever they come from.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    rc::Rc,
    time::{Duration, Instant},
};

use agentkernel_types::Protocol;
use tokio::{
    net::{TcpListener, UdpSocket},
    task::JoinHandle,
};

use crate::{
    dial::Connection,
    plane::Plane,
    reply,
    tcp::{self, Key},
};

/// Ports of the gateway that connections into the sandbox come from.
const FIRST_PORT: u16 = 32_768;
const LAST_PORT: u16 = 60_999;
/// Far ends of one published UDP port, and their longest silence.
const MOST_PEERS: usize = 256;
const SILENCE: Duration = Duration::from_secs(180);
/// After an accept that failed: most often too many open files.
const PAUSE: Duration = Duration::from_millis(100);

/// A port of the host that leads to one of the sandbox.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Published {
    /// Port 0: any free one.
    pub host: SocketAddr,
    pub guest_port: u16,
    /// TCP or UDP.
    pub protocol: Protocol,
}

/// The number of a port, and who listens there.
type Open = (u64, JoinHandle<()>);

#[derive(Default)]
pub(crate) struct Ports {
    open: RefCell<HashMap<(SocketAddr, Protocol), Open>>,
    numbers: Cell<u64>,
    last: Cell<u16>,
    /// Who is behind a port of the gateway.
    peers: RefCell<HashMap<Key, Peer>>,
}

struct Peer {
    port: u64,
    address: SocketAddr,
    socket: Rc<UdpSocket>,
    active: Instant,
}

impl Ports {
    /// A datagram of the sandbox that answers one of a published port. False: it is not such a one.
    pub fn take_datagram(&self, key: &Key, bytes: &[u8]) -> bool {
        let mut peers = self.peers.borrow_mut();
        let Some(peer) = peers.get_mut(key) else {
            return false;
        };
        peer.active = Instant::now();
        let _ = peer.socket.try_send_to(bytes, peer.address);
        true
    }

    fn next_port(&self) -> u16 {
        let last = self.last.get();
        let next = if (FIRST_PORT..LAST_PORT).contains(&last) {
            last + 1
        } else {
            FIRST_PORT
        };
        self.last.set(next);
        next
    }
}

pub(crate) async fn open(plane: &Rc<Plane>, published: Published) -> io::Result<SocketAddr> {
    let number = plane.ports.numbers.get() + 1;
    plane.ports.numbers.set(number);
    let (bound, task) = match published.protocol {
        Protocol::Tcp => {
            let listener = TcpListener::bind(published.host).await?;
            let bound = listener.local_addr()?;
            (
                bound,
                tokio::task::spawn_local(accept(Rc::clone(plane), number, listener, published.guest_port)),
            )
        }
        Protocol::Udp => {
            let socket = Rc::new(UdpSocket::bind(published.host).await?);
            let bound = socket.local_addr()?;
            (
                bound,
                tokio::task::spawn_local(receive(Rc::clone(plane), number, socket, published.guest_port)),
            )
        }
        Protocol::Icmp => return Err(io::ErrorKind::InvalidInput.into()),
    };
    plane
        .ports
        .open
        .borrow_mut()
        .insert((bound, published.protocol), (number, task));
    Ok(bound)
}

/// Returns whether it was open. Afterwards nobody listens there.
pub(crate) async fn close(plane: &Rc<Plane>, published: Published) -> bool {
    let key = (published.host, published.protocol);
    let found = plane.ports.open.borrow_mut().remove(&key);
    let Some((number, task)) = found else {
        return false;
    };
    task.abort();
    // The listener goes with the task, which may end only now: cut off is not an error here.
    let _ = task.await;
    tcp::cut_published(plane, number);
    plane
        .ports
        .peers
        .borrow_mut()
        .retain(|_, peer| peer.port != number);
    true
}

async fn accept(plane: Rc<Plane>, port: u64, listener: TcpListener, guest_port: u16) {
    loop {
        let Ok((stream, peer)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let mut stream: Box<dyn Connection> = Box::new(stream);
        match free_key(&plane, peer.ip(), guest_port) {
            Some(key) => drop(tokio::task::spawn_local(tcp::enter(
                Rc::clone(&plane),
                key,
                port,
                stream,
            ))),
            None => stream.reset_on_drop(),
        }
    }
}

/// A port of the gateway that no connection to the same port of the sandbox has, on either of its addresses.
fn free_key(plane: &Plane, peer: IpAddr, guest_port: u16) -> Option<Key> {
    if plane.tcp.is_full() {
        return None;
    }
    let (inside, gateway) = ends(plane, peer, guest_port);
    let keys = (FIRST_PORT..=LAST_PORT).map(|_| Key {
        inside,
        outside: SocketAddr::new(gateway, plane.ports.next_port()),
    });
    keys.into_iter()
        .find(|key| plane.tcp.is_free(key) && plane.tcp.is_free(&key.on_loopback()))
}

/// IPv4 to the sandbox for everybody: what listens there on IPv6 listens on both, most often.
fn ends(plane: &Plane, _peer: IpAddr, guest_port: u16) -> (SocketAddr, IpAddr) {
    let pair = plane.addresses.v4;
    (
        SocketAddr::new(pair.sandbox.into(), guest_port),
        pair.gateway.into(),
    )
}

async fn receive(plane: Rc<Plane>, port: u64, socket: Rc<UdpSocket>, guest_port: u16) {
    // Which key a far end has, so that its datagrams come from one port.
    let mut known: HashMap<SocketAddr, Key> = HashMap::new();
    loop {
        if socket.readable().await.is_err() {
            tokio::time::sleep(PAUSE).await;
            continue;
        }
        let mut scratch = plane.scratch.borrow_mut();
        let Ok((length, address)) = socket.try_recv_from(&mut scratch) else {
            continue;
        };
        let now = Instant::now();
        let mut peers = plane.ports.peers.borrow_mut();
        let key = known.get(&address).copied().filter(|key| peers.contains_key(key));
        let key = match key {
            Some(key) => key,
            None => {
                if peers.len() >= MOST_PEERS {
                    peers.retain(|_, peer| now.duration_since(peer.active) < SILENCE);
                    known.retain(|_, key| peers.contains_key(key));
                }
                if peers.len() >= MOST_PEERS {
                    continue;
                }
                let (inside, gateway) = ends(&plane, address.ip(), guest_port);
                Key {
                    inside,
                    outside: SocketAddr::new(gateway, plane.ports.next_port()),
                }
            }
        };
        known.insert(address, key);
        peers.insert(
            key,
            Peer {
                port,
                address,
                socket: Rc::clone(&socket),
                active: now,
            },
        );
        reply::datagram(&plane.link, key.outside, key.inside, &scratch[..length]);
    }
}
