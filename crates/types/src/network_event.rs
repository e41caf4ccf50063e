//! What happened on a sandbox's way out, as it is logged: one line of JSON each.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::{DomainName, Protocol, PublishedPort, TimedPolicy};

/// One line of the log.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct NetworkEvent {
    /// Milliseconds since 1970, UTC.
    pub at_ms: u64,
    #[serde(flatten)]
    pub kind: NetworkEventKind,
}

#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum NetworkEventKind {
    Opened(Flow),
    /// The same flow at its end.
    Closed {
        #[serde(flatten)]
        flow: Flow,
        /// Bytes that left the sandbox, and that came in.
        sent: u64,
        received: u64,
        lasted_ms: u64,
    },
    Denied(Denial),
    /// A policy is in force: the first one, or another from now on.
    Policy {
        policy: TimedPolicy,
    },
    /// A port of the host leads into the sandbox.
    Published {
        port: PublishedPort,
        address: SocketAddr,
    },
    Unpublished {
        address: SocketAddr,
        protocol: Protocol,
    },
    /// So many events found no room since the last of these.
    Lost {
        events: u64,
    },
}

/// A connection, or datagrams between two ends.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Flow {
    /// Counts from 1 in each start of a sandbox; the same in both events of a flow.
    pub flow: u64,
    pub direction: Direction,
    pub protocol: Protocol,
    /// In the sandbox.
    pub inside: SocketAddr,
    /// The destination of a flow that leaves, the source of one that comes in.
    pub outside: SocketAddr,
    /// The names that were answered with that address in this sandbox.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<DomainName>,
    /// The rule that allowed it.
    pub rule: String,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    Leaving,
    /// To a published port.
    Entering,
}

/// Something that the policy refused.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Denial {
    pub attempt: Attempt,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<DomainName>,
    /// The port is 0 for a name that was looked up and for ICMP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<SocketAddr>,
    pub protocol: Protocol,
    /// Of an HTTP request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The rule or the wall that decided, as it is written.
    pub rule: String,
    /// One sentence: lower case, no full stop.
    pub reason: String,
    /// The command that would allow it; none where nothing can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// How often the same was refused since it was last told, this time included.
    pub times: u64,
}

/// At which of its moments an attempt was refused.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Attempt {
    /// A name was looked up.
    Lookup,
    /// A name was answered with an address that it must not have.
    Answer,
    /// A connection or a datagram was about to leave.
    Connect,
    /// The bytes of a connection claimed another name, or none.
    Claim,
    /// It existed when the policy changed.
    Existing,
}

impl Denial {
    /// What was to be reached, for people: `example.org:443`, `192.0.2.1:53/udp`, `example.org`.
    pub fn target(&self) -> String {
        let port = self.to.map(|to| to.port()).filter(|port| *port != 0);
        let place = match (&self.name, self.to) {
            (Some(name), _) => name.to_string(),
            (None, Some(to)) if to.is_ipv6() && port.is_some() => format!("[{}]", to.ip()),
            (None, Some(to)) => to.ip().to_string(),
            (None, None) => "?".to_owned(),
        };
        let port = port.map_or_else(String::new, |port| format!(":{port}"));
        match (self.protocol, self.attempt) {
            (_, Attempt::Lookup | Attempt::Answer) | (Protocol::Tcp, _) => format!("{place}{port}"),
            (protocol, _) => format!("{place}{port}/{protocol}"),
        }
    }
}
