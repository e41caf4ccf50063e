//! Who is asked for names.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use crate::ParseError;

/// Written as `IP`, `IP:PORT` or `[IPv6]:PORT`. Without a port it is 53.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct NameServer(SocketAddr);

impl NameServer {
    pub const PORT: u16 = 53;

    pub const fn address(self) -> SocketAddr {
        self.0
    }
}

impl FromStr for NameServer {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let without_port = match bare {
            Some(v6) => v6.parse().ok().map(IpAddr::V6),
            None => text.parse().ok(),
        };
        let address = match without_port {
            Some(address) => Some(SocketAddr::new(address, Self::PORT)),
            None => text.parse().ok(),
        };
        let usable = |address: &SocketAddr| {
            let ip = address.ip().to_canonical();
            address.port() != 0 && !ip.is_unspecified() && !ip.is_multicast() && !is_broadcast(ip)
        };
        address.filter(usable).map(Self).ok_or_else(|| {
            ParseError::new(format!(
                "invalid name server {text:?}: write its address, as in 192.0.2.1, 192.0.2.1:5353 or [2001:db8::1]:53"
            ))
        })
    }
}

fn is_broadcast(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V4(ip) if ip.is_broadcast())
}

impl fmt::Display for NameServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_server_is_an_address_with_or_without_a_port() {
        for (text, written) in [
            ("192.0.2.1", "192.0.2.1:53"),
            ("192.0.2.1:5353", "192.0.2.1:5353"),
            ("2001:db8::1", "[2001:db8::1]:53"),
            ("[2001:db8::1]", "[2001:db8::1]:53"),
            ("[2001:db8::1]:5353", "[2001:db8::1]:5353"),
            ("127.0.0.53", "127.0.0.53:53"),
        ] {
            let server: NameServer = text.parse().expect(text);
            assert_eq!(server.to_string(), written);
            assert_eq!(written.parse(), Ok(server));
        }
    }

    #[test]
    fn what_nobody_can_ask_is_refused_with_the_form() {
        for text in [
            "",
            "dns.example",
            "192.0.2.1:0",
            "192.0.2.1:",
            "192.0.2.1:70000",
            "192.0.2",
            "0.0.0.0",
            "[::]:53",
            "::",
            "224.0.0.251",
            "255.255.255.255",
            "[192.0.2.1]:53",
            "::ffff:0.0.0.0",
            "fe80::1%eth0",
            " 192.0.2.1",
            "tls://192.0.2.1",
        ] {
            let error = text.parse::<NameServer>().expect_err(text);
            assert!(error.0.contains("as in 192.0.2.1"), "{error:?}");
        }
    }
}
