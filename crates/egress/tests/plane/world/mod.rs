//! A small internet: a namespace of the host, with addresses of the real world on its loopback, servers on them and
//! the plane; and a namespace of the sandbox, with nothing but the plane's device.
#![allow(dead_code, reason = "each test file uses a part of it")]

mod capture;
pub mod names;
mod place;

use std::{
    io::{Read, Write},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use agentkernel_egress::{
    Addresses, Egress, HostSockets, Options, Upstreams, start,
    tun::{self, Attachment},
};
use agentkernel_policy::CompiledNetwork;
use agentkernel_types::{IpNetwork, NetworkEvent, NetworkEventKind, NetworkMode, NetworkPolicy};
use tokio::sync::mpsc;

pub use capture::Capture;
pub use names::NameServer;
pub use place::{Place, bring_up};

/// Where names are answered. The addresses are only on the loopback of a namespace.
pub const RESOLVER: &str = "9.9.9.9";
/// A resolver of somebody else.
pub const FOREIGN_RESOLVER: &str = "8.8.8.8";
pub const SERVER: &str = "93.184.215.14";
pub const OTHER: &str = "151.101.1.6";
pub const SERVER_V6: &str = "2606:2800:21f::14";
pub const METADATA: &str = "169.254.169.254";
pub const HOST_LAN: &str = "192.168.7.2";
pub const NEIGHBOUR: &str = "10.1.2.3";

const PLACES: [&str; 8] = [
    RESOLVER,
    FOREIGN_RESOLVER,
    SERVER,
    OTHER,
    SERVER_V6,
    METADATA,
    HOST_LAN,
    NEIGHBOUR,
];

pub struct World {
    pub attachment: Attachment,
    pub host: Place,
    pub sandbox: Place,
    pub egress: Option<Egress>,
    pub events: mpsc::Receiver<NetworkEvent>,
    pub names: NameServer,
    pub runtime: tokio::runtime::Runtime,
}

/// None, and the reason is printed: this user may not make network namespaces, or there is no TUN here.
pub fn world(policy: NetworkPolicy, attachment: Attachment) -> Option<World> {
    if attachment == Attachment::Tun && Attachment::of_this_host() != attachment {
        eprintln!(
            "not tested: {} cannot be opened here",
            tun::DEVICE.to_string_lossy()
        );
        return None;
    }
    let host = Place::new()?;
    let sandbox = Place::new()?;
    host.run(|| place::bring_up(&PLACES));
    let names = host.run(NameServer::start);
    let addresses = Addresses::default();
    let prepared = tun::prepare(&addresses, attachment);
    let device = sandbox.run(move || tun::configure(&prepared));
    let device = prepared.device(device.expect("whoever made the namespace may make the device"));
    let (sender, events) = mpsc::channel(16 * 1024);
    let compiled = compile(&policy);
    let egress = host.run(move || {
        let upstreams = Upstreams::Given(vec![SocketAddr::new(RESOLVER.parse().unwrap(), 53)]);
        let dial = Arc::new(HostSockets);
        start(
            device,
            Options {
                addresses,
                policy: compiled,
                upstreams,
                dial,
                events: sender,
            },
        )
        .unwrap()
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    Some(World {
        attachment,
        host,
        sandbox,
        egress: Some(egress),
        events,
        names,
        runtime,
    })
}

pub fn compile(policy: &NetworkPolicy) -> Arc<CompiledNetwork> {
    let own: Vec<IpNetwork> = vec![HOST_LAN.parse().unwrap()];
    Arc::new(CompiledNetwork::new(policy).unwrap().with_own_addresses(own))
}

pub fn open() -> NetworkPolicy {
    NetworkPolicy::of(NetworkMode::Open)
}

pub fn public() -> NetworkPolicy {
    NetworkPolicy::of(NetworkMode::Public)
}

pub fn allowlist(rules: &[&str]) -> NetworkPolicy {
    let mut policy = NetworkPolicy::of(NetworkMode::Allowlist);
    policy.allow = rules.iter().map(|rule| rule.parse().unwrap()).collect();
    policy
}

impl World {
    pub fn egress(&self) -> &Egress {
        self.egress.as_ref().unwrap()
    }

    pub fn apply(&self, policy: &NetworkPolicy) {
        self.runtime
            .block_on(self.egress().apply(compile(policy)))
            .unwrap();
    }

    /// The events until now.
    pub fn events(&mut self) -> Vec<NetworkEventKind> {
        std::iter::from_fn(|| Some(self.events.try_recv().ok()?.kind)).collect()
    }

    /// Waits, with a bound, until an event is as wanted.
    pub fn wait_for(&mut self, wanted: impl Fn(&NetworkEventKind) -> bool) -> NetworkEventKind {
        let events = &mut self.events;
        self.runtime.block_on(async {
            let search = async {
                loop {
                    let event = events.recv().await.expect("the plane runs").kind;
                    if wanted(&event) {
                        return event;
                    }
                }
            };
            tokio::time::timeout(Duration::from_secs(20), search)
                .await
                .expect("the event comes")
        })
    }

    /// A server on the host's side that treats each connection with `serve` in a thread of its own.
    pub fn serve(
        &self,
        address: &str,
        port: u16,
        serve: impl Fn(TcpStream) + Send + Sync + 'static,
    ) -> SocketAddr {
        let address = SocketAddr::new(address.parse().unwrap(), port);
        self.host.run(move || {
            let listener = TcpListener::bind(address).unwrap();
            let bound = listener.local_addr().unwrap();
            let serve = Arc::new(serve);
            std::thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let serve = Arc::clone(&serve);
                    std::thread::spawn(move || serve(stream));
                }
            });
            bound
        })
    }

    /// Counts what arrives at a port, and says nothing.
    pub fn trap(&self, address: &str, port: u16) -> Arc<AtomicU64> {
        let arrived = Arc::new(AtomicU64::new(0));
        let (tcp, udp) = (Arc::clone(&arrived), Arc::clone(&arrived));
        self.serve(address, port, move |mut stream| {
            tcp.fetch_add(1, Ordering::SeqCst);
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = stream.read(&mut buffer) {
                tcp.fetch_add(length as u64, Ordering::SeqCst);
            }
        });
        let address = SocketAddr::new(address.parse().unwrap(), port);
        let socket = self.host.run(move || UdpSocket::bind(address).unwrap());
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length) = socket.recv(&mut buffer) {
                udp.fetch_add(length as u64 + 1, Ordering::SeqCst);
            }
        });
        arrived
    }

    pub fn connect(&self, to: SocketAddr) -> std::io::Result<TcpStream> {
        self.sandbox.run(move || {
            let stream = TcpStream::connect_timeout(&to, Duration::from_secs(20))?;
            stream.set_read_timeout(Some(Duration::from_secs(20)))?;
            stream.set_write_timeout(Some(Duration::from_secs(20)))?;
            Ok(stream)
        })
    }

    /// Asks the sandbox's resolver by UDP; the address records of the answer, or its code.
    pub fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, String> {
        let name = name.to_owned();
        self.sandbox.run(move || names::ask(&name))
    }
}

/// Says back what it hears, until it hears no more.
pub fn echo(mut stream: TcpStream) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        if stream.write_all(&buffer[..length]).is_err() {
            return;
        }
    }
}

/// Bytes that are different everywhere, so that a lost or doubled part is seen.
pub fn pattern(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}
