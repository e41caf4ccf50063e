//! A small internet for tests: a network namespace for the host on which agentkernel runs, and behind a router another one
//! where every address answers. Nothing of it touches the machine's own network.

use std::{
    collections::HashMap,
    io::{Read, Write},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use rustix::thread::{UnshareFlags, unshare_unsafe};

use crate::{have, skipped};

/// The router, which is also the name server; and the host.
pub const ROUTER: &str = "10.55.0.1";
pub const HOST: &str = "10.55.0.2";
pub const NAME_SERVER: &str = "10.55.0.1:53";

/// What the name server knows.
const NAMES: [(&str, &str); 10] = [
    ("example.org", "93.184.215.14"),
    ("www.example.org", "93.184.215.15"),
    ("other.test", "198.41.0.4"),
    // The same address: only the claimed name tells them apart.
    ("fronted.test", "93.184.215.14"),
    ("six.test", "2606:2800:21f:cb07::8"),
    ("rebinding.test", "10.55.0.1"),
    ("loopback.test", "127.0.0.1"),
    ("metadata.test", "169.254.169.254"),
    ("host.test", "10.55.0.2"),
    ("mapped.test", "::ffff:10.55.0.1"),
];

/// On every address.
const TCP_PORTS: [u16; 7] = [22, 53, 80, 443, 853, 8080, 8443];
const UDP_ADDRESSES: [&str; 2] = [ROUTER, "198.41.0.4"];
/// This one holds the line.
const HOLDING: u16 = 22;
const UDP_PORTS: [u16; 4] = [123, 443, 5353, 9999];

/// The world as long as it lives.
#[derive(Debug)]
pub struct Internet {
    /// A process in the other namespace, by which it is named.
    holder: Child,
}

impl Internet {
    /// Gives the calling thread, and whatever it starts from now on, a network with this world behind it. None where
    /// this process may not, which is said.
    pub fn enter() -> Option<Self> {
        if !have(&["ip", "nsenter"]) {
            return None;
        }
        let (told, holder) = mpsc::channel();
        thread::Builder::new()
            .name("internet".into())
            .spawn(move || told.send(world()))
            .expect("a thread can be started")
            .join()
            .expect("the world does not panic")
            .expect("it is listened to");
        let holder = match holder.recv().expect("it was told") {
            Ok(holder) => holder,
            Err(why) => {
                skipped(&format!("no network namespace of its own: {why}"));
                return None;
            }
        };
        let internet = Self { holder };
        own_network().expect("the first one could be made");
        internet.connect();
        // Hosts that allow echo requests to everybody are the usual ones.
        std::fs::write("/proc/sys/net/ipv4/ping_group_range", "0 65534").expect("root may");
        Some(internet)
    }

    fn connect(&self) {
        let holder = self.holder.id().to_string();
        ip("link add uplink type veth peer name world");
        ip(&format!("link set world netns {holder}"));
        for line in [
            "link set lo up",
            "address add 10.55.0.2/24 dev uplink",
            "address add 2001:db8:55::2/64 dev uplink nodad",
            "link set uplink up",
            "route add default via 10.55.0.1",
            "-6 route add default via 2001:db8:55::1",
        ] {
            ip(line);
        }
        for line in [
            "address add 10.55.0.1/24 dev world",
            "address add 2001:db8:55::1/64 dev world nodad",
            "link set world up",
            "route add 10.55.0.2/32 dev world",
        ] {
            self.ip_there(line);
        }
    }

    fn ip_there(&self, line: &str) {
        let holder = self.holder.id().to_string();
        let words: Vec<&str> = line.split(' ').collect();
        run(Command::new("nsenter")
            .args(["-t", &holder, "-n", "ip"])
            .args(words));
    }

    /// IP packets that have come into the world so far: both versions, without what IPv6 says to its link.
    pub fn packets(&self) -> u64 {
        let holder = self.holder.id().to_string();
        let output = Command::new("nsenter")
            .args(["-t", &holder, "-n", "cat", "/proc/net/snmp", "/proc/net/snmp6"])
            .output()
            .expect("nsenter runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let four: Vec<&str> = text.lines().filter(|line| line.starts_with("Ip: ")).collect();
        let names: Vec<&str> = four[0].split_whitespace().collect();
        let values: Vec<&str> = four[1].split_whitespace().collect();
        let at = names
            .iter()
            .position(|name| *name == "InReceives")
            .expect("the kernel counts");
        let six = |name: &str| -> u64 {
            let line = text
                .lines()
                .find(|line| line.split_whitespace().next() == Some(name));
            line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
                .unwrap_or(0)
        };
        values[at].parse::<u64>().expect("a number") + six("Ip6InReceives")
            - six("Ip6InMcastPkts")
            - six("Icmp6InMsgs")
    }
}

impl Drop for Internet {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

fn own_network() -> Result<(), rustix::io::Errno> {
    // SAFETY: only the network namespace of this thread changes; no descriptor is shared by it.
    unsafe { unshare_unsafe(UnshareFlags::NEWNET) }
}

/// Runs in a thread of its own, whose servers inherit its namespace.
fn world() -> Result<Child, rustix::io::Errno> {
    own_network()?;
    let holder = Command::new("sleep")
        .arg("100000")
        .spawn()
        .expect("sleep can be started");
    ip("link set lo up");
    // Every address there is belongs to this host.
    ip("route add local 0.0.0.0/0 dev lo");
    ip("-6 route add local ::/0 dev lo table main");
    for port in TCP_PORTS {
        serve_tcp(port);
    }
    // An answer to a datagram must come from where it went to, which a socket of every address does not see to.
    for address in UDP_ADDRESSES {
        for port in UDP_PORTS {
            serve_udp(address, port);
        }
        serve_names(address);
    }
    Ok(holder)
}

/// Answers a request with the address at which it arrived; whoever says nothing is told as well.
fn serve_tcp(port: u16) {
    let listener = TcpListener::bind(("::", port)).expect("the port is free in a fresh namespace");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || match port {
                HOLDING => hold(stream),
                _ => greet(stream),
            });
        }
    });
}

