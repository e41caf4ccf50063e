//! One sandbox's gateway: packets in, each to the part that answers for it, and the orders of the owner.
//!
//! Everything here runs on one thread. No borrow of a cell is held across an await.

use std::{
    cell::RefCell,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    rc::Rc,
    sync::Arc,
    time::Instant,
};

use agentkernel_policy::{CompiledNetwork, Verdict};
use agentkernel_types::{DomainName, Protocol};
use smoltcp::wire::IpProtocol;
use tokio::sync::{mpsc, oneshot};

use crate::{
    Addresses, Device, Options, Published,
    dial::Dial,
    dns::Resolver,
    echo,
    events::Events,
    link::Link,
    packet::{Dropped, Packet},
    pins::Pins,
    publish::{self, Ports},
    statistics::Counters,
    tcp::{self, Settings},
    udp,
};

/// Packets that are taken before other tasks have their turn.
const BATCH: usize = 16;

#[derive(Debug)]
pub(crate) enum Order {
    Apply(Arc<CompiledNetwork>, oneshot::Sender<()>),
    Publish(Published, oneshot::Sender<io::Result<SocketAddr>>),
    Unpublish(Published, oneshot::Sender<bool>),
    Leave(oneshot::Sender<()>),
}

pub(crate) struct Plane {
    pub link: Link,
    pub addresses: Addresses,
    pub settings: Settings,
    pub policy: RefCell<Arc<CompiledNetwork>>,
    pub pins: RefCell<Pins>,
    pub dial: Arc<dyn Dial>,
    pub events: Events,
    pub counters: Arc<Counters>,
    pub tcp: tcp::Flows,
    pub udp: udp::Flows,
    pub echo: echo::Flows,
    pub resolver: Resolver,
    pub ports: Ports,
    /// Room for one datagram of any flow.
    pub scratch: RefCell<Box<[u8]>>,
}

/// Where a packet may go, and as what.
#[derive(Clone, Debug)]
pub(crate) enum Way {
    /// Names are answered here.
    Resolver,
    /// A service on the host's loopback.
    Host(SocketAddr, Verdict),
    Out(Vec<DomainName>, Verdict),
}

impl Plane {
    pub fn new(device: Device, options: Options, counters: Arc<Counters>) -> io::Result<Rc<Self>> {
        let settings = Settings {
            mtu: usize::from(options.addresses.mtu),
            start: Instant::now(),
        };
        Ok(Rc::new(Self {
            link: Link::new(device)?,
            addresses: options.addresses,
            settings,
            policy: RefCell::new(options.policy),
            pins: RefCell::default(),
            dial: options.dial,
            events: Events::new(options.events, Arc::clone(&counters)),
            counters,
            tcp: tcp::Flows::default(),
            udp: udp::Flows::default(),
            echo: echo::Flows::default(),
            resolver: Resolver::new(options.upstreams),
            ports: Ports::default(),
            scratch: RefCell::new(vec![0; usize::from(u16::MAX)].into_boxed_slice()),
        }))
    }

    /// Until the owner is gone or the device is.
    pub async fn run(self: Rc<Self>, mut orders: mpsc::Receiver<Order>) {
        let packets = tokio::task::spawn_local(Rc::clone(&self).take_packets());
        let mut packets = std::pin::pin!(packets);
        loop {
            tokio::select! {
                biased;
                order = orders.recv() => match order {
                    Some(order) => self.obey(order).await,
                    None => break,
                },
                _ = &mut packets => break,
            }
        }
        self.close();
    }

    async fn take_packets(self: Rc<Self>) {
        let mut buffer = vec![0; Link::room_for_reading()].into_boxed_slice();
        while let Ok(mut ready) = self.link.ready().await {
            for _ in 0..BATCH {
                match self.link.read(&mut buffer) {
                    Ok(packet) => self.take(packet),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        ready.clear_ready();
                        break;
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(_) => return,
                }
            }
            drop(ready);
            tokio::task::yield_now().await;
        }
    }

    fn take(self: &Rc<Self>, bytes: &[u8]) {
        if let Err(why) = self.dispatch(bytes) {
            self.counters.dropped(why);
        }
    }

