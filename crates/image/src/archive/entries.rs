//! The entries of a tar archive that carries an image, one after the other, from a stream.
//!
//! Such archives have few and plain entries, so little of the format is understood here, and all of it in bounded
//! memory. Layers are read elsewhere (`unpack`).

use std::io::{self, Read};

use tar::Header;

const BLOCK: u64 = 512;
/// Bytes of one long name or set of extended fields.
const MAX_EXTENSION: u64 = 1 << 20;

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Kind {
    File,
    Folder,
    /// Symbolic: relative to the folder that it lies in.
    Symlink(Vec<u8>),
    /// From the top of the archive.
    Hardlink(Vec<u8>),
    Other,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    pub name: Vec<u8>,
    pub kind: Kind,
    /// Bytes of its content, which is read next.
    pub size: u64,
}

pub struct Entries<R> {
    from: R,
    /// Content and padding of the present entry that were not read.
    content: u64,
    padding: u64,
}

/// What extension headers say about the next entry.
#[derive(Default)]
struct Extension {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
}

impl<R: Read> Entries<R> {
    pub fn new(from: R) -> Self {
        Self {
            from,
            content: 0,
            padding: 0,
        }
    }

    /// None: the end. What was not read of the entry before is skipped.
    pub fn next(&mut self) -> io::Result<Option<Entry>> {
        let mut extension = Extension::default();
        loop {
            self.skip()?;
            let Some(header) = self.header()? else {
                return Ok(None);
            };
            let size = extension.size.take().map_or_else(|| header.entry_size(), Ok)?;
            let kind = header.entry_type();
            let has_content = !(kind.is_symlink()
                || kind.is_hard_link()
                || kind.is_dir()
                || kind.is_character_special()
                || kind.is_block_special()
                || kind.is_fifo());
            self.content = if has_content { size } else { 0 };
            self.padding = (BLOCK - self.content % BLOCK) % BLOCK;
            match kind.as_byte() {
                b'L' => extension.name = Some(self.text()?),
                b'K' => extension.link = Some(self.text()?),
                b'x' => extension.take(&self.extension()?)?,
                b'g' => drop(self.extension()?),
                _ => return Ok(Some(entry(&header, extension, self.content))),
            }
        }
    }

    /// Reads to the end, past the end mark.
    pub fn finish(mut self) -> io::Result<()> {
        io::copy(&mut self.from, &mut io::sink()).map(drop)
    }

    fn header(&mut self) -> io::Result<Option<Header>> {
        let mut header = Header::new_old();
        let bytes = header.as_mut_bytes();
        let mut filled = 0;
        while filled < bytes.len() {
            match self.from.read(&mut bytes[filled..]) {
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if bytes.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let sum: u32 = bytes[..148]
            .iter()
            .chain(&bytes[156..])
            .map(|byte| u32::from(*byte))
            .sum();
        if header.cksum().ok() != Some(sum + 8 * u32::from(b' ')) {
            return Err(invalid(
                "a header has a wrong checksum: this is no tar archive, or a damaged one",
            ));
        }
        Ok(Some(header))
    }

    fn skip(&mut self) -> io::Result<()> {
        let rest = self.content.saturating_add(self.padding);
        let skipped = io::copy(&mut (&mut self.from).take(rest), &mut io::sink())?;
        (self.content, self.padding) = (0, 0);
        if skipped < rest {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }

    fn extension(&mut self) -> io::Result<Vec<u8>> {
        if self.content > MAX_EXTENSION {
            return Err(invalid("a name is longer than 1 MiB"));
        }
        let mut bytes = Vec::new();
        self.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Ends at the first NUL.
    fn text(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = self.extension()?;
        if let Some(end) = bytes.iter().position(|byte| *byte == 0) {
            bytes.truncate(end);
        }
        Ok(bytes)
    }
}

/// The content of the present entry.
impl<R: Read> Read for Entries<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.content == 0 || buffer.is_empty() {
            return Ok(0);
        }
        let most = usize::try_from(self.content)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let read = self.from.read(&mut buffer[..most])?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.content -= read as u64;
        Ok(read)
    }
}

impl Extension {
    /// `LENGTH KEY=VALUE\n`, again and again.
    fn take(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        let wrong = || invalid("an extended header cannot be read");
        while !bytes.is_empty() {
            let space = bytes.iter().position(|byte| *byte == b' ').ok_or_else(wrong)?;
            let length = std::str::from_utf8(&bytes[..space])
                .ok()
                .and_then(|text| text.parse::<usize>().ok());
            let length = length
                .filter(|length| (space + 2..=bytes.len()).contains(length))
                .ok_or_else(wrong)?;
            let (record, rest) = bytes.split_at(length);
            let field = record[space + 1..].strip_suffix(b"\n").ok_or_else(wrong)?;
            let equals = field.iter().position(|byte| *byte == b'=').ok_or_else(wrong)?;
            let (key, value) = (&field[..equals], &field[equals + 1..]);
            match key {
                b"path" => self.name = Some(value.to_owned()),
                b"linkpath" => self.link = Some(value.to_owned()),
                b"size" => {
                    let size = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
                    self.size = Some(size.ok_or_else(wrong)?);
                }
                _ => {}
            }
            bytes = rest;
        }
        Ok(())
    }
}

fn entry(header: &Header, extension: Extension, size: u64) -> Entry {
    let link = || {
        let own = || header.link_name_bytes().unwrap_or_default().into_owned();
        extension.link.clone().unwrap_or_else(own)
    };
    let kind = match header.entry_type() {
        kind if kind.is_file() || kind.is_contiguous() => Kind::File,
        kind if kind.is_dir() => Kind::Folder,
        kind if kind.is_symlink() => Kind::Symlink(link()),
        kind if kind.is_hard_link() => Kind::Hardlink(link()),
        _ => Kind::Other,
    };
    Entry {
        name: extension.name.unwrap_or_else(|| header.path_bytes().into_owned()),
        kind,
        size,
    }
}

fn invalid(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}
