//! The way out: sockets of the host. Behind a trait, so that something else can stand between a sandbox and the
//! world: a test, or later the interception of TLS.
//!
//! Whoever is asked here has been allowed already: a dialler decides nothing.

use std::{
    future::Future,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::fd::{AsRawFd, OwnedFd},
    pin::Pin,
};

use agentkernel_types::DomainName;
use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpSocket, TcpStream, UdpSocket},
};

/// A connection that is wanted by the sandbox and allowed by its policy.
#[derive(Clone, Debug)]
pub struct Outgoing {
    pub to: SocketAddr,
    /// The names that were answered with this address in this sandbox.
    pub names: Vec<DomainName>,
}

/// Both directions of bytes, and an end that tells the other side that something went wrong.
pub trait Connection: AsyncRead + AsyncWrite + Send + Unpin {
    /// Closes with a reset instead of an orderly end. A drop afterwards does it.
    fn reset_on_drop(&mut self);
}

pub type Dialling<'a, T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send + 'a>>;

/// Makes the sockets that carry a sandbox's traffic. Called within the plane's tokio runtime.
pub trait Dial: Send + Sync {
    fn connect(&self, outgoing: Outgoing) -> Dialling<'_, Box<dyn Connection>>;
    /// A connected UDP socket.
    fn datagrams(&self, outgoing: Outgoing) -> Dialling<'_, UdpSocket>;
    /// A connected ICMP echo socket, as the kernel gives it to unprivileged users. Refused where
    /// `net.ipv4.ping_group_range` leaves the user out.
    fn echo(&self, to: IpAddr) -> io::Result<OwnedFd>;
}

/// Plain sockets of this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct HostSockets;

impl Dial for HostSockets {
    fn connect(&self, outgoing: Outgoing) -> Dialling<'_, Box<dyn Connection>> {
        Box::pin(async move {
            let socket = match outgoing.to {
                SocketAddr::V4(_) => TcpSocket::new_v4()?,
                SocketAddr::V6(_) => TcpSocket::new_v6()?,
            };
            socket.set_keepalive(true)?;
            let stream = socket.connect(outgoing.to).await?;
            // The sandbox's kernel has decided already what makes a segment.
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as Box<dyn Connection>)
        })
    }

    fn datagrams(&self, outgoing: Outgoing) -> Dialling<'_, UdpSocket> {
        Box::pin(async move {
            let any: IpAddr = match outgoing.to {
                SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
                SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
            };
            let socket = UdpSocket::bind(SocketAddr::new(any, 0)).await?;
            socket.connect(outgoing.to).await?;
            Ok(socket)
        })
    }

    fn echo(&self, to: IpAddr) -> io::Result<OwnedFd> {
        let (family, protocol) = match to {
            IpAddr::V4(_) => (AddressFamily::INET, ipproto::ICMP),
            IpAddr::V6(_) => (AddressFamily::INET6, ipproto::ICMPV6),
        };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = rustix::net::socket_with(family, SocketType::DGRAM, flags, Some(protocol))?;
        rustix::net::connect(&socket, &SocketAddr::new(to, 0))?;
        Ok(socket)
    }
}

impl Connection for TcpStream {
    fn reset_on_drop(&mut self) {
        let linger = libc::linger {
            l_onoff: 1,
            l_linger: 0,
        };
        let length = size_of::<libc::linger>() as libc::socklen_t;
        // SAFETY: the option takes exactly this structure, which outlives the call.
        unsafe {
            libc::setsockopt(
                self.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_LINGER,
                (&raw const linger).cast(),
                length,
            );
        }
    }
}

impl Connection for tokio::io::DuplexStream {
    fn reset_on_drop(&mut self) {}
}
