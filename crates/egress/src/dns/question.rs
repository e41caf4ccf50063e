//! A question of the sandbox, read strictly.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use agentkernel_types::DomainName;
use domain::base::{
    Message, MessageBuilder, Name, Rtype,
    iana::{Class, Opcode, Rcode},
};

/// The smallest answer that everybody takes, and the largest that is sent by UDP.
const SMALLEST: usize = 512;
const LARGEST: usize = 4096;

#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub message: Message<Vec<u8>>,
    pub name: DomainName,
    pub kind: Kind,
    pub rtype: Rtype,
    /// Most bytes of an answer by UDP.
    pub room: usize,
    /// It understands extended errors.
    pub extended: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    A,
    Aaaa,
    /// The name of an address.
    Reverse,
    /// Asked upstream where the mode has no list of names.
    Other,
    /// Answered with nothing, whoever is asked: parameters of services, with keys for hidden names.
    Service,
    /// Everything at once, transfers, and what is no type of a record.
    Refused,
}

impl Kind {
    fn of(rtype: Rtype) -> Self {
        match rtype {
            Rtype::A => Self::A,
            Rtype::AAAA => Self::Aaaa,
            Rtype::PTR => Self::Reverse,
            Rtype::HTTPS | Rtype::SVCB => Self::Service,
            Rtype::NULL => Self::Refused,
            // RFC 6895, section 3.1: questions and meta types.
            other if (128..=255).contains(&other.to_int()) || other.to_int() == 0 => Self::Refused,
            _ => Self::Other,
        }
    }

    pub fn is_address(self) -> bool {
        matches!(self, Self::A | Self::Aaaa)
    }
}

impl Question {
    /// `Err`: what to answer to a message that is no question, if anything.
    pub fn parse(bytes: &[u8]) -> Result<Self, Option<Vec<u8>>> {
        let message = Message::from_octets(bytes.to_vec()).map_err(|_| None)?;
        let (header, counts) = (message.header(), message.header_counts());
        if header.qr() {
            return Err(None);
        }
        if header.opcode() != Opcode::QUERY {
            return Err(refusal(&message, Rcode::NOTIMP));
        }
        let shape = (counts.qdcount(), counts.ancount(), counts.nscount());
        if shape != (1, 0, 0) || counts.arcount() > 1 {
            return Err(refusal(&message, Rcode::FORMERR));
        }
        let Ok(question) = message.sole_question() else {
            return Err(refusal(&message, Rcode::FORMERR));
        };
        if question.qclass() != Class::IN {
            return Err(refusal(&message, Rcode::REFUSED));
        }
        let labels = question
            .qname()
            .iter()
            .map(|label| label.as_slice())
            .filter(|label| !label.is_empty());
        // What no host can be called is not asked for upstream.
        let Ok(name) = DomainName::from_labels(labels) else {
            return Err(refusal(&message, Rcode::NXDOMAIN));
        };
        let rtype = question.qtype();
        let option = message.opt();
        if counts.arcount() == 1 && option.is_none() {
            return Err(refusal(&message, Rcode::FORMERR));
        }
        let extended = option.is_some();
        let room = option.map_or(SMALLEST, |option| usize::from(option.udp_payload_size()));
        let room = room.clamp(SMALLEST, LARGEST);
        Ok(Self {
            message,
            name,
            kind: Kind::of(rtype),
            rtype,
            room,
            extended,
        })
    }

    pub fn wire_name(&self) -> Option<Name<Vec<u8>>> {
        self.name.as_str().parse().ok()
    }
}

fn refusal(message: &Message<Vec<u8>>, code: Rcode) -> Option<Vec<u8>> {
    Some(MessageBuilder::new_vec().start_error(message, code).finish())
}

/// The address that a name below `in-addr.arpa` or `ip6.arpa` stands for.
pub(super) fn reverse(name: &DomainName) -> Option<IpAddr> {
    if let Some(four) = name.as_str().strip_suffix(".in-addr.arpa") {
        let mut bytes = [0u8; 4];
        let mut parts = four.split('.');
        for byte in bytes.iter_mut().rev() {
            *byte = parts.next()?.parse().ok()?;
        }
        return parts.next().is_none().then(|| Ipv4Addr::from(bytes).into());
    }
    let six = name.as_str().strip_suffix(".ip6.arpa")?;
    let mut bits = 0u128;
    let mut parts = six.split('.');
    for place in 0..32 {
        let digit = parts.next().filter(|part| part.len() == 1)?;
        bits |= u128::from(u8::from_str_radix(digit, 16).ok()?) << (4 * place);
    }
    parts.next().is_none().then(|| Ipv6Addr::from(bits).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_addresses_are_read_back() {
        let read = |text: &str| reverse(&text.parse().unwrap());
        assert_eq!(read("1.2.0.192.in-addr.arpa"), Some([192, 0, 2, 1].into()));
        let six = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa";
        assert_eq!(read(six), Some("2001:db8::1".parse().unwrap()));
        for wrong in [
            "2.0.192.in-addr.arpa",
            "9.1.2.0.192.in-addr.arpa",
            "300.2.0.192.in-addr.arpa",
            "a.ip6.arpa",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
