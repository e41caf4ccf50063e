//! The network: few socket families, no administration, and with a network of none only loopback.

use std::{
    fs, io,
    net::{SocketAddr, TcpStream, UdpSocket},
    time::Duration,
};

use crate::{
    attempt::{answer, judge},
    facts::Facts,
    report::{Check, Outcome, blocked, holds, leaked, skipped},
};

const CLASS: &str = "network";

/// A family, type or protocol that is not granted may also be called unknown.
const NO_SUCH_SOCKET: &[i32] = &[
    libc::EPERM,
    libc::EACCES,
    libc::ENOSYS,
    libc::EAFNOSUPPORT,
    libc::EPROTONOSUPPORT,
    libc::ESOCKTNOSUPPORT,
];

/// Name, family, type, protocol.
const SOCKETS: [(&str, i32, i32, i32); 43] = [
    ("ALG", libc::AF_ALG, libc::SOCK_SEQPACKET, 0),
    ("VSOCK stream", libc::AF_VSOCK, libc::SOCK_STREAM, 0),
    ("VSOCK datagram", libc::AF_VSOCK, libc::SOCK_DGRAM, 0),
    ("PACKET raw", libc::AF_PACKET, libc::SOCK_RAW, 0),
    ("PACKET datagram", libc::AF_PACKET, libc::SOCK_DGRAM, 0),
    ("XDP", libc::AF_XDP, libc::SOCK_RAW, 0),
    ("KEY", libc::AF_KEY, libc::SOCK_RAW, 2),
    ("BLUETOOTH", libc::AF_BLUETOOTH, libc::SOCK_RAW, 1),
    ("CAN", libc::AF_CAN, libc::SOCK_RAW, 1),
    ("TIPC", libc::AF_TIPC, libc::SOCK_STREAM, 0),
    ("RDS", libc::AF_RDS, libc::SOCK_SEQPACKET, 0),
    ("NFC", libc::AF_NFC, libc::SOCK_SEQPACKET, 0),
    ("SMC", 43, libc::SOCK_STREAM, 0),
    ("QIPCRTR", 42, libc::SOCK_DGRAM, 0),
    ("KCM", 41, libc::SOCK_DGRAM, 0),
    ("MCTP", 45, libc::SOCK_DGRAM, 0),
    ("CAIF", libc::AF_CAIF, libc::SOCK_SEQPACKET, 0),
    ("PHONET", libc::AF_PHONET, libc::SOCK_DGRAM, 0),
    ("IEEE802154", libc::AF_IEEE802154, libc::SOCK_RAW, 0),
    ("RXRPC", libc::AF_RXRPC, libc::SOCK_DGRAM, libc::AF_INET),
    ("PPPOX", libc::AF_PPPOX, libc::SOCK_STREAM, 0),
    ("LLC", libc::AF_LLC, libc::SOCK_STREAM, 0),
    ("X25", libc::AF_X25, libc::SOCK_SEQPACKET, 0),
    ("AX25", libc::AF_AX25, libc::SOCK_DGRAM, 0),
    ("APPLETALK", libc::AF_APPLETALK, libc::SOCK_DGRAM, 0),
    ("IPX", libc::AF_IPX, libc::SOCK_DGRAM, 0),
    ("NETLINK sock_diag", libc::AF_NETLINK, libc::SOCK_RAW, 4),
    ("NETLINK xfrm", libc::AF_NETLINK, libc::SOCK_RAW, 6),
    ("NETLINK audit", libc::AF_NETLINK, libc::SOCK_RAW, 9),
    ("NETLINK connector", libc::AF_NETLINK, libc::SOCK_RAW, 11),
    ("NETLINK netfilter", libc::AF_NETLINK, libc::SOCK_RAW, 12),
    ("NETLINK uevent", libc::AF_NETLINK, libc::SOCK_RAW, 15),
    ("NETLINK generic", libc::AF_NETLINK, libc::SOCK_RAW, 16),
    ("NETLINK crypto", libc::AF_NETLINK, libc::SOCK_RAW, 21),
    ("IPv4 raw", libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP),
    ("IPv6 raw", libc::AF_INET6, libc::SOCK_RAW, libc::IPPROTO_ICMPV6),
    ("IPv4 packet type", libc::AF_INET, 10, 0),
    (
        "SCTP stream",
        libc::AF_INET,
        libc::SOCK_STREAM,
        libc::IPPROTO_SCTP,
    ),
    (
        "SCTP message",
        libc::AF_INET,
        libc::SOCK_SEQPACKET,
        libc::IPPROTO_SCTP,
    ),
    ("DCCP", libc::AF_INET, 6, libc::IPPROTO_DCCP),
    ("UDP lite", libc::AF_INET, libc::SOCK_DGRAM, libc::IPPROTO_UDPLITE),
    (
        "multipath TCP",
        libc::AF_INET,
        libc::SOCK_STREAM,
        libc::IPPROTO_MPTCP,
    ),
    ("an unknown family", 44 + 20, libc::SOCK_STREAM, 0),
];

