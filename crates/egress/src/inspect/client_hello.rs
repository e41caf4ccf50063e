//! The first message of TLS, as far as it says where a connection goes.
//!
//! An own reader and not a TLS library: those accept what a server must live with and answer what they would
//! serve, while this one has to refuse what two readers could understand differently (RFC 8446, section 4.1.2,
//! RFC 6066, section 3). It looks at lengths, the names and two extensions, and at nothing that is secret.

use std::net::IpAddr;

use agentkernel_types::DomainName;

/// What a ClientHello says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClientHello {
    /// `None` without the extension.
    pub server_name: Option<ServerName>,
    /// Protocols offered by ALPN, in order; GREASE is left in.
    pub alpn: Vec<Vec<u8>>,
    /// Whether the extension of Encrypted ClientHello is there (0xfe0d): the name seen may be a pretence. It is
    /// also there as GREASE, which cannot be told apart.
    pub encrypted: bool,
}

/// What stands in the extension `server_name`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ServerName {
    Name(DomainName),
    /// Forbidden by RFC 6066, and sent by some clients all the same.
    Address(IpAddr),
}

/// Why bytes are no ClientHello that may be passed on.
pub type Malformed = &'static str;

/// Reads records until a ClientHello is whole.
#[derive(Debug, Default)]
pub struct ClientHelloReader {
    /// Of a record's header and of its content as far as they are here.
    header: Vec<u8>,
    left: usize,
    message: Vec<u8>,
    unread: usize,
}

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const SERVER_NAME: u16 = 0;
const ALPN: u16 = 16;
const ENCRYPTED_CLIENT_HELLO: u16 = 0xfe0d;
/// A record has at most 2^14 bytes (RFC 8446, section 5.1).
const MOST_IN_RECORD: usize = 1 << 14;

impl ClientHelloReader {
    /// With post-quantum keys and tickets real ones have up to 5 KiB.
    pub const MOST_BYTES: usize = 32 * 1024;

    /// Takes more bytes. `Ok(None)`: more are needed.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Option<ClientHello>, Malformed> {
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.left == 0 {
                let missing = 5 - self.header.len();
                let (now, later) = rest.split_at(missing.min(rest.len()));
                self.header.extend_from_slice(now);
                rest = later;
                if let Ok(header) = <[u8; 5]>::try_from(&self.header[..]) {
                    self.left = record(header)?;
                    self.header.clear();
                }
                continue;
            }
            let (now, later) = rest.split_at(self.left.min(rest.len()));
            self.message.extend_from_slice(now);
            self.left -= now.len();
            rest = later;
            if let Some(length) = message_length(&self.message)? {
                if self.message.len() > length || self.message.len() == length && self.left > 0 {
                    return Err("another TLS message stands in the record of the ClientHello");
                }
                if self.message.len() == length {
                    self.unread = rest.len();
                    return parse(&self.message[4..]).map(Some);
                }
            }
        }
        Ok(None)
    }

    /// How many of the bytes that were pushed last stand behind the ClientHello (early data, say).
    pub fn unread(&self) -> usize {
        self.unread
    }

    /// Whether these first bytes can be the beginning of TLS.
    pub fn recognises(bytes: &[u8]) -> bool {
        bytes.first() == Some(&HANDSHAKE)
    }
}

fn record(header: [u8; 5]) -> Result<usize, Malformed> {
    let [kind, major, minor, high, low] = header;
    if kind != HANDSHAKE {
        return Err("a TLS record of another kind stands within the ClientHello");
    }
    if major != 3 || minor > 4 {
        return Err("the version of a TLS record is unknown");
    }
    match usize::from(u16::from_be_bytes([high, low])) {
        0 => Err("a TLS record is empty"),
        length if length > MOST_IN_RECORD => Err("a TLS record is too long"),
        length => Ok(length),
    }
}

/// The length of the message with its header, once that is there.
fn message_length(message: &[u8]) -> Result<Option<usize>, Malformed> {
    if message.first().is_some_and(|&kind| kind != CLIENT_HELLO) {
        return Err("the first message of TLS is no ClientHello");
    }
    let Some(&[_, a, b, c]) = message.first_chunk::<4>() else {
        return Ok(None);
    };
    let length = 4 + usize::from(a) * 65536 + usize::from(b) * 256 + usize::from(c);
    if length > ClientHelloReader::MOST_BYTES {
        return Err("the TLS ClientHello is too long");
    }
    Ok(Some(length))
}

