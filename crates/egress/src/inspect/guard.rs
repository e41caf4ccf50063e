//! One connection from its first byte on: recognised, judged, and followed.

use std::{net::SocketAddr, sync::Arc};

use agentkernel_policy::{CompiledNetwork, Verdict};
use agentkernel_types::{DomainName, NetworkMode};

use super::{
    ClientHello, ClientHelloReader, Host, Malformed, RequestHead, Seen, ServerName, http_body::BodyReader,
    read_head, recognise,
};

/// Follows what a sandbox sends on one TCP connection. Bytes leave only after they have been judged.
pub struct FlowGuard {
    policy: Arc<CompiledNetwork>,
    pinned: Vec<DomainName>,
    to: SocketAddr,
    state: State,
    /// What came and is not judged yet.
    held: Vec<u8>,
    claim: Claim,
}

/// What the connection has said about itself so far.
enum Claim {
    Nothing,
    /// It speaks what has no names, where that is usual.
    NotNeeded,
    NoName,
    Name(DomainName),
}

/// Why a connection is cut. Nothing of it may be sent any more.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    pub verdict: Verdict,
    /// What the bytes claimed, as far as it could be read.
    pub name: Option<DomainName>,
    /// The method of an HTTP request.
    pub method: Option<String>,
}

enum State {
    Unknown,
    Hello(ClientHelloReader),
    /// After the first ClientHello: a second one (RFC 8446, section 4.1.2) must say the same.
    Tls(ClientHello),
    Head,
    Body(BodyReader),
    Transparent,
    Cut(Box<Refusal>),
}

/// Where only TLS and HTTP are spoken: other bytes there would hide the name.
const NAMED_PORTS: [u16; 4] = [80, 443, 8080, 8443];

impl FlowGuard {
    /// Most bytes that are held back before a decision: a head or a ClientHello is never longer.
    pub const MOST_HELD: usize = 64 * 1024;

    pub fn new(policy: Arc<CompiledNetwork>, pinned: Vec<DomainName>, to: SocketAddr) -> Self {
        let state = match policy.inspects(&pinned, to) {
            true => State::Unknown,
            false => State::Transparent,
        };
        Self {
            policy,
            pinned,
            to,
            state,
            held: Vec::new(),
            claim: Claim::Nothing,
        }
    }

    /// Judges with another policy from now on, and again what was said before. `silent`: not a byte has left yet.
    pub fn judge_by(&mut self, policy: Arc<CompiledNetwork>, silent: bool) -> Result<(), Refusal> {
        let inspects = policy.inspects(&self.pinned, self.to);
        self.policy = policy;
        if !inspects || matches!(self.state, State::Cut(_)) {
            return Ok(());
        }
        let result = match &self.claim {
            Claim::Name(name) => {
                let name = name.clone();
                let verdict = self.policy.authority(&name, &self.pinned, self.to);
                self.require(verdict, Some(name), None)
            }
            Claim::NoName => {
                let verdict = self.policy.anonymous(&self.pinned, self.to);
                self.require(verdict, None, None)
            }
            Claim::NotNeeded => Ok(()),
            Claim::Nothing if !self.is_transparent() => Ok(()),
            Claim::Nothing if silent => {
                self.state = State::Unknown;
                Ok(())
            }
            Claim::Nothing => {
                Err(self.malformed("the connection began when nobody looked at what it is for"))
            }
        };
        self.remember(result)
    }

    /// Nothing more of this connection is looked at: the relay may pass bytes without asking.
    pub fn is_transparent(&self) -> bool {
        matches!(self.state, State::Transparent)
    }

    /// Takes what the sandbox sent and appends to `forward` what may go out now. Takes all of `bytes`. After a
    /// refusal every further call gives the same one.
    pub fn push(&mut self, bytes: &[u8], forward: &mut Vec<u8>) -> Result<(), Refusal> {
        if self.is_transparent() {
            forward.extend_from_slice(bytes);
            return Ok(());
        }
        let mut fresh = bytes.len();
        self.held.extend_from_slice(bytes);
        let result = loop {
            match self.step(fresh, forward) {
                // The next state has seen nothing yet of what is left.
                Ok(true) => fresh = self.held.len(),
                Ok(false) if self.held.len() > Self::MOST_HELD => {
                    break Err(self.malformed("the beginning of the connection is too long to be judged"));
                }
                Ok(false) => break Ok(()),
                Err(refusal) => break Err(refusal),
            }
        };
        self.remember(result)
    }