pub fn socket_checks(_: &Facts) -> Vec<Check> {
    let mut checks: Vec<Check> = SOCKETS
        .iter()
        .map(|&(name, family, kind, protocol)| {
            Check::new("kernel-interfaces", format!("socket {name}"), move |_| {
                judge(socket(family, kind, protocol), NO_SUCH_SOCKET)
            })
        })
        .collect();
    let refused = &[libc::EPERM, libc::EACCES];
    let options: [(&str, i32, i32, i32); 4] = [
        ("mark packets", libc::SOL_SOCKET, libc::SO_MARK, 1),
        ("the highest priority", libc::SOL_SOCKET, libc::SO_PRIORITY, 7),
        ("a transparent socket", libc::SOL_IP, libc::IP_TRANSPARENT, 1),
        (
            "a receive buffer beyond the limit",
            libc::SOL_SOCKET,
            libc::SO_RCVBUFFORCE,
            1 << 16,
        ),
    ];
    for (name, level, option, value) in options {
        checks.push(Check::new("kernel-interfaces", name, move |_| {
            judge(set_option(level, option, value), refused)
        }));
    }
    checks.push(Check::new("kernel-interfaces", "TLS in the kernel", |_| {
        judge(kernel_tls(), &[libc::EPERM, libc::ENOPROTOOPT, libc::ENOENT])
    }));
    checks.push(Check::new("kernel-interfaces", "read the packet filter", |_| {
        judge(packet_filter(), &[libc::EPERM, libc::ENOPROTOOPT])
    }));
    checks.push(Check::new("kernel-interfaces", "switch an interface", |_| {
        judge(switch_interface(), &[libc::EPERM])
    }));
    checks
}

pub fn checks(_: &Facts) -> Vec<Check> {
    vec![
        Check::new(CLASS, "loopback is the only interface", |facts| {
            alone(facts, only_loopback)
        }),
        Check::new(CLASS, "there is no IPv4 route", |facts| {
            alone(facts, || no_routes("/proc/net/route", 1))
        }),
        Check::new(CLASS, "a TCP port of the host", |facts| {
            let target = facts.get("tcp").and_then(|text| text.parse().ok());
            connect(target)
        }),
        Check::new(CLASS, "an address that is routed to nobody", |facts| {
            alone(facts, || connect("192.0.2.1:9".parse().ok()))
        }),
        Check::new(CLASS, "the address of cloud metadata", |_| {
            connect("169.254.169.254:80".parse().ok())
        }),
        Check::new(CLASS, "a datagram to outside", |facts| alone(facts, datagram)),
        Check::new(CLASS, "connections of the host in /proc/net/tcp", |facts| {
            let port = facts
                .get("tcp")
                .and_then(|text| text.parse().ok())
                .map(|address: SocketAddr| address.port());
            not_listed("/proc/net/tcp", port)
        }),
        Check::new(CLASS, "sockets of the host in /proc/net/unix", |facts| {
            let name = facts.get("abstract-socket").map(str::to_owned);
            let list = fs::read_to_string("/proc/net/unix").unwrap_or_default();
            match name {
                Some(name) => holds(!list.contains(&name), format!("{} lines", list.lines().count())),
                None => skipped("nothing is marked"),
            }
        }),
    ]
}