/// Takes everything and never ends by itself.
fn hold(mut stream: TcpStream) {
    let mut taken = [0u8; 4096];
    while stream.read(&mut taken).is_ok_and(|length| length > 0) {}
}

fn greet(mut stream: TcpStream) {
    let here = stream.local_addr().map(|address| address.ip().to_canonical());
    let body = format!(
        "you reached {}\n",
        here.map_or_else(|_| "?".to_owned(), |ip| ip.to_string())
    );
    let _ = stream.set_read_timeout(Some(Duration::from_millis(500)));
    let mut request = [0u8; 4096];
    let _ = stream.read(&mut request);
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let _ = stream.write_all(answer.as_bytes());
}

fn serve_udp(address: &str, port: u16) {
    let socket = UdpSocket::bind((address, port)).expect("the port is free in a fresh namespace");
    thread::spawn(move || {
        let mut datagram = [0u8; 2048];
        while let Ok((_, from)) = socket.recv_from(&mut datagram) {
            let _ = socket.send_to(b"you reached somebody\n", from);
        }
    });
}

fn serve_names(address: &str) {
    let socket = UdpSocket::bind((address, 53)).expect("the port is free in a fresh namespace");
    let names: HashMap<&str, IpAddr> = NAMES
        .iter()
        .map(|(name, address)| (*name, address.parse().expect("an address")))
        .collect();
    thread::spawn(move || {
        let mut datagram = [0u8; 2048];
        while let Ok((length, from)) = socket.recv_from(&mut datagram) {
            if let Some(answer) = answer(&datagram[..length], &names) {
                let _ = socket.send_to(&answer, from);
            }
        }
    });
}

/// One question, as any resolver asks it.
fn answer(question: &[u8], names: &HashMap<&str, IpAddr>) -> Option<Vec<u8>> {
    const A: u16 = 1;
    const AAAA: u16 = 28;
    let (mut at, mut labels) = (12, Vec::new());
    loop {
        let length = usize::from(*question.get(at)?);
        if length == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(question.get(at + 1..at + 1 + length)?).to_lowercase());
        at += 1 + length;
    }
    let kind = u16::from_be_bytes([*question.get(at + 1)?, *question.get(at + 2)?]);
    let address = names.get(labels.join(".").as_str());
    let data = match (kind, address) {
        (A, Some(IpAddr::V4(address))) => address.octets().to_vec(),
        (AAAA, Some(IpAddr::V6(address))) => address.octets().to_vec(),
        _ => Vec::new(),
    };
    let mut answer = question.get(..2)?.to_vec();
    // An answer, recursion available; no such name where it is unknown.
    answer.extend([0x81, if address.is_some() { 0x80 } else { 0x83 }]);
    answer.extend([0, 1, 0, u8::from(!data.is_empty()), 0, 0, 0, 0]);
    answer.extend(question.get(12..at + 5)?);
    if !data.is_empty() {
        answer.extend([0xc0, 12]);
        answer.extend(kind.to_be_bytes());
        answer.extend([0, 1, 0, 0, 0, 60]);
        answer.extend(u16::try_from(data.len()).ok()?.to_be_bytes());
        answer.extend(data);
    }
    Some(answer)
}

/// A server of the host itself, on its loopback or another address of its own. Returns where.
pub fn serve_here(address: &str) -> SocketAddr {
    let listener = TcpListener::bind(address).expect("the address is this host's");
    let here = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || greet(stream));
        }
    });
    here
}

fn ip(line: &str) {
    run(Command::new("ip").args(line.split(' ')));
}

fn run(command: &mut Command) {
    let output = command
        .stdin(Stdio::null())
        .output()
        .expect("the program is there");
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}
