//! The uncompressed archive as a stream of buffers: read, decompressed, hashed and counted in the caller's thread,
//! used in another one. A few buffers go round, so a slow side slows the other and memory stays as it is.

use std::{
    io::{self, BufRead, BufReader, Read},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
};

use agentkernel_types::{Digest, ErrorKind};
use flate2::bufread::MultiGzDecoder;
use sha2::{Digest as _, Sha256};

use super::{Limits, fault::Fault};
use crate::Error;

const BUFFERS: usize = 8;
const BUFFER_BYTES: usize = 256 << 10;
/// The ratio means nothing before: a small archive of zeros is no bomb.
const RATIO_FROM: u64 = 16 << 20;
/// The largest window that a Zstandard frame may ask for: 128 MiB, the decoder's own default.
const ZSTD_WINDOW_LOG: u32 = 27;

/// The end that is filled.
pub(super) struct Feeder {
    empty: Receiver<Vec<u8>>,
    full: SyncSender<Result<Vec<u8>, Fault>>,
}

/// The end that is used.
pub(super) struct Stream {
    empty: SyncSender<Vec<u8>>,
    full: Receiver<Result<Vec<u8>, Fault>>,
    buffer: Vec<u8>,
    used: usize,
}

/// What went through, to its very last byte.
pub(super) struct Fed {
    pub(super) diff_id: Digest,
    pub(super) bytes: u64,
}

pub(super) fn pipe() -> (Feeder, Stream) {
    let (to_fill, empty) = sync_channel(BUFFERS);
    let (full, to_use) = sync_channel(BUFFERS);
    for _ in 0..BUFFERS {
        to_fill
            .send(Vec::with_capacity(BUFFER_BYTES))
            .expect("the channel holds all buffers");
    }
    let stream = Stream {
        empty: to_fill,
        full: to_use,
        buffer: Vec::new(),
        used: 0,
    };
    (Feeder { empty, full }, stream)
}

impl Feeder {
    /// Runs until the archive ends, fails, or nobody uses the other end any more. A failure goes to the other end,
    /// which knows the entry; here it is None.
    pub(super) fn feed(self, archive: &mut (dyn Read + Send), limits: &Limits) -> Option<Fed> {
        match self.run(archive, limits) {
            Ok(fed) => fed,
            Err(fault) => {
                // Nobody there: then the other side has failed before us.
                let _ = self.full.send(Err(fault));
                None
            }
        }
    }

    fn run(&self, archive: &mut (dyn Read + Send), limits: &Limits) -> Result<Option<Fed>, Fault> {
        let mut source = Source::open(archive)?;
        let mut hash = Sha256::new();
        let mut bytes = 0u64;
        loop {
            let Ok(mut buffer) = self.empty.recv() else {
                return Ok(None);
            };
            buffer.clear();
            source.fill(&mut buffer)?;
            if buffer.is_empty() {
                break;
            }
            bytes += buffer.len() as u64;
            check(bytes, source.read(), limits)?;
            hash.update(&buffer);
            if self.full.send(Ok(buffer)).is_err() {
                return Ok(None);
            }
        }
        if bytes == 0 {
            return Err(Fault::malformed("the archive is empty"));
        }
        let diff_id = Digest::from_sha256(hash.finalize().into());
        Ok(Some(Fed { diff_id, bytes }))
    }
}

fn check(bytes: u64, compressed: u64, limits: &Limits) -> Result<(), Fault> {
    if bytes > limits.bytes {
        return Err(Fault::exhausted(format!(
            "the archive has more than {} bytes, which is the limit",
            limits.bytes
        )));
    }
    if bytes > RATIO_FROM && bytes / compressed.max(1) > limits.ratio {
        return Err(Fault::exhausted(format!(
            "the archive grows more than {} times when it is decompressed, which is the limit",
            limits.ratio
        )));
    }
    Ok(())
}

impl Stream {
    /// What comes next, as much as lies ready. Empty at the end.
    pub(super) fn peek(&mut self) -> Result<&[u8], Fault> {
        if self.used == self.buffer.len() {
            let next = match self.full.recv() {
                Ok(next) => next?,
                // The feeder has ended: so has the archive.
                Err(_) => Vec::new(),
            };
            let old = std::mem::replace(&mut self.buffer, next);
            self.used = 0;
            if old.capacity() > 0 {
                // A feeder that has ended needs no buffers.
                let _ = self.empty.send(old);
            }
        }
        Ok(&self.buffer[self.used..])
    }

