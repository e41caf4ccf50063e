//! What a connection speaks, from its first bytes.

use super::ClientHelloReader;

/// What the first bytes are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Seen {
    NeedMore,
    Tls,
    /// A request, or something that a lenient server would take for one.
    Http,
    Other,
}

/// A first line longer than this is no request that a server takes.
const MOST_IN_LINE: usize = 8 * 1024;
const METHODS: [&[u8]; 10] = [
    b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"TRACE", b"CONNECT", b"PRI",
];

/// Decides by the whole first line, because a method can be any word.
pub fn recognise(bytes: &[u8]) -> Seen {
    let Some(&first) = bytes.first() else {
        return Seen::NeedMore;
    };
    if ClientHelloReader::recognises(bytes) {
        return Seen::Tls;
    }
    // Servers skip empty lines before a request: not ours to guess which.
    if first.is_ascii_whitespace() {
        return Seen::Http;
    }
    let word = bytes.iter().take_while(|byte| is_token(**byte)).count();
    let Some(&after) = bytes.get(word) else {
        return if bytes.len() > MOST_IN_LINE {
            Seen::Other
        } else {
            Seen::NeedMore
        };
    };
    let is_method = METHODS
        .iter()
        .any(|method| method.eq_ignore_ascii_case(&bytes[..word]));
    if is_method {
        return Seen::Http;
    }
    if word == 0 || !matches!(after, b' ' | b'\t') {
        return Seen::Other;
    }
    let end = bytes.iter().position(|&byte| byte == b'\n');
    let line = &bytes[..end.unwrap_or(bytes.len())];
    if line.windows(5).any(|part| part.eq_ignore_ascii_case(b"HTTP/")) || line.len() > MOST_IN_LINE {
        return Seen::Http;
    }
    match end {
        Some(_) => Seen::Other,
        None => Seen::NeedMore,
    }
}

/// RFC 9110, section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