    /// The sandbox sends no more: what was held back is decided with what is there.
    pub fn finish(&mut self, forward: &mut Vec<u8>) -> Result<(), Refusal> {
        let result = match &self.state {
            State::Cut(refusal) => Err((**refusal).clone()),
            _ if self.held.is_empty() => Ok(()),
            State::Unknown => self.other(forward).map(|_| ()),
            _ => Err(self.malformed("the connection ends in the middle of what it says about itself")),
        };
        self.remember(result)
    }

    fn remember(&mut self, result: Result<(), Refusal>) -> Result<(), Refusal> {
        if let Err(refusal) = &result {
            self.held = Vec::new();
            self.state = State::Cut(Box::new(refusal.clone()));
        }
        result
    }

    /// Goes one state further. `Ok(false)`: more bytes are needed. `fresh` counts those at the end of `held` that
    /// no reader has seen.
    fn step(&mut self, fresh: usize, forward: &mut Vec<u8>) -> Result<bool, Refusal> {
        let fresh_from = self.held.len().saturating_sub(fresh);
        match &mut self.state {
            State::Cut(refusal) => return Err((**refusal).clone()),
            State::Transparent => {
                forward.append(&mut self.held);
                return Ok(false);
            }
            State::Unknown => match recognise(&self.held) {
                Seen::NeedMore => return Ok(false),
                Seen::Tls => self.state = State::Hello(ClientHelloReader::default()),
                Seen::Http => self.state = State::Head,
                Seen::Other => return self.other(forward),
            },
            State::Hello(reader) => match reader.push(&self.held[fresh_from..]) {
                Err(why) => return Err(self.malformed(why)),
                Ok(None) => return Ok(false),
                Ok(Some(hello)) => {
                    let whole = self.held.len() - reader.unread();
                    self.judge_hello(&hello)?;
                    forward.extend(self.held.drain(..whole));
                    self.state = State::Tls(hello);
                }
            },
            State::Tls(_) => return self.follow_tls(forward),
            State::Head => return self.follow_head(fresh_from, forward),
            State::Body(reader) => {
                let pushed = reader.push(&self.held);
                let (now, ended) = pushed.map_err(|why| self.malformed(why))?;
                forward.extend(self.held.drain(..now));
                if !ended {
                    return Ok(false);
                }
                self.state = State::Head;
            }
        }
        Ok(!self.held.is_empty())
    }

    fn other(&mut self, forward: &mut Vec<u8>) -> Result<bool, Refusal> {
        if NAMED_PORTS.contains(&self.to.port()) {
            let verdict = self.policy.anonymous(&self.pinned, self.to);
            self.require(verdict, None, None)?;
        } else {
            self.claim = Claim::NotNeeded;
        }
        self.state = State::Transparent;
        forward.append(&mut self.held);
        Ok(false)
    }

    fn judge_hello(&mut self, hello: &ClientHello) -> Result<(), Refusal> {
        let (verdict, name) = match &hello.server_name {
            Some(ServerName::Name(name)) => (
                self.policy.authority(name, &self.pinned, self.to),
                Some(name.clone()),
            ),
            Some(ServerName::Address(address)) if *address != self.to.ip() => {
                return Err(self.malformed("the SNI of the TLS ClientHello is another address"));
            }
            Some(ServerName::Address(_)) | None => (self.policy.anonymous(&self.pinned, self.to), None),
        };
        self.require(verdict, name, None)
    }