    pub(super) fn advance(&mut self, count: usize) {
        self.used += count;
        debug_assert!(self.used <= self.buffer.len());
    }
}

/// The archive behind its compression.
struct Source<'a> {
    decoder: Decoder<'a>,
}

type Compressed<'a> = BufReader<Counted<'a>>;

enum Decoder<'a> {
    Plain(Compressed<'a>),
    Gzip(Box<MultiGzDecoder<Compressed<'a>>>),
    Zstd(Box<zstd::stream::read::Decoder<'a, Compressed<'a>>>),
}

impl<'a> Source<'a> {
    /// Tells the compression by the first bytes.
    fn open(archive: &'a mut (dyn Read + Send)) -> Result<Self, Fault> {
        let counted = Counted {
            archive,
            bytes: 0,
            failed: None,
        };
        let mut compressed = BufReader::with_capacity(BUFFER_BYTES, counted);
        let magic = loop {
            match compressed.fill_buf() {
                Ok(bytes) => {
                    let mut magic = [0; 6];
                    let length = bytes.len().min(magic.len());
                    magic[..length].copy_from_slice(&bytes[..length]);
                    break magic;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(unreadable(error)),
            }
        };
        let decoder = match magic {
            [0x1f, 0x8b, ..] => Decoder::Gzip(Box::new(MultiGzDecoder::new(compressed))),
            // A frame, or a skippable frame before it.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(compressed)
                    .map_err(|error| Fault::broken("start the decompression", error))?;
                decoder
                    .window_log_max(ZSTD_WINDOW_LOG)
                    .map_err(|error| Fault::broken("limit the decompression", error))?;
                Decoder::Zstd(Box::new(decoder))
            }
            [0xfd, b'7', b'z', b'X', b'Z', 0] => return Err(foreign("xz")),
            [b'B', b'Z', b'h', ..] => return Err(foreign("bzip2")),
            _ => Decoder::Plain(compressed),
        };
        Ok(Self { decoder })
    }

    /// Bytes taken from the archive as it came, those that wait in the buffer included.
    fn read(&self) -> u64 {
        self.counted().bytes
    }

    fn counted(&self) -> &Counted<'a> {
        match &self.decoder {
            Decoder::Plain(reader) => reader.get_ref(),
            Decoder::Gzip(decoder) => decoder.get_ref().get_ref(),
            Decoder::Zstd(decoder) => decoder.get_ref().get_ref(),
        }
    }

    /// Until the buffer is full or the archive ends.
    fn fill(&mut self, buffer: &mut Vec<u8>) -> Result<(), Fault> {
        buffer.resize(BUFFER_BYTES, 0);
        let mut filled = 0;
        while filled < buffer.len() {
            let room = &mut buffer[filled..];
            let result = match &mut self.decoder {
                Decoder::Plain(reader) => reader.read(room),
                Decoder::Gzip(decoder) => decoder.read(room),
                Decoder::Zstd(decoder) => decoder.read(room),
            };
            match result {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.fault(error)),
            }
        }
        buffer.truncate(filled);
        Ok(())
    }

    /// A reader that fails is no damaged archive.
    fn fault(&self, error: io::Error) -> Fault {
        let plain = matches!(self.decoder, Decoder::Plain(_));
        if plain || self.counted().failed.is_some() {
            return unreadable(error);
        }
        let rule = match error.kind() {
            io::ErrorKind::UnexpectedEof => "the compressed archive is cut short".to_owned(),
            _ => format!("the compressed archive is damaged: {error}"),
        };
        Fault::malformed(rule).because(error)
    }
}

fn foreign(compression: &str) -> Fault {
    Fault::Reader(
        Error::new(
            ErrorKind::Unsupported,
            "unpack",
            format!("layer: the archive is compressed with {compression}"),
        )
        .hint("compress it with gzip or zstd, or not at all"),
    )
}

fn unreadable(error: io::Error) -> Fault {
    match error.downcast::<Error>() {
        Ok(error) => Fault::Reader(error),
        Err(error) => Fault::broken("read the archive", error),
    }
}

struct Counted<'a> {
    archive: &'a mut (dyn Read + Send),
    bytes: u64,
    failed: Option<io::ErrorKind>,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let result = self.archive.read(buffer);
        match &result {
            Ok(count) => self.bytes += *count as u64,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => self.failed = Some(error.kind()),
        }
        result
    }
}
