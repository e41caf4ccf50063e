//! Bytes of TCP connections: all of them, in order, in both directions, with their ends.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr},
    time::Duration,
};

use crate::{
    world::{OTHER, SERVER, SERVER_V6, World, echo, open, pattern},
    world_or_return,
};
use agentkernel_egress::tun::Attachment;
use agentkernel_types::NetworkEventKind;

fn address(text: &str, port: u16) -> SocketAddr {
    SocketAddr::new(text.parse().unwrap(), port)
}

fn talk(world: &World, to: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = world.connect(to).unwrap();
    let mut writer = stream.try_clone().unwrap();
    let copy = bytes.to_vec();
    let sender = std::thread::spawn(move || {
        writer.write_all(&copy).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).unwrap();
    sender.join().unwrap();
    heard
}

#[test]
fn a_short_exchange_comes_back_by_both_versions() {
    let world = world_or_return!(open());
    for place in [SERVER, SERVER_V6] {
        let to = world.serve(place, 7, echo);
        assert_eq!(talk(&world, to, b"hello"), b"hello", "{place}");
    }
}

#[test]
fn many_megabytes_come_back_byte_by_byte() {
    let world = world_or_return!(open());
    let to = world.serve(SERVER, 7, echo);
    let bytes = pattern(24 * 1024 * 1024 + 13);
    let heard = talk(&world, to, &bytes);
    assert_eq!(heard.len(), bytes.len());
    assert!(heard == bytes, "the bytes differ");
}

#[test]
fn a_reader_that_pauses_gets_every_byte() {
    let world = world_or_return!(open());
    let bytes = pattern(12 * 1024 * 1024);
    let copy = bytes.clone();
    let to = world.serve(SERVER, 80, move |mut stream| stream.write_all(&copy).unwrap());
    let mut stream = world.connect(to).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).unwrap();
    assert!(heard == bytes, "{} of {} bytes", heard.len(), bytes.len());
}

#[test]
fn a_closed_half_leaves_the_other_open() {
    let world = world_or_return!(open());
    let to = world.serve(SERVER, 80, |mut stream| {
        let mut asked = Vec::new();
        stream.read_to_end(&mut asked).unwrap();
        stream
            .write_all(format!("{} bytes", asked.len()).as_bytes())
            .unwrap();
    });
    assert_eq!(talk(&world, to, &[1; 1000]), b"1000 bytes");
    let to = world.serve(SERVER, 81, |mut stream| {
        stream.write_all(b"bye").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        echo_to_nobody(stream);
    });
    let mut stream = world.connect(to).unwrap();
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).unwrap();
    assert_eq!(heard, b"bye");
    stream.write_all(&[2; 100_000]).unwrap();
}

fn echo_to_nobody(mut stream: std::net::TcpStream) {
    let _ = std::io::copy(&mut stream, &mut std::io::sink());
}

#[test]
fn a_port_without_a_listener_refuses_at_once() {
    let world = world_or_return!(open());
    let error = world.connect(address(SERVER, 4444)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn an_address_without_a_route_is_unreachable() {
    let world = world_or_return!(open());
    // The namespace of the host has a loopback and nothing else.
    let error = world.connect(address("203.0.114.9", 80)).unwrap_err();
    assert!(
        matches!(
            error.kind(),
            ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable
        ),
        "{error}"
    );
}

#[test]
fn a_reset_reaches_the_other_side() {
    let world = world_or_return!(open());
    let to = world.serve(SERVER, 80, |mut stream| {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        reset(&stream);
    });
    let mut stream = world.connect(to).unwrap();
    stream.write_all(b"x").unwrap();
    let error = stream.read(&mut [0; 10]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);

    let (told, heard) = std::sync::mpsc::channel();
    let to = world.serve(SERVER, 81, move |mut stream| {
        let _ = stream.write_all(b"x");
        let mut byte = [0];
        let _ = stream.read(&mut byte).map_err(|error| told.send(error.kind()));
    });
    let mut stream = world.connect(to).unwrap();
    stream.read_exact(&mut [0]).unwrap();
    reset(&stream);
    drop(stream);
    assert_eq!(
        heard.recv_timeout(Duration::from_secs(20)).unwrap(),
        ErrorKind::ConnectionReset
    );
}

fn reset(stream: &std::net::TcpStream) {
    use std::os::fd::AsRawFd;
    let linger = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    let length = size_of::<libc::linger>() as libc::socklen_t;
    // SAFETY: the option takes exactly this structure.
    let result = unsafe {
        libc::setsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            (&raw const linger).cast(),
            length,
        )
    };
    assert_eq!(result, 0);
}

#[test]
fn a_thousand_connections_at_a_time_are_all_served() {
    let world = world_or_return!(open());
    let to = world.serve(OTHER, 7, echo);
    let mut streams = Vec::new();
    for _ in 0..1000 {
        streams.push(world.connect(to).unwrap());
    }
    for (number, stream) in streams.iter_mut().enumerate() {
        stream.write_all(format!("number {number}").as_bytes()).unwrap();
    }
    for (number, stream) in streams.iter_mut().enumerate() {
        let wanted = format!("number {number}");
        let mut heard = vec![0; wanted.len()];
        stream.read_exact(&mut heard).unwrap();
        assert_eq!(String::from_utf8(heard).unwrap(), wanted);
    }
}

#[test]
fn a_flow_is_told_with_its_bytes() {
    let mut world = world_or_return!(open());
    let to = world.serve(SERVER, 7, echo);
    talk(&world, to, &[7; 5000]);
    let closed = world.wait_for(|event| matches!(event, NetworkEventKind::Closed { .. }));
    let NetworkEventKind::Closed {
        flow, sent, received, ..
    } = closed
    else {
        unreachable!()
    };
    assert_eq!((flow.outside, sent, received), (to, 5000, 5000));
    assert_eq!(world.egress().statistics().flows_closed, 1);
}

#[test]
fn the_end_of_the_plane_is_the_end_of_every_connection() {
    let mut world = world_or_return!(open());
    let to = world.serve(SERVER, 7, echo);
    let mut stream = world.connect(to).unwrap();
    stream.write_all(b"x").unwrap();
    stream.read_exact(&mut [0]).unwrap();
    world.egress.take().unwrap().shutdown();
    let error = stream.read(&mut [0; 10]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    if world.attachment == Attachment::Veth {
        // The pair stays, and leads nowhere.
        return;
    }
    let error = world.connect(to).unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::NetworkUnreachable,
        "the device is gone: {error}"
    );
}

/// A program may give the kernel many datagrams as one piece, as those that speak QUIC do.
#[test]
fn datagrams_that_were_sent_as_one_piece_arrive_one_by_one() {
    use std::sync::atomic::Ordering;
    let world = world_or_return!(open());
    let arrived = world.trap(SERVER, 9);
    let offered = world.sandbox.run(|| {
        use std::os::fd::AsRawFd;
        let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
        let (size, length) = (100i32, size_of::<i32>() as libc::socklen_t);
        // SAFETY: the option takes one number.
        let result = unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_UDP,
                libc::UDP_SEGMENT,
                (&raw const size).cast(),
                length,
            )
        };
        socket.send_to(&[7; 500], (SERVER, 9)).unwrap();
        result == 0
    });
    if !offered {
        return eprintln!("not tested: this kernel does not cut datagrams");
    }
    // Five of a hundred bytes; each counts one more.
    let begin = std::time::Instant::now();
    while arrived.load(Ordering::SeqCst) < 505 {
        assert!(begin.elapsed() < Duration::from_secs(20), "{arrived:?}");
        std::thread::yield_now();
    }
}
