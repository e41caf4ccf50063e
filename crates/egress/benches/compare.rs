//! Throughput and latency of the plane against pasta and slirp4netns, in one run: `cargo bench -p agentkernel-egress`.
//!
//! Needs root, iproute2, util-linux, passt and slirp4netns. Everything happens in network namespaces of its own. Each
//! measurement is made in turn for each contestant, and the best of the rounds is shown.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program that people run by hand"
)]

use std::{
    io::{Read, Write},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::unix::process::CommandExt,
    os::{fd::AsFd, unix::net::UnixStream},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use agentkernel_egress::{Addresses, Egress, HostSockets, Options, Upstreams, start, tun};
use agentkernel_policy::CompiledNetwork;
use agentkernel_types::{NetworkMode, NetworkPolicy};

const SERVER: &str = "93.184.215.14";
const RESOLVER: &str = "9.9.9.9";
const BYTES: u64 = 1 << 28;
const ROUNDS: usize = 9;
/// Ports for the many short connections. With one alone, most of what is measured is how the kernel searches for a local
/// port among those of connections that are over.
const MANY: std::ops::Range<u16> = 100..164;
const TASKS: [&str; 5] = ["up", "down", "small", "dns", "latency"];

type Make = fn() -> Option<Contestant>;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some("client") => client(&arguments[2], &arguments[3]),
        Some("device") => device(),
        _ => compare(),
    }
}

fn compare() {
    // SAFETY: before any thread was started: the whole process is in the new namespace.
    if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
        return println!("not compared: no network namespace can be made here");
    }
    run("ip link set lo up");
    for address in [SERVER, RESOLVER] {
        run(&format!("ip address add {address}/32 dev lo"));
    }
    // pasta copies the settings of an interface with a default route.
    run("ip link add outside type veth peer name beyond");
    run("ip address add 10.77.0.2/24 dev outside");
    run("ip link set outside up");
    run("ip link set beyond up");
    run("ip route add default via 10.77.0.1 dev outside");
    servers();
    let without = std::env::var("WITHOUT").unwrap_or_default();
    let make: [(&str, Make); 3] = [
        ("plane", Contestant::plane),
        ("pasta", Contestant::pasta),
        ("slirp", Contestant::slirp),
    ];
    let contestants = make
        .into_iter()
        .filter(|(name, _)| !without.contains(name))
        .map(|(_, make)| make());
    let contestants: Vec<Contestant> = contestants.flatten().collect();
    let only = std::env::var("TASKS").unwrap_or_default();
    for task in TASKS
        .into_iter()
        .filter(|task| only.is_empty() || only.contains(task))
    {
        let mut best = vec![0f64; contestants.len()];
        for _ in 0..ROUNDS {
            for (place, contestant) in contestants.iter().enumerate() {
                best[place] = best[place].max(contestant.measure(task));
            }
        }
        let rival = best[1..].iter().copied().fold(0.0, f64::max);
        let texts = contestants
            .iter()
            .zip(&best)
            .map(|(who, value)| format!("{} {value:.1}", who.name));
        let texts: Vec<String> = texts.collect();
        println!(
            "{task:8} {}  ratio to the better rival {:.2}",
            texts.join("  "),
            best[0] / rival
        );
    }
    for contestant in &contestants {
        println!("{:8} {}", contestant.name, contestant.memory());
    }
}

struct Contestant {
    name: &'static str,
    resolver: String,
    /// A process in its namespace.
    inside: u32,
    holder: Option<Child>,
    helper: Option<Child>,
    _egress: Option<Egress>,
}

