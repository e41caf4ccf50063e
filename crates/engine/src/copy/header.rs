//! The 512 bytes before each entry of an archive, read from an untrusted one.

use agentkernel_backend::{Error, Result};
use agentkernel_types::ErrorKind;

use super::BLOCK;

/// What a header says, before what an extension says instead.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Header {
    pub(super) path: Vec<u8>,
    pub(super) link: Vec<u8>,
    pub(super) mode: u32,
    pub(super) size: u64,
    pub(super) modified: i64,
    pub(super) kind: u8,
}

pub(super) fn malformed(why: impl std::fmt::Display) -> Error {
    Error::new(
        ErrorKind::InvalidSpec,
        "copy",
        format!("the archive is malformed: {why}"),
    )
}

impl Header {
    /// None for a block of zeros, which ends an archive.
    pub(super) fn parse(block: &[u8; BLOCK]) -> Result<Option<Self>> {
        if block.iter().all(|&byte| byte == 0) {
            return Ok(None);
        }
        let sum: u64 = (0..BLOCK)
            .map(|at| u64::from(if (148..156).contains(&at) { b' ' } else { block[at] }))
            .sum();
        if number(&block[148..156])? != sum {
            return Err(malformed("the checksum of a header is wrong"));
        }
        let mut path = text(&block[..100]).to_vec();
        // The prefix is POSIX only; GNU archives keep other things there.
        if &block[257..263] == b"ustar\0" && block[345] != 0 {
            path = [text(&block[345..500]), b"/", &path].concat();
        }
        Ok(Some(Self {
            path,
            link: text(&block[157..257]).to_vec(),
            mode: (number(&block[100..108])? & 0o7777) as u32,
            size: number(&block[124..136])?,
            modified: i64::try_from(number(&block[136..148])?).unwrap_or(i64::MAX),
            kind: block[156],
        }))
    }
}

fn text(field: &[u8]) -> &[u8] {
    &field[..field.iter().position(|&byte| byte == 0).unwrap_or(field.len())]
}

/// Octal digits, or GNU's big-endian binary with the first bit set. At most 2^63 - 1.
fn number(field: &[u8]) -> Result<u64> {
    let too_big = || malformed("a number in a header is too big");
    if field[0] & 0x80 != 0 {
        // Negative ones begin with 0xff: times before 1970, which no size may be.
        if field[0] == 0xff {
            return Ok(0);
        }
        let bits = std::iter::once(field[0] & 0x7f).chain(field[1..].iter().copied());
        let mut value = 0u64;
        for byte in bits {
            if value >> 55 != 0 {
                return Err(too_big());
            }
            value = value << 8 | u64::from(byte);
        }
        return Ok(value);
    }
    let digits = text(field).trim_ascii();
    let mut value = 0u64;
    for &digit in digits {
        if !(b'0'..=b'7').contains(&digit) {
            return Err(malformed("a number in a header is no number"));
        }
        if value >> 60 != 0 {
            return Err(too_big());
        }
        value = value << 3 | u64::from(digit - b'0');
    }
    Ok(value)
}