/// Takes parts off the front. Every read is checked.
struct Bytes<'a>(&'a [u8]);

const SHORT: Malformed = "the lengths in the TLS ClientHello do not fit";

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (now, later) = self.0.split_at_checked(count).ok_or(SHORT)?;
        self.0 = later;
        Ok(now)
    }

    fn number(&mut self) -> Result<u16, Malformed> {
        let bytes = self.take(2)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    /// A part with its length before it, in one byte or two.
    fn part(&mut self, width: usize) -> Result<Bytes<'a>, Malformed> {
        let length = match width {
            1 => usize::from(self.take(1)?[0]),
            _ => usize::from(self.number()?),
        };
        self.take(length).map(Bytes)
    }

    fn end(&self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(SHORT) }
    }
}

fn parse(body: &[u8]) -> Result<ClientHello, Malformed> {
    let mut body = Bytes(body);
    let version = body.number()?;
    if version >> 8 != 3 {
        return Err("the version of the TLS ClientHello is unknown");
    }
    body.take(32)?;
    if body.part(1)?.0.len() > 32 {
        return Err("the session id of the TLS ClientHello is too long");
    }
    let suites = body.part(2)?.0.len();
    if suites == 0 || suites % 2 != 0 {
        return Err("the cipher suites of the TLS ClientHello are malformed");
    }
    if body.part(1)?.0.is_empty() {
        return Err("the TLS ClientHello has no compression method");
    }
    let mut hello = ClientHello {
        server_name: None,
        alpn: Vec::new(),
        encrypted: false,
    };
    if !body.0.is_empty() {
        let extensions = body.part(2)?;
        body.end()?;
        read_extensions(extensions, &mut hello)?;
    }
    Ok(hello)
}

fn read_extensions(mut extensions: Bytes<'_>, hello: &mut ClientHello) -> Result<(), Malformed> {
    let mut seen = Vec::new();
    while !extensions.0.is_empty() {
        let kind = extensions.number()?;
        let content = extensions.part(2)?;
        // Two readers could take different ones of two.
        if seen.contains(&kind) {
            return Err("the TLS ClientHello has an extension twice");
        }
        // A real one has about twenty; the bound keeps the search above cheap.
        if seen.len() == 256 {
            return Err("the TLS ClientHello has too many extensions");
        }
        seen.push(kind);
        match kind {
            SERVER_NAME => hello.server_name = Some(server_name(content)?),
            ALPN => hello.alpn = protocols(content)?,
            ENCRYPTED_CLIENT_HELLO => hello.encrypted = true,
            _ => {}
        }
    }
    Ok(())
}

fn server_name(mut content: Bytes<'_>) -> Result<ServerName, Malformed> {
    let mut list = content.part(2)?;
    content.end()?;
    let kind = list.take(1)?[0];
    let name = list.part(2)?;
    if kind != 0 {
        return Err("the SNI of the TLS ClientHello is of an unknown kind");
    }
    if !list.0.is_empty() {
        return Err("the TLS ClientHello names several servers");
    }
    let text = std::str::from_utf8(name.0).map_err(|_| "the SNI of the TLS ClientHello is not ASCII")?;
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(ServerName::Address(address));
    }
    if text.ends_with('.') {
        return Err("the SNI of the TLS ClientHello ends with a dot");
    }
    let name = text
        .parse()
        .map_err(|_| "the SNI of the TLS ClientHello is no host name")?;
    Ok(ServerName::Name(name))
}

fn protocols(mut content: Bytes<'_>) -> Result<Vec<Vec<u8>>, Malformed> {
    let mut list = content.part(2)?;
    content.end()?;
    let mut protocols = Vec::new();
    while !list.0.is_empty() {
        let protocol = list.part(1)?.0;
        if protocol.is_empty() || protocols.len() == 64 {
            return Err("the ALPN of the TLS ClientHello is malformed");
        }
        protocols.push(protocol.to_vec());
    }
    Ok(protocols)
}