/// For sandboxes without any network.
fn alone(facts: &Facts, check: impl FnOnce() -> Outcome) -> Outcome {
    if facts.has_network() {
        skipped("the profile has a network behind a gateway")
    } else {
        check()
    }
}

fn socket(family: i32, kind: i32, protocol: i32) -> io::Result<i64> {
    // SAFETY: three numbers; the descriptor ends with this check's process.
    answer(unsafe { libc::socket(family, kind | libc::SOCK_CLOEXEC, protocol) })
}

fn inet() -> i32 {
    let made = socket(libc::AF_INET, libc::SOCK_DGRAM, 0).expect("every sandbox has UDP sockets");
    i32::try_from(made).expect("a descriptor")
}

fn set_option(level: i32, option: i32, value: i32) -> io::Result<i64> {
    let size = size_of::<i32>() as libc::socklen_t;
    // SAFETY: an integer of ours and its size.
    answer(unsafe { libc::setsockopt(inet(), level, option, (&raw const value).cast(), size) })
}

/// On a socket without a connection: who is let through gets ENOTCONN.
fn kernel_tls() -> io::Result<i64> {
    let socket = i32::try_from(socket(libc::AF_INET, libc::SOCK_STREAM, 0)?).expect("a descriptor");
    // SAFETY: three bytes of ours and their number.
    answer(unsafe { libc::setsockopt(socket, libc::SOL_TCP, libc::TCP_ULP, c"tls".as_ptr().cast(), 3) })
}

/// Asks how large the table of the oldest packet filter is.
fn packet_filter() -> io::Result<i64> {
    const IPT_SO_GET_INFO: i32 = 64;
    let mut info = [0u8; 84];
    info[..6].copy_from_slice(b"filter");
    let mut size = info.len() as libc::socklen_t;
    // SAFETY: a buffer of ours and its size.
    answer(unsafe {
        libc::getsockopt(
            inet(),
            libc::SOL_IP,
            IPT_SO_GET_INFO,
            info.as_mut_ptr().cast(),
            &raw mut size,
        )
    })
}

/// Sets the flags that the interface has.
fn switch_interface() -> io::Result<i64> {
    // SAFETY: all fields are numbers.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (place, byte) in request.ifr_name.iter_mut().zip(*b"lo") {
        *place = byte as libc::c_char;
    }
    let socket = inet();
    // SAFETY: a structure of ours, as these requests expect it.
    unsafe {
        answer(libc::ioctl(socket, libc::SIOCGIFFLAGS as _, &raw mut request))?;
        answer(libc::ioctl(socket, libc::SIOCSIFFLAGS as _, &raw mut request))
    }
}

fn only_loopback() -> Outcome {
    let table = fs::read_to_string("/proc/net/dev").unwrap_or_default();
    let names: Vec<&str> = table
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, _)| name.trim())
        .collect();
    holds(names == ["lo"], format!("{names:?}"))
}

fn no_routes(path: &str, headings: usize) -> Outcome {
    let table = fs::read_to_string(path).unwrap_or_default();
    let routes: Vec<&str> = table.lines().skip(headings).collect();
    holds(routes.is_empty(), format!("{routes:?}"))
}

fn connect(target: Option<SocketAddr>) -> Outcome {
    let Some(target) = target else {
        return skipped("nothing is marked");
    };
    match TcpStream::connect_timeout(&target, Duration::from_secs(5)) {
        Ok(_) => leaked(format!("connected to {target}")),
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            leaked("nobody has refused it: packets went somewhere")
        }
        Err(error) => blocked(error),
    }
}

fn datagram() -> Outcome {
    let sent = UdpSocket::bind("0.0.0.0:0").and_then(|socket| socket.send_to(b"probe", "192.0.2.1:9"));
    match sent {
        Ok(_) => leaked("it was sent"),
        Err(error) => blocked(error),
    }
}

fn not_listed(path: &str, port: Option<u16>) -> Outcome {
    let Some(port) = port else {
        return skipped("nothing is marked");
    };
    let table = fs::read_to_string(path).unwrap_or_default();
    let mark = format!(":{port:04X} ");
    holds(!table.contains(&mark), format!("{} lines", table.lines().count()))
}