impl Drop for Contestant {
    fn drop(&mut self) {
        if let Some(helper) = &self.helper {
            // Its own children are in its group.
            // SAFETY: a group that this program made.
            unsafe { libc::kill(-(helper.id() as i32), libc::SIGKILL) };
        }
        for child in self.helper.iter_mut().chain(&mut self.holder) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Contestant {
    fn plane() -> Option<Self> {
        let (here, there) = UnixStream::pair().unwrap();
        let holder = Command::new("unshare")
            .arg("-n")
            .arg(std::env::current_exe().unwrap())
            .arg("device")
            .stdin(std::os::fd::OwnedFd::from(there))
            .spawn()
            .unwrap();
        let descriptor = tun::take_over(here.as_fd()).unwrap();
        let addresses = Addresses::default();
        let prepared = tun::prepare(&addresses, attachment());
        let mode = std::env::var("MODE").map_or(NetworkMode::Public, |mode| mode.parse().unwrap());
        let mut policy = NetworkPolicy::of(mode);
        policy.allow = vec![SERVER.parse().unwrap(), "*.test".parse().unwrap()];
        let options = Options {
            addresses,
            policy: Arc::new(CompiledNetwork::new(&policy).unwrap()),
            upstreams: Upstreams::Given(vec![SocketAddr::new(RESOLVER.parse().unwrap(), 53)]),
            dial: Arc::new(HostSockets),
            events: tokio::sync::mpsc::channel(64).0,
        };
        let before = resident();
        let egress = start(prepared.device(descriptor), options).unwrap();
        std::thread::sleep(Duration::from_millis(200));
        println!("plane    {} KiB more resident when idle", resident() - before);
        Some(Self {
            name: "plane",
            resolver: "192.0.0.1".into(),
            inside: holder.id(),
            holder: Some(holder),
            helper: None,
            _egress: Some(egress),
        })
    }

    fn pasta() -> Option<Self> {
        let node = std::env::temp_dir().join(format!("compare-{}", std::process::id()));
        // It does not work as root, and others may not open the device node everywhere: it gets one of its own.
        let script = format!(
            "mount --make-rprivate / && mknod {node} c 10 200 && chmod 666 {node} && mount --bind {node} /dev/net/tun \
             && exec setpriv --reuid 1000 --regid 1000 --clear-groups \
             pasta -f -q --config-net -I eth0 -t none -u none -T none -U none -- sleep 600",
            node = node.display(),
        );
        let helper = Command::new("unshare")
            .args(["-m", "sh", "-c", &script])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .ok()?;
        std::thread::sleep(Duration::from_millis(500));
        let _ = std::fs::remove_file(&node);
        let children = format!("/proc/{0}/task/{0}/children", helper.id());
        let inside = std::fs::read_to_string(children)
            .ok()?
            .split_whitespace()
            .next()?
            .parse()
            .ok()?;
        let contestant = Self {
            name: "pasta",
            resolver: RESOLVER.into(),
            inside,
            holder: None,
            helper: Some(helper),
            _egress: None,
        };
        contestant.wait_until_usable()
    }

    fn slirp() -> Option<Self> {
        let mut holder = hold();
        let helper = Command::new("slirp4netns")
            .args(["--configure", "--mtu=65520", &holder.id().to_string(), "tap0"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn();
        let Ok(helper) = helper else {
            let _ = holder.kill();
            let _ = holder.wait();
            return None;
        };
        let contestant = Self {
            name: "slirp",
            resolver: RESOLVER.into(),
            inside: holder.id(),
            holder: Some(holder),
            helper: Some(helper),
            _egress: None,
        };
        contestant.wait_until_usable()
    }

    fn wait_until_usable(self) -> Option<Self> {
        for _ in 0..50 {
            if self.client("probe").is_some() {
                return Some(self);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        println!("{} cannot be used here", self.name);
        None
    }

    fn client(&self, task: &str) -> Option<f64> {
        let output = Command::new("timeout")
            .args(["30", "nsenter"])
            .args(["-t", &self.inside.to_string(), "-n"])
            .args(if self.name == "pasta" {
                &["-U", "--preserve-credentials"][..]
            } else {
                &[]
            })
            .arg(std::env::current_exe().unwrap())
            .args(["client", task, &self.resolver])
            .stderr(Stdio::null())
            .output()
            .ok()?;
        String::from_utf8(output.stdout).ok()?.trim().parse().ok()
    }

    fn measure(&self, task: &str) -> f64 {
        self.client(task).unwrap_or(0.0)
    }

    fn memory(&self) -> String {
        match &self.helper {
            Some(helper) => format!("{} KiB resident", resident_of(helper.id())),
            None => format!(
                "{} KiB resident, with the servers of this program",
                resident_of(std::process::id())
            ),
        }
    }
}

/// `ATTACHMENT=veth` measures the pair; what this host offers otherwise.
fn attachment() -> tun::Attachment {
    match std::env::var("ATTACHMENT").as_deref() {
        Ok("veth") => tun::Attachment::Veth,
        _ => tun::Attachment::of_this_host(),
    }
}

/// A process that does nothing in a network namespace of its own.
fn hold() -> Child {
    let holder = Command::new("unshare")
        .args(["-n", "sh", "-c", "ip link set lo up; exec sleep 600"])
        .spawn();
    std::thread::sleep(Duration::from_millis(200));
    holder.unwrap()
}

/// In the namespace of the sandbox: makes the device, hands it over and stays.
fn device() {
    let device = tun::configure(&tun::prepare(&Addresses::default(), attachment())).unwrap();
    tun::hand_over(std::io::stdin().as_fd(), &device).unwrap();
    drop(device);
    std::thread::sleep(Duration::from_secs(600));
}

fn servers() {
    serve(1, |mut stream| {
        let mut buffer = vec![0; 1 << 20];
        while let Ok(1..) = stream.read(&mut buffer) {}
        let _ = stream.write_all(b"k");
    });
    serve(2, |mut stream| {
        let buffer = vec![7; 1 << 20];
        let mut left = BYTES;
        while left > 0 && stream.write_all(&buffer).is_ok() {
            left -= buffer.len() as u64;
        }
    });
    serve(3, answer);
    for port in MANY {
        serve(port, answer);
    }
    let socket = UdpSocket::bind((RESOLVER, 53)).unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 2048];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(&name_answer(&buffer[..length]), from);
        }
    });
}

fn serve(port: u16, work: fn(TcpStream)) {
    let listener = TcpListener::bind((SERVER, port)).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = stream.set_nodelay(true);
            std::thread::Builder::new()
                .stack_size(64 * 1024)
                .spawn(move || work(stream))
                .unwrap();
        }
    });
}

