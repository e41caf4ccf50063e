//! Ports of the host that lead into a sandbox.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream, UdpSocket},
    time::Duration,
};

use agentkernel_tests::{cli::wait_until, internet::HOST};

use crate::Place;

const SOON: Duration = Duration::from_secs(30);

/// Answers every connection with one line, on the address that it is given.
const SERVE: &str = r#"
import socket, sys
server = socket.create_server((sys.argv[1], int(sys.argv[2])))
while True:
    connection, _ = server.accept()
    connection.sendall(b"from inside\n")
    connection.close()
"#;

const ECHO: &str = r#"
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("0.0.0.0", 5000))
while True:
    data, address = server.recvfrom(2000)
    server.sendto(b"echo " + data, address)
"#;

fn ask(address: SocketAddr) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    Some(text).filter(|text| !text.is_empty())
}

fn answers(address: SocketAddr) {
    wait_until("the service answers", SOON, || {
        ask(address).as_deref() == Some("from inside\n")
    });
}

fn port(place: &Place, name: &str) -> SocketAddr {
    let listed = place.home.call(["port", "list", name, "--json"]).success().json();
    let address = listed["ports"][0]["address"]
        .as_str()
        .expect("a port is open")
        .to_owned();
    address.parse().expect("an address")
}

#[test]
fn a_port_leads_into_a_kept_sandbox_also_after_a_restart() {
    let Some(place) = Place::new() else { return };
    let home = &place.home;
    place.create(
        "box",
        &["--network", "allowlist", "-p", "18080:80", "-p", "0:8000"],
    );
    let serve = |port: &str| {
        home.call(["exec", "-d", "box", "--", "python3", "-c", SERVE, "0.0.0.0", port])
            .success();
    };
    let fixed: SocketAddr = "127.0.0.1:18080".parse().expect("an address");
    serve("80");
    answers(fixed);
    // On the loopback only.
    assert_eq!(ask(format!("{HOST}:18080").parse().expect("an address")), None);
    home.call(["restart", "box"]).success();
    assert_eq!(ask(fixed), None, "nobody listens inside yet");
    serve("80");
    answers(fixed);
    assert_ne!(port(&place, "box").port(), 0);
    home.call(["port", "unpublish", "box", "18080"]).success();
    assert_eq!(ask(fixed), None);
    let outcome = home.call(["port", "unpublish", "box", "18080"]).expect_code(125);
    assert!(outcome.errors().contains("port list box"), "{}", outcome.errors());
    let bound = home.call(["port", "publish", "box", "0:80"]).success().text();
    answers(bound.trim().parse().expect("the address is printed"));
    home.call(["stop", "box"]).success();
    assert_eq!(ask(bound.trim().parse().expect("an address")), None);
}

#[test]
fn a_port_of_one_run_ends_with_it() {
    let Some(place) = Place::new() else { return };
    let home = &place.home;
    let arguments = [
        "run",
        "--image",
        "host",
        "--network",
        "public",
        "-p",
        "0.0.0.0:18081:9000",
        "--",
        "python3",
        "-c",
        SERVE,
        "0.0.0.0",
        "9000",
    ];
    let mut child = home.spawn(arguments);
    answers("127.0.0.1:18081".parse().expect("an address"));
    answers(format!("{HOST}:18081").parse().expect("an address"));
    child.kill().expect("a child can be killed");
    child.wait().expect("a killed child can be waited for");
    assert_eq!(ask("127.0.0.1:18081".parse().expect("an address")), None);
}

#[test]
fn datagrams_go_both_ways() {
    let Some(place) = Place::new() else { return };
    place.create("box", &["--network", "allowlist", "-p", "18082:5000/udp"]);
    place
        .home
        .call(["exec", "-d", "box", "--", "python3", "-c", ECHO])
        .success();
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port is free");
    socket
        .set_read_timeout(Some(Duration::from_millis(300)))
        .expect("a socket has a time limit");
    let mut answer = [0u8; 100];
    wait_until("an answer comes", SOON, || {
        socket
            .send_to(b"hello", "127.0.0.1:18082")
            .expect("it can be sent");
        matches!(socket.recv(&mut answer), Ok(length) if &answer[..length] == b"echo hello")
    });
}

#[test]
fn a_port_that_cannot_be_had_is_refused_and_nothing_is_left() {
    let Some(place) = Place::new() else { return };
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = taken.local_addr().expect("it is bound");
    let publish = format!("{}:80", address.port());
    for flags in [["--network", "public"], ["--network", "open"]] {
        let outcome = place
            .run(&[&flags[..], &["-p", &publish]].concat(), &["true"])
            .expect_code(125);
        assert!(
            outcome.errors().contains(&address.to_string()),
            "{}",
            outcome.errors()
        );
    }
    let outcome = place
        .home
        .call([
            "create",
            "box",
            "--image",
            "host",
            "--network",
            "public",
            "-p",
            &publish,
        ])
        .expect_code(125);
    assert!(
        outcome.errors().contains(&address.to_string()),
        "{}",
        outcome.errors()
    );
    assert_eq!(place.home.call(["list", "-q"]).success().text(), "");
    for mode in ["none", "host"] {
        let outcome = place
            .run(&["--network", mode, "-p", "80"], &["true"])
            .expect_code(125);
        assert!(outcome.errors().contains("port"), "{}", outcome.errors());
    }
    drop(taken);
    let mut nobody = TcpStream::connect(address).map_or(Vec::new(), |_| vec![1]);
    assert!(
        nobody.write(&[]).is_ok() && nobody.is_empty(),
        "the port is still held"
    );
}
