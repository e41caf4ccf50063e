//! A name server with a few names, and the question that a program of the sandbox would ask.

use std::{
    collections::HashMap,
    io::{Read, Write},
    net::{IpAddr, TcpListener, UdpSocket},
    sync::{Arc, Mutex},
    time::Duration,
};

use domain::{
    base::{
        Message, MessageBuilder, Name, Rtype,
        iana::{Class, Rcode},
    },
    rdata::{A, Aaaa, AllRecordData, Cname, Txt},
};

type Table = Arc<Mutex<HashMap<String, Vec<IpAddr>>>>;

pub struct NameServer {
    table: Table,
    /// The names that were asked for.
    pub asked: Arc<Mutex<Vec<String>>>,
}

impl NameServer {
    /// In the host's namespace.
    pub fn start() -> Self {
        let server = Self {
            table: Table::default(),
            asked: Arc::default(),
        };
        let socket = UdpSocket::bind((super::RESOLVER, 53)).unwrap();
        let listener = TcpListener::bind((super::RESOLVER, 53)).unwrap();
        let (table, asked) = (Arc::clone(&server.table), Arc::clone(&server.asked));
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                let answer = answer(&table, &asked, &buffer[..length], 1232);
                let _ = socket.send_to(&answer, from);
            }
        });
        let (table, asked) = (Arc::clone(&server.table), Arc::clone(&server.asked));
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut length = [0; 2];
                stream.read_exact(&mut length).unwrap();
                let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
                stream.read_exact(&mut query).unwrap();
                let answer = answer(&table, &asked, &query, 65_535);
                stream.write_all(&(answer.len() as u16).to_be_bytes()).unwrap();
                stream.write_all(&answer).unwrap();
            }
        });
        server
    }

    pub fn set(&self, name: &str, addresses: &[&str]) {
        let addresses = addresses.iter().map(|text| text.parse().unwrap()).collect();
        self.table.lock().unwrap().insert(name.to_owned(), addresses);
    }
}

fn answer(table: &Table, asked: &Mutex<Vec<String>>, query: &[u8], room: usize) -> Vec<u8> {
    let message = Message::from_octets(query).unwrap();
    let question = message.sole_question().unwrap();
    let name = question.qname().to_string().to_ascii_lowercase();
    asked.lock().unwrap().push(name.clone());
    let found = table.lock().unwrap().get(&name).cloned();
    let code = if found.is_some() {
        Rcode::NOERROR
    } else {
        Rcode::NXDOMAIN
    };
    let mut builder = MessageBuilder::new_vec();
    builder.set_push_limit(room);
    let mut answer = builder.start_answer(&message, code).unwrap();
    let mut owner: Name<Vec<u8>> = name.parse().unwrap();
    if name.starts_with("alias.") {
        let target: Name<Vec<u8>> = "elsewhere.test".parse().unwrap();
        answer
            .push((&owner, Class::IN, 60, Cname::new(target.clone())))
            .unwrap();
        owner = target;
    }
    if question.qtype() == Rtype::TXT {
        let text = Txt::<Vec<u8>>::build_from_slice(b"secret text").unwrap();
        answer.push((&owner, Class::IN, 60, text)).unwrap();
    }
    for address in found.unwrap_or_default() {
        let pushed = match (question.qtype(), address) {
            (Rtype::A, IpAddr::V4(four)) => answer.push((&owner, Class::IN, 60, A::new(four))),
            (Rtype::AAAA, IpAddr::V6(six)) => answer.push((&owner, Class::IN, 60, Aaaa::new(six))),
            _ => Ok(()),
        };
        if pushed.is_err() {
            answer.rewind();
            answer.header_mut().set_tc(true);
            break;
        }
    }
    answer.finish()
}

/// The question for a type, as a program sends it.
pub fn question(name: &str, rtype: Rtype) -> Vec<u8> {
    let mut builder = MessageBuilder::new_vec();
    builder.header_mut().set_id(7);
    builder.header_mut().set_rd(true);
    let mut question = builder.question();
    question
        .push((name.parse::<Name<Vec<u8>>>().unwrap(), rtype, Class::IN))
        .unwrap();
    question.finish()
}

/// Sends the message to the resolver of the sandbox, again if it is too busy, as programs do.
pub fn exchange(message: &[u8]) -> Vec<u8> {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    for _ in 0..15 {
        socket.send_to(message, "192.0.0.1:53").unwrap();
        let mut buffer = [0; 4096];
        if let Ok(length) = socket.recv(&mut buffer) {
            return buffer[..length].to_vec();
        }
    }
    panic!("the resolver does not answer")
}

/// The addresses of a name, of both versions.
pub fn ask(name: &str) -> Result<Vec<IpAddr>, String> {
    let mut addresses = Vec::new();
    for rtype in [Rtype::A, Rtype::AAAA] {
        let answer = Message::from_octets(exchange(&question(name, rtype))).unwrap();
        if answer.header().rcode() != Rcode::NOERROR {
            return Err(answer.header().rcode().to_string());
        }
        for record in answer.answer().unwrap().limit_to::<AllRecordData<_, _>>() {
            match record.unwrap().data() {
                AllRecordData::A(four) => addresses.push(four.addr().into()),
                AllRecordData::Aaaa(six) => addresses.push(six.addr().into()),
                _ => {}
            }
        }
    }
    Ok(addresses)
}
