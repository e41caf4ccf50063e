//! Asks the host's name servers: a new number for each question, ports that change, TCP where an answer was cut.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::{Duration, Instant, SystemTime},
};

use domain::base::{
    Message, MessageBuilder,
    iana::{Class, Rcode},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::{PORT, question::Question, sockets::Sockets};
use crate::{options::Upstreams, random};

/// How long one server is waited for, and how often all are asked.
const PATIENCE: Duration = Duration::from_secs(2);
const ROUNDS: usize = 2;
/// As many as resolv.conf may have.
const MOST_SERVERS: usize = 3;
/// How often the file is looked at.
const LOOK: Duration = Duration::from_secs(2);
/// What is asked for, so that no answer comes in fragments.
const PAYLOAD: u16 = 1232;

pub(super) struct Servers {
    upstreams: Upstreams,
    known: Vec<SocketAddr>,
    looked: Option<Instant>,
    changed: Option<SystemTime>,
}

impl Servers {
    pub fn new(upstreams: Upstreams) -> Self {
        Self {
            upstreams,
            known: Vec::new(),
            looked: None,
            changed: None,
        }
    }

    /// The servers of now.
    pub fn now(&mut self) -> Vec<SocketAddr> {
        match &self.upstreams {
            Upstreams::Given(servers) => servers.clone(),
            Upstreams::ResolvConf(path) => {
                let path = path.clone();
                if self.looked.is_none_or(|looked| looked.elapsed() >= LOOK) {
                    self.looked = Some(Instant::now());
                    self.look(path);
                }
                self.known.clone()
            }
        }
    }

    fn look(&mut self, path: PathBuf) {
        let changed = std::fs::metadata(&path)
            .and_then(|metadata| metadata.modified())
            .ok();
        if changed.is_some() && changed == self.changed {
            return;
        }
        self.changed = changed;
        let text = std::fs::read_to_string(path).unwrap_or_default();
        self.known = read_servers(&text);
    }
}

/// The `nameserver` lines. Without any, the server of this machine, as resolv.conf(5) has it.
fn read_servers(text: &str) -> Vec<SocketAddr> {
    let words = text
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    let addresses = words.filter_map(|words| match words.as_slice() {
        ["nameserver", address, ..] => address.parse::<IpAddr>().ok(),
        _ => None,
    });
    let servers: Vec<_> = addresses
        .take(MOST_SERVERS)
        .map(|address| SocketAddr::new(address, PORT))
        .collect();
    if servers.is_empty() {
        vec![SocketAddr::new(Ipv4Addr::LOCALHOST.into(), PORT)]
    } else {
        servers
    }
}

/// The first answer that says whether the name exists.
pub(super) async fn ask(sockets: &Sockets, servers: &[SocketAddr], question: &Question) -> Option<Vec<u8>> {
    for _ in 0..ROUNDS {
        for server in servers {
            if let Ok(Ok(answer)) = timeout(PATIENCE, ask_one(sockets, *server, question)).await {
                return Some(answer);
            }
        }
    }
    None
}

async fn ask_one(sockets: &Sockets, server: SocketAddr, question: &Question) -> io::Result<Vec<u8>> {
    let number = random::number().to_be_bytes();
    let number = u16::from_be_bytes([number[0], number[1]]);
    let query = write(question, number).ok_or(io::ErrorKind::InvalidInput)?;
    let answer = by_datagram(sockets, server, &query).await?;
    let answer = match Message::from_octets(answer) {
        Ok(answer) if answer.header().tc() => by_stream(server, &query).await?,
        Ok(answer) => answer.into_octets(),
        Err(_) => return Err(io::ErrorKind::InvalidData.into()),
    };
    let code = Message::from_slice(&answer)
        .map_err(|_| io::ErrorKind::InvalidData)?
        .header()
        .rcode();
    // Another server may know more than one that refuses or fails.
    if code == Rcode::NOERROR || code == Rcode::NXDOMAIN {
        Ok(answer)
    } else {
        Err(io::ErrorKind::NotFound.into())
    }
}

pub(super) fn write(question: &Question, number: u16) -> Option<Vec<u8>> {
    let mut builder = MessageBuilder::new_vec();
    builder.header_mut().set_id(number);
    builder.header_mut().set_rd(true);
    let mut questions = builder.question();
    questions
        .push((question.wire_name()?, question.rtype, Class::IN))
        .ok()?;
    let mut additional = questions.additional();
    // No option of the sandbox's is passed on: no cookie, no client subnet.
    additional
        .opt(|option| {
            option.set_udp_payload_size(PAYLOAD);
            Ok(())
        })
        .ok()?;
    Some(additional.finish())
}

async fn by_datagram(sockets: &Sockets, server: SocketAddr, query: &[u8]) -> io::Result<Vec<u8>> {
    let socket = sockets.take(server).await?;
    socket.socket.send(query).await?;
    let mut buffer = [0u8; 4096];
    loop {
        let length = socket.socket.recv(&mut buffer).await?;
        // A wrong answer is a guess of somebody else, or a late one: the right one may still come.
        if answers(&buffer[..length], query) {
            sockets.bring_back(socket);
            return Ok(buffer[..length].to_vec());
        }
    }
}

async fn by_stream(server: SocketAddr, query: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(query.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut framed = length.to_be_bytes().to_vec();
    framed.extend_from_slice(query);
    stream.write_all(&framed).await?;
    let length = stream.read_u16().await?;
    let mut answer = vec![0; usize::from(length)];
    stream.read_exact(&mut answer).await?;
    if answers(&answer, query) {
        Ok(answer)
    } else {
        Err(io::ErrorKind::InvalidData.into())
    }
}

fn answers(answer: &[u8], query: &[u8]) -> bool {
    match (Message::from_slice(answer), Message::from_slice(query)) {
        (Ok(answer), Ok(query)) => answer.is_answer(query),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_three_servers_of_the_file_are_asked() {
        let text = "# comment\nsearch example.org\nnameserver 192.0.2.1\nnameserver ::1\noptions edns0\n\
            nameserver nonsense\nnameserver 192.0.2.2\nnameserver 192.0.2.3\n";
        let wanted: Vec<SocketAddr> = ["192.0.2.1:53", "[::1]:53", "192.0.2.2:53"]
            .iter()
            .map(|text| text.parse().unwrap())
            .collect();
        assert_eq!(read_servers(text), wanted);
    }

    #[test]
    fn without_a_server_this_machine_is_asked() {
        assert_eq!(
            read_servers("search example.org\n"),
            ["127.0.0.1:53".parse().unwrap()]
        );
    }
}