/// A small answer to each small request.
fn answer(mut stream: TcpStream) {
    let mut buffer = [0; 4096];
    while let Ok(1..) = stream.read(&mut buffer) {
        if stream.write_all(&[7; 1000]).is_err() {
            return;
        }
    }
}

/// One address for every name, kept for no time.
fn name_answer(query: &[u8]) -> Vec<u8> {
    let mut end = 12;
    while query[end] != 0 {
        end += usize::from(query[end]) + 1;
    }
    let mut answer = query[..end + 5].to_vec();
    answer[2] = 0x81;
    answer[3] = 0x80;
    answer[6..12].copy_from_slice(&[0, 1, 0, 0, 0, 0]);
    answer.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 93, 184, 215, 14]);
    answer
}

fn client(task: &str, resolver: &str) {
    let value = match task {
        "probe" => f64::from(u8::from(connect(3).is_ok())),
        "up" => up(),
        "down" => down(),
        "small" => small(),
        "dns" => names(resolver),
        "latency" => latency(),
        other => panic!("no task {other}"),
    };
    if value > 0.0 {
        println!("{value}");
    }
}

fn connect(port: u16) -> std::io::Result<TcpStream> {
    let to = SocketAddr::new(SERVER.parse::<IpAddr>().unwrap(), port);
    let stream = TcpStream::connect_timeout(&to, Duration::from_secs(5))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Megabytes a second.
fn rate(begin: Instant) -> f64 {
    BYTES as f64 / 1e6 / begin.elapsed().as_secs_f64()
}

fn up() -> f64 {
    let mut stream = connect(1).unwrap();
    let buffer = vec![7; 1 << 20];
    let begin = Instant::now();
    let mut left = BYTES;
    while left > 0 {
        stream.write_all(&buffer).unwrap();
        left -= buffer.len() as u64;
    }
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    stream.read_exact(&mut [0]).unwrap();
    rate(begin)
}

fn down() -> f64 {
    let mut stream = connect(2).unwrap();
    let mut buffer = vec![0; 1 << 20];
    let begin = Instant::now();
    while let Ok(1..) = stream.read(&mut buffer) {}
    rate(begin)
}

/// Connections a second, each with one small request, a hundred at a time.
fn small() -> f64 {
    const EACH: usize = 20;
    let begin = Instant::now();
    let threads: Vec<_> = (0..100)
        .map(|number| {
            std::thread::spawn(move || {
                for round in 0..EACH as u16 {
                    let port = MANY.start + (number * 7 + round) % MANY.len() as u16;
                    let mut stream = connect(port).unwrap();
                    stream.write_all(b"GET").unwrap();
                    stream.read_exact(&mut [0; 1000]).unwrap();
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    100.0 * EACH as f64 / begin.elapsed().as_secs_f64()
}

/// Requests a second on one connection, one after the other.
fn latency() -> f64 {
    let mut stream = connect(3).unwrap();
    let begin = Instant::now();
    for _ in 0..5000 {
        stream.write_all(b"GET").unwrap();
        stream.read_exact(&mut [0; 1000]).unwrap();
    }
    5000.0 / begin.elapsed().as_secs_f64()
}

/// Lookups a second, each of another name, one after the other.
fn names(resolver: &str) -> f64 {
    const COUNT: usize = 500;
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.connect((resolver, 53)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let begin = Instant::now();
    for number in 0..COUNT {
        let mut query = vec![0, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        let label = format!("n{number}x{}", std::process::id());
        query.push(label.len() as u8);
        query.extend_from_slice(label.as_bytes());
        query.extend_from_slice(b"\x04test\0\0\x01\0\x01");
        socket.send(&query).unwrap();
        socket.recv(&mut [0; 512]).unwrap();
    }
    COUNT as f64 / begin.elapsed().as_secs_f64()
}

fn run(command: &str) {
    let mut words = command.split(' ');
    let status = Command::new(words.next().unwrap()).args(words).status().unwrap();
    assert!(status.success(), "{command}");
}

fn resident() -> u64 {
    resident_of(std::process::id())
}

/// KiB.
fn resident_of(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok())
        .unwrap_or(0)
}
