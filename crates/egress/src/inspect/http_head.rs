//! The head of an HTTP/1 request, read so strictly that no two readers can differ about where it goes or ends.
//!
//! `httparse` splits the head; what it lets pass and a server could read otherwise is refused here (RFC 9112,
//! sections 2.2, 3.2, 5 and 6.3).

use std::net::{IpAddr, Ipv6Addr};

use agentkernel_types::DomainName;

use super::Malformed;

/// A head that is safe to pass on as it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RequestHead {
    pub method: String,
    /// Without scheme and authority, for the log.
    pub path: String,
    /// `None` in HTTP/1.0 without a Host.
    pub authority: Option<Authority>,
    pub body: Body,
    /// The request asks to leave HTTP/1 (`Upgrade`).
    pub upgrade: bool,
}

/// `host[:port]` as a request writes it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Authority {
    pub host: Host,
    pub port: Option<u16>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Host {
    Name(DomainName),
    Address(IpAddr),
}

/// How the end of a request is found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Body {
    Length(u64),
    Chunked,
}

const MOST_HEADERS: usize = 128;
const MOST_IN_HOST: usize = 300;

/// Reads a head that ends with its empty line.
pub fn read_head(head: &[u8]) -> Result<RequestHead, Malformed> {
    check_bytes(head)?;
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(head) {
        Ok(httparse::Status::Complete(length)) if length == head.len() => {}
        Ok(_) => return Err("the head of the HTTP request does not end where it should"),
        Err(httparse::Error::TooManyHeaders) => return Err("the HTTP request has too many headers"),
        Err(_) => return Err("the head of the HTTP request is malformed"),
    }
    let method = request.method.unwrap_or_default();
    let target = request.path.unwrap_or_default();
    let old = request.version == Some(0);
    if method == "PRI" {
        return Err("HTTP/2 without TLS cannot be inspected");
    }
    if method == "CONNECT" {
        return Err("the method CONNECT would open a tunnel");
    }
    if !method
        .bytes()
        .all(|byte| byte.is_ascii_uppercase() || matches!(byte, b'-' | b'_'))
    {
        return Err("the method of the HTTP request is malformed");
    }
    let fields = Fields::read(request.headers, old)?;
    let (written, path) = split_target(method, target)?;
    if let (Some(written), host) = (&written, &fields.host)
        && host.as_ref() != Some(written)
    {
        return Err("the target of the HTTP request and its Host differ");
    }
    Ok(RequestHead {
        method: method.to_owned(),
        path: path.to_owned(),
        authority: fields.host,
        body: fields.body,
        upgrade: fields.upgrade,
    })
}

/// Line ends are CR LF and nothing else is a control character, so that lines are the same lines to everyone.
fn check_bytes(head: &[u8]) -> Result<(), Malformed> {
    let mut before = b'\n';
    for (index, &byte) in head.iter().enumerate() {
        match byte {
            b'\n' if before != b'\r' => return Err("a line of the HTTP request does not end with CR LF"),
            b'\r' if head.get(index + 1) != Some(&b'\n') => {
                return Err("a CR without LF stands in the head of the HTTP request");
            }
            0 => return Err("a NUL stands in the head of the HTTP request"),
            b' ' | b'\t' if before == b'\n' => return Err("a line of the HTTP request begins with a space"),
            1..=8 | 0x0b | 0x0c | 0x0e..=0x1f | 0x7f => {
                return Err("a control character stands in the head of the HTTP request");
            }
            _ => {}
        }
        before = byte;
    }
    Ok(())
}

struct Fields {
    host: Option<Authority>,
    body: Body,
    upgrade: bool,
}

