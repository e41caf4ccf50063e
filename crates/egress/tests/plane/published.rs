//! Ports of the host that lead into the sandbox.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    time::Duration,
};

use agentkernel_egress::{Error, Published};
use agentkernel_types::Protocol;

use crate::{
    world::{World, allowlist, echo},
    world_or_return,
};

fn publish(world: &World, guest_port: u16, protocol: Protocol) -> Published {
    let host: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let mut published = Published {
        host,
        guest_port,
        protocol,
    };
    published.host = world.runtime.block_on(world.egress().publish(published)).unwrap();
    published
}

fn from_host(world: &World, to: SocketAddr) -> std::io::Result<Vec<u8>> {
    world.host.run(move || {
        let mut stream = TcpStream::connect(to)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        stream.write_all(b"hello")?;
        stream.shutdown(std::net::Shutdown::Write)?;
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard)?;
        Ok(heard)
    })
}

#[test]
fn a_connection_from_the_host_arrives_from_the_gateway_even_without_any_way_out() {
    let world = world_or_return!(allowlist(&[]));
    let peer = world.sandbox.run(|| {
        let listener = TcpListener::bind("0.0.0.0:8000").unwrap();
        let (told, peer) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                told.send(stream.peer_addr().unwrap()).unwrap();
                echo(stream);
            }
        });
        peer
    });
    let published = publish(&world, 8000, Protocol::Tcp);
    assert_eq!(from_host(&world, published.host).unwrap(), b"hello");
    assert_eq!(peer.recv().unwrap().ip().to_string(), "192.0.0.1");
}

#[test]
fn a_port_where_nobody_listens_inside_resets() {
    let world = world_or_return!(allowlist(&[]));
    let published = publish(&world, 8001, Protocol::Tcp);
    from_host(&world, published.host).unwrap_err();
}

#[test]
fn a_service_on_the_loopback_of_the_sandbox_is_reached() {
    let world = world_or_return!(allowlist(&[]));
    world.sandbox.run(|| {
        let listener = TcpListener::bind("127.0.0.1:8005").unwrap();
        std::thread::spawn(move || listener.incoming().flatten().for_each(echo));
    });
    let published = publish(&world, 8005, Protocol::Tcp);
    for _ in 0..3 {
        assert_eq!(from_host(&world, published.host).unwrap(), b"hello");
    }
}

#[test]
fn datagrams_go_in_and_come_back() {
    let world = world_or_return!(allowlist(&[]));
    world.sandbox.run(|| {
        let socket = UdpSocket::bind("0.0.0.0:8002").unwrap();
        std::thread::spawn(move || {
            let mut buffer = [0; 100];
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                let _ = socket.send_to(&buffer[..length], from);
            }
        });
    });
    let published = publish(&world, 8002, Protocol::Udp);
    let heard = world.host.run(move || {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        socket.send_to(b"hello", published.host).unwrap();
        let mut buffer = [0; 100];
        let length = socket.recv(&mut buffer).unwrap();
        buffer[..length].to_vec()
    });
    assert_eq!(heard, b"hello");
}

#[test]
fn a_port_is_taken_once_and_closed_for_good() {
    let world = world_or_return!(allowlist(&[]));
    let published = publish(&world, 8003, Protocol::Tcp);
    let again = world.runtime.block_on(world.egress().publish(published));
    assert!(matches!(again, Err(Error::Publish { .. })), "{again:?}");
    world
        .runtime
        .block_on(world.egress().unpublish(published))
        .unwrap();
    from_host(&world, published.host).unwrap_err();
    let again = world.runtime.block_on(world.egress().unpublish(published));
    assert!(matches!(again, Err(Error::NotPublished(_))));
}