    /// Record by record until the handshake is encrypted.
    fn follow_tls(&mut self, forward: &mut Vec<u8>) -> Result<bool, Refusal> {
        let State::Tls(first) = &self.state else {
            return Ok(false);
        };
        let Some(&[kind, _, _, high, low]) = self.held.first_chunk::<5>() else {
            return Ok(false);
        };
        let length = 5 + usize::from(u16::from_be_bytes([high, low]));
        match kind {
            // A change of cipher or an alert: the next record decides.
            20 | 21 if length <= 5 + 64 => {
                if self.held.len() < length {
                    return Ok(false);
                }
                forward.extend(self.held.drain(..length));
                return Ok(!self.held.is_empty());
            }
            22 => {
                let Some(start) = self.held.get(5..7) else {
                    return Ok(false);
                };
                // An encrypted message begins like this once in 65536 times.
                if start == [1, 0] {
                    let mut reader = ClientHelloReader::default();
                    let again = reader.push(&self.held).map_err(|why| self.malformed(why))?;
                    let Some(again) = again else {
                        return Ok(false);
                    };
                    if again.server_name != first.server_name {
                        return Err(self.malformed("the second TLS ClientHello names another server"));
                    }
                }
            }
            _ => {}
        }
        self.state = State::Transparent;
        forward.append(&mut self.held);
        Ok(false)
    }

    fn follow_head(&mut self, fresh_from: usize, forward: &mut Vec<u8>) -> Result<bool, Refusal> {
        if matches!(self.held.first(), Some(b'\r' | b'\n' | b' ' | b'\t')) {
            return Err(self.malformed("empty space stands before the HTTP request"));
        }
        // What was searched before need not be searched again, but for a line end that was cut in two.
        let from = fresh_from.saturating_sub(3);
        let end = self.held[from..].windows(4).position(|four| four == b"\r\n\r\n");
        let Some(end) = end.map(|at| from + at + 4) else {
            // A server may end the head here already.
            if self.held[from..].windows(2).any(|two| two == b"\n\n") {
                return Err(self.malformed("a line of the HTTP request does not end with CR LF"));
            }
            return Ok(false);
        };
        let head = read_head(&self.held[..end]).map_err(|why| self.malformed(why))?;
        self.judge_request(&head)?;
        forward.extend(self.held.drain(..end));
        self.state = match (head.upgrade, head.body) {
            (true, _) => State::Transparent,
            (false, super::Body::Length(0)) => State::Head,
            (false, body) => State::Body(BodyReader::new(body)),
        };
        if self.is_transparent() {
            forward.append(&mut self.held);
        }
        Ok(!self.held.is_empty())
    }

    fn judge_request(&mut self, head: &RequestHead) -> Result<(), Refusal> {
        let method = Some(head.method.clone());
        if head.upgrade && self.policy.mode() == NetworkMode::Allowlist {
            return Err(self.malformed("an Upgrade leaves HTTP, where requests can be judged"));
        }
        let Some(authority) = &head.authority else {
            let verdict = self.policy.anonymous(&self.pinned, self.to);
            return self.require(verdict, None, method);
        };
        // The scheme here is http, so no port means 80; clients that add none on another port exist.
        if authority.port.is_some_and(|port| port != self.to.port()) {
            return Err(self.malformed("the Host of the HTTP request has another port than the connection"));
        }
        match &authority.host {
            Host::Name(name) => {
                let verdict = self.policy.authority(name, &self.pinned, self.to);
                self.require(verdict, Some(name.clone()), method)
            }
            Host::Address(address) if *address != self.to.ip() => {
                Err(self.malformed("the Host of the HTTP request is another address"))
            }
            Host::Address(_) => {
                let verdict = self.policy.anonymous(&self.pinned, self.to);
                self.require(verdict, None, method)
            }
        }
    }

    fn require(
        &mut self,
        verdict: Verdict,
        name: Option<DomainName>,
        method: Option<String>,
    ) -> Result<(), Refusal> {
        self.claim = match &name {
            Some(name) => Claim::Name(name.clone()),
            None => Claim::NoName,
        };
        match verdict.allowed {
            true => Ok(()),
            false => Err(Refusal {
                verdict,
                name,
                method,
            }),
        }
    }

    fn malformed(&self, why: Malformed) -> Refusal {
        Refusal {
            verdict: Verdict::refused(why),
            name: None,
            method: None,
        }
    }
}