    fn dispatch(self: &Rc<Self>, bytes: &[u8]) -> Result<(), Dropped> {
        let packet = Packet::parse(bytes)?;
        if !self.addresses.is_sandbox(packet.source) {
            return tcp::take_from_loopback(self, &packet);
        }
        match packet.protocol {
            IpProtocol::Tcp => tcp::take(self, &packet),
            IpProtocol::Udp => udp::take(self, &packet),
            IpProtocol::Icmp if packet.source.is_ipv4() => echo::take(self, &packet),
            IpProtocol::Icmpv6 if packet.source.is_ipv6() => echo::take(self, &packet),
            _ => Err(Dropped::Protocol),
        }
    }

    /// Judges a destination of the sandbox.
    pub fn way(&self, to: SocketAddr, protocol: Protocol) -> Way {
        let policy = self.policy.borrow();
        if self.addresses.is_gateway(to.ip()) {
            if to.port() == crate::dns::PORT && protocol != Protocol::Icmp {
                return Way::Resolver;
            }
            let service = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), to.port());
            return Way::Host(service, policy.host_service(to.port(), protocol));
        }
        let names = self.pins.borrow().names(to.ip(), Instant::now());
        let verdict = policy.connect(&names, to, protocol);
        Way::Out(names, verdict)
    }

    /// Whether an existing flow is not allowed any more: its destination is not, or a name is not that it may have
    /// been allowed for. (Which one of several it was is not always known: then it is cut, and comes again.)
    pub fn lost(
        &self,
        old: &CompiledNetwork,
        to: SocketAddr,
        names: &[DomainName],
        protocol: Protocol,
    ) -> Option<Verdict> {
        let verdict = match self.way(to, protocol) {
            Way::Resolver => return None,
            Way::Host(_, verdict) => return Some(verdict).filter(|verdict| !verdict.allowed),
            Way::Out(_, verdict) => verdict,
        };
        if !verdict.allowed {
            return Some(verdict);
        }
        let policy = self.policy.borrow();
        let alone = |policy: &CompiledNetwork, name: &DomainName| {
            policy.connect(std::slice::from_ref(name), to, protocol)
        };
        names
            .iter()
            .filter(|name| alone(old, name).allowed)
            .find_map(|name| {
                let now = alone(&policy, name);
                Some(now).filter(|now| !now.allowed)
            })
    }

    async fn obey(self: &Rc<Self>, order: Order) {
        match order {
            Order::Apply(policy, done) => {
                let old = self.policy.replace(policy);
                tcp::judge_again(self, &old);
                udp::judge_again(self, &old);
                echo::judge_again(self, &old);
                let _ = done.send(());
            }
            Order::Publish(published, done) => {
                let _ = done.send(publish::open(self, published).await);
            }
            Order::Leave(done) => {
                self.link.leave();
                let _ = done.send(());
            }
            Order::Unpublish(published, done) => {
                let _ = done.send(publish::close(self, published).await);
            }
        }
    }

    /// Every flow is reset, so that neither side waits for the other. The tasks end with the runtime.
    fn close(&self) {
        tcp::cut_all(self);
        udp::cut_all(self);
    }
}

/// For the fuzz target: a plane with a device that takes everything, one packet after the other.
#[doc(hidden)]
pub fn fuzz(packets: &[u8]) {
    use crate::{HostSockets, Upstreams};
    use agentkernel_types::{NetworkMode, NetworkPolicy};
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return;
    };
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let Ok((ours, _theirs)) = std::os::unix::net::UnixDatagram::pair() else {
            return;
        };
        let Ok(policy) = CompiledNetwork::new(&NetworkPolicy::of(NetworkMode::None)) else {
            return;
        };
        let options = Options {
            addresses: Addresses::default(),
            policy: Arc::new(policy),
            upstreams: Upstreams::Given(Vec::new()),
            dial: Arc::new(HostSockets),
            events: mpsc::channel(1).0,
        };
        let Ok(plane) = Plane::new(Device::Packets(ours.into()), options, Arc::default()) else {
            return;
        };
        let mut rest = packets;
        while let Some((length, bytes)) = rest.split_first_chunk::<2>() {
            let length = usize::from(u16::from_be_bytes(*length)).min(bytes.len());
            plane.take(&bytes[..length]);
            rest = &bytes[length..];
        }
    });
}