impl Fields {
    fn read(headers: &[httparse::Header<'_>], old: bool) -> Result<Self, Malformed> {
        let one = |name: &str, several: Malformed| {
            let mut found = headers
                .iter()
                .filter(|header| header.name.eq_ignore_ascii_case(name));
            match (found.next(), found.next()) {
                (Some(_), Some(_)) => Err(several),
                (first, _) => Ok(first.map(|header| header.value)),
            }
        };
        let has = |name: &str| {
            headers
                .iter()
                .any(|header| header.name.eq_ignore_ascii_case(name))
        };
        // Some servers read them as the names with '-'.
        if headers
            .iter()
            .any(|header| header.name.contains('_') && is_framing(header.name))
        {
            return Err("the HTTP request has a framing header in a disguise");
        }
        let host = match one("host", "the HTTP request has several Host headers")? {
            Some(value) => Some(read_authority(value)?),
            None if old => None,
            None => return Err("the HTTP request has no Host header"),
        };
        let length = one(
            "content-length",
            "the HTTP request has several Content-Length headers",
        )?;
        let coding = one(
            "transfer-encoding",
            "the HTTP request has several Transfer-Encoding headers",
        )?;
        let body = match (length, coding) {
            (Some(_), Some(_)) => {
                return Err("the HTTP request has both Content-Length and Transfer-Encoding");
            }
            (None, Some(_)) if old => return Err("HTTP/1.0 has no Transfer-Encoding"),
            (None, Some(coding)) if coding.eq_ignore_ascii_case(b"chunked") => Body::Chunked,
            (None, Some(_)) => {
                return Err("the Transfer-Encoding of the HTTP request is not exactly chunked");
            }
            (Some(length), None) => Body::Length(read_length(length)?),
            (None, None) => Body::Length(0),
        };
        let upgrade = has("upgrade") || has("http2-settings");
        Ok(Self { host, body, upgrade })
    }
}

fn is_framing(name: &str) -> bool {
    let name = name.replace('_', "-");
    ["content-length", "transfer-encoding"]
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known))
}

fn read_length(value: &[u8]) -> Result<u64, Malformed> {
    const WRONG: Malformed = "the Content-Length of the HTTP request is no plain number";
    let plain = (1..=18).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(value).ok().filter(|_| plain).ok_or(WRONG)?;
    text.parse().map_err(|_| WRONG)
}

/// `host[:port]`, without a user.
pub fn read_authority(value: &[u8]) -> Result<Authority, Malformed> {
    const WRONG: Malformed = "the Host of the HTTP request is no host name or address";
    let text = std::str::from_utf8(value)
        .ok()
        .filter(|text| text.len() <= MOST_IN_HOST)
        .ok_or(WRONG)?;
    let (host, port) = match text.rfind(']') {
        Some(end) => text.split_at(end + 1),
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => None,
        Some(digits)
            if (1..=5).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            Some(
                digits
                    .parse()
                    .map_err(|_| "the port in the Host of the HTTP request is no port")?,
            )
        }
        _ => return Err("the port in the Host of the HTTP request is no port"),
    };
    let host = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(six) => Host::Address(six.parse::<Ipv6Addr>().map_err(|_| WRONG)?.into()),
        None => match host.parse() {
            Ok(IpAddr::V4(four)) => Host::Address(four.into()),
            Ok(IpAddr::V6(_)) => return Err(WRONG),
            Err(_) => Host::Name(host.parse().map_err(|_| WRONG)?),
        },
    };
    Ok(Authority { host, port })
}

/// What the target says about the host, and the rest of it (RFC 9112, section 3.2).
fn split_target<'a>(method: &str, target: &'a str) -> Result<(Option<Authority>, &'a str), Malformed> {
    if target.bytes().any(|byte| !(0x21..=0x7e).contains(&byte)) || target.contains('#') {
        return Err("the target of the HTTP request has a character that no URL has");
    }
    if target.starts_with('/') || target == "*" && method == "OPTIONS" {
        return Ok((None, target));
    }
    let scheme = target
        .get(..7)
        .filter(|scheme| scheme.eq_ignore_ascii_case("http://"));
    let Some(scheme) = scheme else {
        return Err("the target of the HTTP request is neither a path nor an http URL");
    };
    let rest = &target[scheme.len()..];
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let authority = read_authority(&rest.as_bytes()[..end])?;
    Ok((Some(authority), &rest[end..]))
}
