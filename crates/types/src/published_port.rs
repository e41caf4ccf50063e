//! A port of the host that leads into a sandbox.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    str::FromStr,
};

use serde::{Deserialize, Serialize};

use crate::{ParseError, Protocol};

/// Written as `[IP:]HOST:SANDBOX[/udp]`, or `SANDBOX` alone for any free port of the host.
///
/// Without an address it is the host's loopback: nobody else reaches it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublishedPort {
    /// On the host. Port 0: any free one.
    pub host: SocketAddr,
    /// In the sandbox; at least 1.
    pub sandbox: u16,
    /// TCP or UDP.
    pub protocol: Protocol,
}

impl FromStr for PublishedPort {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        parse(text).map_err(|why| {
            ParseError::new(format!(
                "invalid port {text:?}: {why}; write [IP:]HOST:SANDBOX[/udp], as in 8080:80"
            ))
        })
    }
}

fn parse(text: &str) -> Result<PublishedPort, String> {
    let (rest, protocol) = match text.rsplit_once('/') {
        None => (text, Protocol::Tcp),
        Some((rest, "tcp")) => (rest, Protocol::Tcp),
        Some((rest, "udp")) => (rest, Protocol::Udp),
        Some((_, other)) => return Err(format!("{other:?} is neither tcp nor udp")),
    };
    let (host, sandbox) = match rest.rsplit_once(':') {
        None => (None, rest),
        Some((host, sandbox)) => (Some(host), sandbox),
    };
    let sandbox = port(sandbox)?;
    if sandbox == 0 {
        return Err("a service in the sandbox has a port from 1 to 65535".to_owned());
    }
    Ok(PublishedPort {
        host: host.map_or(Ok(loopback(0)), host_end)?,
        sandbox,
        protocol,
    })
}

fn host_end(text: &str) -> Result<SocketAddr, String> {
    let Some((address, number)) = text.rsplit_once(':') else {
        return Ok(loopback(port(text)?));
    };
    let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let address: IpAddr = match bare {
        Some(v6) => v6.parse::<std::net::Ipv6Addr>().map(IpAddr::V6),
        None => address.parse::<Ipv4Addr>().map(IpAddr::V4),
    }
    .map_err(|_| format!("{address:?} is no address of this host (an IPv6 one stands in brackets)"))?;
    // `HOST:` with nothing behind it asks for any port, as an empty one does elsewhere.
    let number = if number.is_empty() { 0 } else { port(number)? };
    Ok(SocketAddr::new(address, number))
}

fn port(text: &str) -> Result<u16, String> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = if plain { text.parse().ok() } else { None };
    number.ok_or_else(|| format!("{text:?} is no port from 0 to 65535"))
}

const fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

impl fmt::Display for PublishedPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.sandbox)?;
        match self.protocol {
            Protocol::Tcp => Ok(()),
            other => write!(f, "/{other}"),
        }
    }
}

impl TryFrom<String> for PublishedPort {
    type Error = ParseError;
    fn try_from(text: String) -> Result<Self, ParseError> {
        text.parse()
    }
}

impl From<PublishedPort> for String {
    fn from(port: PublishedPort) -> Self {
        port.to_string()
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for PublishedPort {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "PublishedPort".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": r"^(([0-9.]+:|\[[0-9a-fA-F:.]+\]:)?[0-9]*:)?[0-9]+(/(tcp|udp))?$"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_read_as_it_is_written_elsewhere() {
        for (text, written) in [
            ("8080:80", "127.0.0.1:8080:80"),
            ("80", "127.0.0.1:0:80"),
            ("0:80/tcp", "127.0.0.1:0:80"),
            ("0.0.0.0:53:5353/udp", "0.0.0.0:53:5353/udp"),
            ("[::1]:8080:80", "[::1]:8080:80"),
            ("192.0.2.1::80", "192.0.2.1:0:80"),
        ] {
            let port: PublishedPort = text.parse().expect(text);
            assert_eq!(port.to_string(), written);
            assert_eq!(written.parse(), Ok(port));
        }
    }

    #[test]
    fn what_is_no_port_is_refused_with_the_form() {
        for text in [
            "",
            ":",
            "80:",
            "a:80",
            "80:0",
            "70000:80",
            "80:70000",
            "::1:8080:80",
            "host:1:2",
            "1:2:3:4",
            "80/icmp",
            "80:80/sctp",
            "+80:80",
            " 80:80",
            "[127.0.0.1]:1:2",
            "80-90:80-90",
        ] {
            let error = text.parse::<PublishedPort>().expect_err(text);
            assert!(error.0.contains("[IP:]HOST:SANDBOX"), "{error:?}");
        }
    }
}
