//! Sockets to name servers. One carries one question at a time and a few in all: a port is never known for long, and
//! most questions need no new socket.

use std::{
    cell::RefCell,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    rc::Rc,
    time::{Duration, Instant},
};

use tokio::net::UdpSocket;

/// Questions and time after which a socket is closed.
const USES: u32 = 16;
const LIFE: Duration = Duration::from_secs(2);
/// Sockets that wait for a question.
const KEPT: usize = 4;

pub(super) struct Socket {
    pub socket: UdpSocket,
    server: SocketAddr,
    uses: u32,
    since: Instant,
}

#[derive(Clone, Default)]
pub(super) struct Sockets(Rc<RefCell<Vec<Socket>>>);

impl Sockets {
    pub async fn take(&self, server: SocketAddr) -> io::Result<Socket> {
        let waiting = {
            let mut waiting = self.0.borrow_mut();
            waiting.retain(|socket| socket.since.elapsed() < LIFE);
            let place = waiting.iter().position(|socket| socket.server == server);
            place.map(|place| waiting.swap_remove(place))
        };
        match waiting {
            Some(socket) => Ok(socket),
            None => Self::open(server).await,
        }
    }

    async fn open(server: SocketAddr) -> io::Result<Socket> {
        let any: IpAddr = match server {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = UdpSocket::bind(SocketAddr::new(any, 0)).await?;
        socket.connect(server).await?;
        Ok(Socket {
            socket,
            server,
            uses: 0,
            since: Instant::now(),
        })
    }

    /// After an answer: what still came was for nobody. A socket that failed is not brought back.
    pub fn bring_back(&self, mut socket: Socket) {
        socket.uses += 1;
        let mut waiting = self.0.borrow_mut();
        if socket.uses < USES && socket.since.elapsed() < LIFE && waiting.len() < KEPT {
            waiting.push(socket);
        }
    }
}
