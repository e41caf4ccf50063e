//! The body of an HTTP/1 request: only where it ends. Bytes are passed on as they are.

use super::{Malformed, http_head::Body};

/// What is left of a body.
#[derive(Debug)]
pub enum BodyReader {
    Fixed(u64),
    Chunked(Chunk),
}

/// A place within a chunked body (RFC 9112, section 7.1), without extensions and trailers: servers differ
/// about both, and clients do without.
#[derive(Debug)]
pub enum Chunk {
    /// Digits of a size: how many there were, and their value.
    Size(u8, u64),
    SizeEnd(u64),
    Data(u64),
    DataCr,
    DataLf,
    LastCr,
    LastLf,
}

/// 2^48 bytes are more than any transfer, and no reader overflows on them.
const MOST_DIGITS: u8 = 12;

impl BodyReader {
    pub fn new(body: Body) -> Self {
        match body {
            Body::Length(length) => Self::Fixed(length),
            Body::Chunked => Self::Chunked(Chunk::Size(0, 0)),
        }
    }

    /// How many of the bytes belong to the body, and whether it has ended with them.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(usize, bool), Malformed> {
        match self {
            Self::Fixed(left) => {
                let now = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= now as u64;
                Ok((now, *left == 0))
            }
            Self::Chunked(chunk) => {
                let mut at = 0;
                while at < bytes.len() {
                    if let Chunk::Data(left) = chunk {
                        let now = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len() - at);
                        *left -= now as u64;
                        at += now;
                        if *left == 0 {
                            *chunk = Chunk::DataCr;
                        }
                        continue;
                    }
                    let ended = matches!(chunk, Chunk::LastLf);
                    *chunk = chunk.after(bytes[at])?;
                    at += 1;
                    if ended {
                        return Ok((at, true));
                    }
                }
                Ok((at, false))
            }
        }
    }
}

impl Chunk {
    fn after(&self, byte: u8) -> Result<Self, Malformed> {
        let digit = char::from(byte).to_digit(16);
        Ok(match (self, byte, digit) {
            (Self::Size(count, size), _, Some(digit)) if *count < MOST_DIGITS => {
                Self::Size(count + 1, size * 16 + u64::from(digit))
            }
            (Self::Size(1.., size), b'\r', _) => Self::SizeEnd(*size),
            (Self::SizeEnd(0), b'\n', _) => Self::LastCr,
            (Self::SizeEnd(size), b'\n', _) => Self::Data(*size),
            (Self::DataCr, b'\r', _) => Self::DataLf,
            (Self::DataLf, b'\n', _) => Self::Size(0, 0),
            (Self::LastCr, b'\r', _) => Self::LastLf,
            (Self::LastLf, b'\n', _) => Self::Size(0, 0),
            _ => return Err("the chunks of the HTTP request are malformed"),
        })
    }
}
