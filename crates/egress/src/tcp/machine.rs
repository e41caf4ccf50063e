//! The TCP state machine of one flow: a socket with an interface of its own, so that a packet costs the same with one
//! flow as with thousands. It knows the sandbox's end of the connection only.

use std::{net::SocketAddr, time::Instant as Clock};

use smoltcp::{
    iface::{Config, Interface, SocketHandle, SocketSet},
    phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken},
    socket::tcp::{Socket, SocketBuffer, State},
    time::{Duration, Instant},
    wire::{HardwareAddress, IpAddress, IpCidr, IpListenEndpoint, Ipv4Address, Ipv6Address},
};

use super::room::Room;
use crate::link::Link;

/// A sandbox that says nothing for so long, keep-alives unanswered, has lost the connection.
const SILENCE: Duration = Duration::from_secs(90);
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// What all machines of a plane share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub mtu: usize,
    pub start: Clock,
}

impl Settings {
    fn now(&self) -> Instant {
        Instant::from_micros(i64::try_from(self.start.elapsed().as_micros()).unwrap_or(i64::MAX))
    }
}

pub(crate) struct Machine {
    interface: Interface,
    sockets: SocketSet<'static>,
    handle: SocketHandle,
    settings: Settings,
    /// After the sockets, which hold references into them: fields are dropped in this order.
    _rooms: [Room; 2],
}

impl Machine {
    /// Waits for the SYN to `local`, which is the far end's address, from the sandbox's point of view.
    pub fn listen(link: &Link, settings: Settings, local: SocketAddr, rooms: [Room; 2]) -> Option<Self> {
        let mut machine = Self::new(link, settings, local, rooms);
        let endpoint = IpListenEndpoint {
            addr: Some(local.ip().into()),
            port: local.port(),
        };
        machine.socket().listen(endpoint).ok()?;
        Some(machine)
    }

    /// Sends a SYN from `local`, an address of the gateway, to a port of the sandbox.
    pub fn connect(
        link: &Link,
        settings: Settings,
        local: SocketAddr,
        to: SocketAddr,
        rooms: [Room; 2],
    ) -> Option<Self> {
        let mut machine = Self::new(link, settings, local, rooms);
        let socket = machine.sockets.get_mut::<Socket>(machine.handle);
        socket.connect(machine.interface.context(), to, local).ok()?;
        machine.turn(link);
        Some(machine)
    }

    fn new(link: &Link, settings: Settings, local: SocketAddr, mut rooms: [Room; 2]) -> Self {
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = crate::random::number();
        let mut wire = Wire {
            link,
            incoming: None,
            mtu: settings.mtu,
        };
        let mut interface = Interface::new(config, &mut wire, settings.now());
        interface.update_ip_addrs(|addresses| {
            let address = IpAddress::from(local.ip());
            // Two places: this cannot fail.
            let _ = addresses.push(IpCidr::new(address, if local.is_ipv4() { 32 } else { 128 }));
        });
        // The sandbox's end is on the link, whatever its address is.
        let _ = interface
            .routes_mut()
            .add_default_ipv4_route(Ipv4Address::new(0, 0, 0, 1));
        let _ = interface
            .routes_mut()
            .add_default_ipv6_route(Ipv6Address::LOCALHOST);
        let [from_sandbox, to_sandbox] = &mut rooms;
        // SAFETY: once each, and the socket is dropped before the rooms.
        let buffers = unsafe { (from_sandbox.lend(), to_sandbox.lend()) };
        let mut socket = Socket::new(SocketBuffer::new(buffers.0), SocketBuffer::new(buffers.1));
        socket.set_nagle_enabled(false);
        socket.set_ack_delay(None);
        socket.set_timeout(Some(SILENCE));
        socket.set_keep_alive(Some(KEEP_ALIVE));
        let mut sockets = SocketSet::new(Vec::with_capacity(1));
        let handle = sockets.add(socket);
        Self {
            interface,
            sockets,
            handle,
            settings,
            _rooms: rooms,
        }
    }

    pub fn socket(&mut self) -> &mut Socket<'static> {
        self.sockets.get_mut(self.handle)
    }

    pub fn state(&self) -> State {
        self.sockets.get::<Socket>(self.handle).state()
    }

    /// Takes one packet of this flow, without answering more than it must at once.
    pub fn take(&mut self, link: &Link, packet: &[u8]) {
        let now = self.settings.now();
        let mut wire = Wire {
            link,
            incoming: Some(packet),
            mtu: self.settings.mtu,
        };
        let _ = self
            .interface
            .poll_ingress_single(now, &mut wire, &mut self.sockets);
    }

    /// Sends what there is to send.
    pub fn turn(&mut self, link: &Link) {
        let now = self.settings.now();
        let mut wire = Wire {
            link,
            incoming: None,
            mtu: self.settings.mtu,
        };
        // Bounded: each round sends at least one segment of what the window allows.
        while self.interface.poll_egress(now, &mut wire, &mut self.sockets)
            == smoltcp::iface::PollResult::SocketStateChanged
        {}
    }

    /// How long from now until [`Self::turn`] must be called, if nothing else happens.
    pub fn rest(&mut self) -> Option<std::time::Duration> {
        let now = self.settings.now();
        let delay = self.interface.poll_delay(now, &self.sockets)?;
        Some(delay.into())
    }
}

struct Wire<'a> {
    link: &'a Link,
    incoming: Option<&'a [u8]>,
    mtu: usize,
}

impl Device for Wire<'_> {
    type RxToken<'t>
        = Incoming<'t>
    where
        Self: 't;
    type TxToken<'t>
        = Outgoing<'t>
    where
        Self: 't;

    fn receive(&mut self, _: Instant) -> Option<(Incoming<'_>, Outgoing<'_>)> {
        let packet = self.incoming.take()?;
        Some((Incoming(packet), Outgoing(self.link)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Outgoing<'_>> {
        Some(Outgoing(self.link))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = self.mtu;
        capabilities.checksum = self.link.checksums();
        capabilities
    }
}

struct Incoming<'a>(&'a [u8]);

impl RxToken for Incoming<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, take: F) -> R {
        take(self.0)
    }
}

struct Outgoing<'a>(&'a Link);

impl TxToken for Outgoing<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, fill: F) -> R {
        self.0.send(length, fill)
    }
}
