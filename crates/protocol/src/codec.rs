//! Frames to and from bytes. No I/O: the caller reads and writes.

use serde::{Serialize, de::DeserializeOwned};

use crate::{MAX_CHUNK, MAX_FRAME};

/// The length field, which does not count itself.
const LENGTH: usize = 4;
/// Length and stream number.
const HEADER: usize = 8;
/// The most that `DataFrame` puts before its bytes: header, variant and a length below 2 MiB.
const DATA_PREFIX: usize = HEADER + 1 + 3;
/// What a decoder reads at once when the peer sends in bulk.
const BULK: usize = 256 << 10;
/// What it reads at once before it knows.
const FIRST: usize = 8 << 10;

/// Why a peer's bytes are not a message. The connection ends with it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FrameError {
    #[error("a frame of {0} bytes is larger than the limit of {MAX_FRAME}")]
    TooLarge(u32),
    #[error("a frame of {0} bytes is too short for a message")]
    TooShort(u32),
    #[error("a frame on stream {0} holds no valid message")]
    Malformed(u32),
}

/// Appends one frame. Refuses a message that no peer would take; then nothing is appended.
pub fn encode<M: Serialize>(stream: u32, message: &M, out: &mut Vec<u8>) -> Result<(), FrameError> {
    let start = out.len();
    out.extend_from_slice(&[0; LENGTH]);
    out.extend_from_slice(&stream.to_le_bytes());
    let mut filled =
        postcard::to_extend(message, std::mem::take(out)).map_err(|_| FrameError::Malformed(stream))?;
    let length = filled.len() - start - LENGTH;
    if length > MAX_FRAME {
        filled.truncate(start);
        *out = filled;
        return Err(FrameError::TooLarge(u32::try_from(length).unwrap_or(u32::MAX)));
    }
    // At most MAX_FRAME, so it fits.
    filled[start..start + LENGTH].copy_from_slice(&(length as u32).to_le_bytes());
    *out = filled;
    Ok(())
}

/// The messages that are one byte string, for senders that fill them in place: their variant numbers.
pub mod data {
    pub const STDOUT: u8 = 3;
    pub const STDERR: u8 = 4;
    pub const FILE_TO_HOST: u8 = 9;
    pub const STDIN: u8 = 3;
    pub const FILE_TO_GUEST: u8 = 10;
}

/// Appends a data frame whose content `fill` writes straight into `out`: no copy between.
///
/// `fill` gets `limit` bytes (at most `MAX_CHUNK`) and says how many it wrote; with none or an error
/// nothing is appended.
pub fn encode_in_place<E>(
    stream: u32,
    data: u8,
    limit: usize,
    out: &mut Vec<u8>,
    fill: impl FnOnce(&mut [u8]) -> Result<usize, E>,
) -> Result<usize, E> {
    let limit = limit.min(MAX_CHUNK);
    let start = out.len();
    out.resize(start + DATA_PREFIX + limit, 0);
    let filled = match fill(&mut out[start + DATA_PREFIX..]) {
        Ok(filled) if filled > 0 => filled.min(limit),
        other => {
            out.truncate(start);
            return other;
        }
    };
    let (digits, length) = varint(filled);
    let prefix = HEADER + 1 + length;
    // Only a short piece has a shorter prefix, so this moves at most 16 KiB.
    out.copy_within(start + DATA_PREFIX..start + DATA_PREFIX + filled, start + prefix);
    out.truncate(start + prefix + filled);
    let frame = &mut out[start..];
    frame[..LENGTH].copy_from_slice(&((prefix + filled - LENGTH) as u32).to_le_bytes());
    frame[LENGTH..HEADER].copy_from_slice(&stream.to_le_bytes());
    frame[HEADER] = data;
    frame[HEADER + 1..prefix].copy_from_slice(&digits[..length]);
    Ok(filled)
}

/// A number below 2 MiB as postcard writes it: seven bits a byte, least first.
fn varint(number: usize) -> ([u8; 3], usize) {
    let byte = |shift: usize| ((number >> shift) & 0x7f) as u8;
    match number {
        0..0x80 => ([byte(0), 0, 0], 1),
        0x80..0x4000 => ([byte(0) | 0x80, byte(7), 0], 2),
        _ => ([byte(0) | 0x80, byte(7) | 0x80, byte(14)], 3),
    }
}

/// Takes bytes as they come and gives whole messages.
///
/// Holds at most one frame and one read: a length above the limit is an error before memory is taken.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    read_size: usize,
}

impl Decoder {
    pub fn new() -> Self {
        Self::default()
    }

    /// Room for the next read; never empty. Tell `advance` how much of it was filled.
    pub fn space(&mut self) -> &mut [u8] {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        let missing = self
            .frame_length()
            .map_or(0, |length| length.saturating_sub(self.end - self.start));
        let wanted = missing.max(self.read_size.max(FIRST));
        if self.buffer.len() - self.end < wanted {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
            if self.buffer.len() - self.end < wanted {
                self.buffer.resize(self.end + wanted, 0);
            }
        }
        &mut self.buffer[self.end..]
    }

    /// The first `filled` bytes of `space` are now there.
    pub fn advance(&mut self, filled: usize) {
        if self.end + filled >= self.buffer.len() {
            // The read was full: the peer sends faster than we take.
            self.read_size = (self.read_size.max(FIRST) * 4).min(BULK);
        }
        self.end = (self.end + filled).min(self.buffer.len());
    }

    /// For callers that have the bytes already.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.truncate(self.end);
        self.buffer.drain(..self.start);
        self.buffer.extend_from_slice(bytes);
        (self.start, self.end) = (0, self.buffer.len());
    }

    /// The next whole message and its stream, None until more bytes have come.
    pub fn decode<M: DeserializeOwned>(&mut self) -> Result<Option<(u32, M)>, FrameError> {
        let Some(length) = self.checked_length()? else {
            return Ok(None);
        };
        if self.end - self.start < length {
            return Ok(None);
        }
        let frame = &self.buffer[self.start + LENGTH..self.start + length];
        let (stream, body) = frame.split_at(LENGTH);
        let stream = u32::from_le_bytes(stream.try_into().expect("four bytes were split off"));
        let (message, rest) = postcard::take_from_bytes(body).map_err(|_| FrameError::Malformed(stream))?;
        if !rest.is_empty() {
            return Err(FrameError::Malformed(stream));
        }
        self.start += length;
        Ok(Some((stream, message)))
    }

    /// Bytes that wait for the rest of their frame.
    pub fn pending(&self) -> usize {
        self.end - self.start
    }

    /// Gives unused memory back: for times of silence.
    pub fn trim(&mut self) {
        if self.start == self.end {
            *self = Self::default();
        }
    }

    /// Length of the frame at hand with its length field.
    fn frame_length(&self) -> Option<usize> {
        self.checked_length().ok().flatten()
    }

    fn checked_length(&self) -> Result<Option<usize>, FrameError> {
        let Some(field) = self.buffer[self.start..self.end].first_chunk::<LENGTH>() else {
            return Ok(None);
        };
        let length = u32::from_le_bytes(*field);
        match length as usize {
            // A stream number and at least the variant of a message.
            0..5 => Err(FrameError::TooShort(length)),
            5..=MAX_FRAME => Ok(Some(LENGTH + length as usize)),
            _ => Err(FrameError::TooLarge(length)),
        }
    }
}
