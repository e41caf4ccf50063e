//! The archive as a sequence of entries, and its bytes into the recipe.
//!
//! Blocks are read one by one and not by the iterator of the `tar` crate: that one reads long names, records and
//! maps of holes into memory without a bound, splits records at line breaks and so loses sizes, and knows neither
//! pax's holes nor which bytes were content. Where readers differ, this one does what Go's does, because Docker,
//! containerd and podman use it, or refuses.

use super::{
    fault::Fault,
    header::{self, BLOCK, Plain},
    pax::{self, Records},
    recipe,
    sparse::{self, Lines, Notation, Sparse},
    stream::Stream,
};

/// Of a long name or of the records of one entry, before memory is taken.
const RECORD: u64 = 1 << 20;
/// What may follow the end of the archive: padding to a tape's block, and the leftovers of careless tools.
const REST: u64 = 16 << 20;
const ZEROS: [u8; BLOCK] = [0; BLOCK];

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: Vec<u8>,
    pub(super) kind: Kind,
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Seconds and nanoseconds.
    pub(super) mtime: (i64, u32),
    pub(super) attributes: Vec<(Vec<u8>, Vec<u8>)>,
}

#[derive(Debug)]
pub(super) enum Kind {
    File(Content),
    Folder,
    HardLink(Vec<u8>),
    Symlink(Vec<u8>),
    Fifo,
    Device,
}

/// What is to be read before the next entry.
#[derive(Debug)]
pub(super) struct Content {
    /// Bytes in the archive, without padding.
    stored: u64,
    sparse: Option<Sparse>,
}

impl Content {
    /// Of the file, with its holes.
    pub(super) fn size(&self) -> u64 {
        self.sparse.as_ref().map_or(self.stored, |sparse| sparse.size)
    }
}

pub(super) struct Tape {
    stream: Stream,
    recipe: recipe::Writer,
    limit: u64,
    headers: u64,
    /// Of the entry that is being read.
    pub(super) name: Option<Vec<u8>>,
}

/// What came before the header of an entry and belongs to it.
#[derive(Default)]
struct Before {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    records: Option<Records>,
}

impl Tape {
    pub(super) fn new(stream: Stream, recipe: recipe::Writer, limit: u64) -> Self {
        Self {
            stream,
            recipe,
            limit,
            headers: 0,
            name: None,
        }
    }

    /// None after the last entry. The content of the one before must have been read.
    pub(super) fn next(&mut self) -> Result<Option<Entry>, Fault> {
        let mut before = Before::default();
        self.name = None;
        loop {
            let Some(block) = self.header()? else {
                if before.name.is_some() || before.link.is_some() || before.records.is_some() {
                    return Err(Fault::malformed("it ends where an entry was announced"));
                }
                return Ok(None);
            };
            if self.name.is_none() {
                self.name = Some(header::name(&block));
            }
            let plain = header::parse(&block)?;
            match plain.kind {
                b'L' => self.long(&mut before.name, plain.size)?,
                b'K' => self.long(&mut before.link, plain.size)?,
                b'x' => {
                    let bytes = self.record(plain.size)?;
                    if before.records.replace(Records::parse(&bytes)?).is_some() {
                        return Err(Fault::malformed("it has two sets of extension records"));
                    }
                }
                b'g' => {
                    let bytes = self.record(plain.size)?;
                    if pax::overrules_all(&bytes)? {
                        return Err(Fault::malformed("a global record sets a name or size"));
                    }
                }
                _ => return self.entry(&block, plain, before).map(Some),
            }
            if let Some(name) = before
                .name
                .as_ref()
                .or(before.records.as_ref().and_then(|r| r.path.as_ref()))
            {
                self.name = Some(name.clone());
            } else if matches!(plain.kind, b'x' | b'g' | b'K') {
                // Its own name is invented by the tool that wrote it.
                self.name = None;
            }
        }
    }

    /// The bytes of a file, piece by piece with their offsets. `path`: where they can be read again.
    pub(super) fn content(
        &mut self,
        content: &Content,
        path: &[u8],
        mut write: impl FnMut(u64, &[u8]) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        if content.stored > 0 {
            self.recipe.file(path).map_err(unwritten)?;
        }
        let whole = [sparse::Extent {
            offset: 0,
            length: content.stored,
        }];
        let extents = content
            .sparse
            .as_ref()
            .map_or(&whole[..], |sparse| &sparse.extents);
        for extent in extents.iter().filter(|extent| extent.length > 0) {
            self.recipe
                .range(extent.offset, extent.length)
                .map_err(unwritten)?;
            let mut at = extent.offset;
            let end = extent.offset + extent.length;
            while at < end {
                let ready = self.stream.peek()?;
                if ready.is_empty() {
                    return Err(Fault::malformed("the archive ends inside its content"));
                }
                let count = usize::try_from(end - at).map_or(ready.len(), |left| left.min(ready.len()));
                write(at, &ready[..count])?;
                self.stream.advance(count);
                at += count as u64;
            }
        }
        self.padding(content.stored)
    }

    /// The bytes of something that does not become a file: into the recipe.
    pub(super) fn skip(&mut self, content: &Content) -> Result<(), Fault> {
        self.literal(content.stored + padding(content.stored), "its content")
    }

    /// Files whose content has been recorded so far.
    pub(super) fn files(&self) -> u64 {
        self.recipe.files()
    }

    /// All that follows the end of the archive, and the recipe to disk.
    pub(super) fn finish(mut self) -> Result<(), Fault> {
        let mut rest = 0;
        loop {
            let ready = self.stream.peek()?;
            if ready.is_empty() {
                break;
            }
            rest += ready.len() as u64;
            if rest > REST {
                return Err(Fault::exhausted(format!(
                    "more than {REST} bytes follow the end of the archive"
                )));
            }
            self.recipe.literal(ready).map_err(unwritten)?;
            let count = ready.len();
            self.stream.advance(count);
        }
        self.recipe.finish().map_err(unwritten)?;
        Ok(())
    }

    /// None at the end: two blocks of zeros, one, or none.
    fn header(&mut self) -> Result<Option<[u8; BLOCK]>, Fault> {
        let Some(block) = self.block()? else {
            return Ok(None);
        };
        if block == ZEROS {
            return match self.block()? {
                None | Some(ZEROS) => Ok(None),
                Some(_) => Err(Fault::malformed("a block of zeros stands between entries")),
            };
        }
        self.headers += 1;
        // An entry has at most a name, a link and records before it; what is global counts, too.
        if self.headers > self.limit.saturating_mul(4) {
            return Err(Fault::exhausted("it has too many headers"));
        }
        Ok(Some(block))
    }

    /// None where the archive ends.
    fn block(&mut self) -> Result<Option<[u8; BLOCK]>, Fault> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            let ready = self.stream.peek()?;
            if ready.is_empty() {
                if filled == 0 {
                    return Ok(None);
                }
                return Err(Fault::malformed("the archive ends inside a header"));
            }
            let count = ready.len().min(BLOCK - filled);
            block[filled..filled + count].copy_from_slice(&ready[..count]);
            self.stream.advance(count);
            filled += count;
        }
        self.recipe.literal(&block).map_err(unwritten)?;
        Ok(Some(block))
    }

    /// What fills the last block of a content. Some tools leave it out at the very end, with the blocks that mark the
    /// end; a layer that was cut off by accident has another digest.
    fn padding(&mut self, size: u64) -> Result<(), Fault> {
        let mut left = padding(size);
        while left > 0 {
            let ready = self.stream.peek()?;
            if ready.is_empty() {
                break;
            }
            let count = usize::try_from(left).map_or(ready.len(), |left| left.min(ready.len()));
            self.recipe.literal(&ready[..count]).map_err(unwritten)?;
            self.stream.advance(count);
            left -= count as u64;
        }
        Ok(())
    }

    fn literal(&mut self, mut bytes: u64, what: &str) -> Result<(), Fault> {
        while bytes > 0 {
            let ready = self.stream.peek()?;
            if ready.is_empty() {
                return Err(Fault::malformed(format!("the archive ends inside {what}")));
            }
            let count = usize::try_from(bytes).map_or(ready.len(), |left| left.min(ready.len()));
            self.recipe.literal(&ready[..count]).map_err(unwritten)?;
            self.stream.advance(count);
            bytes -= count as u64;
        }
        Ok(())
    }

    fn long(&mut self, slot: &mut Option<Vec<u8>>, size: u64) -> Result<(), Fault> {
        let mut bytes = self.record(size)?;
        let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
        bytes.truncate(end);
        if slot.replace(bytes).is_some() {
            return Err(Fault::malformed("it has two long names"));
        }
        Ok(())
    }

    fn record(&mut self, size: u64) -> Result<Vec<u8>, Fault> {
        if size > RECORD {
            return Err(Fault::exhausted(format!(
                "its names and records have {size} bytes; the limit is {RECORD}"
            )));
        }
        let mut bytes = Vec::new();
        for _ in 0..size.div_ceil(BLOCK as u64) {
            let block = self.block()?;
            bytes.extend_from_slice(
                &block.ok_or_else(|| Fault::malformed("the archive ends inside its records"))?,
            );
        }
        bytes.truncate(size as usize);
        Ok(bytes)
    }

    fn entry(&mut self, block: &[u8; BLOCK], plain: Plain, before: Before) -> Result<Entry, Fault> {
        let records = before.records.unwrap_or_default();
        let name = before
            .name
            .or(records.sparse.name.clone())
            .or(records.path.clone());
        let name = name.unwrap_or(plain.name);
        self.name = Some(name.clone());
        let size = records.size.unwrap_or(plain.size);
        if i64::try_from(size).is_err() {
            return Err(Fault::malformed("no file can have its size"));
        }
        let link = before.link.or(records.link).unwrap_or(plain.link);
        let kind = match plain.kind {
            b'1' => Kind::HardLink(link),
            b'2' => Kind::Symlink(link),
            b'3' | b'4' => Kind::Device,
            b'5' => Kind::Folder,
            b'6' => Kind::Fifo,
            b'S' => {
                let sparse = self.gnu_sparse(block, size)?;
                Kind::File(Content {
                    stored: size,
                    sparse: Some(sparse),
                })
            }
            // Before there were folders, there was the slash.
            b'0' if name.ends_with(b"/") && size == 0 => Kind::Folder,
            b'0' if name.ends_with(b"/") => {
                return Err(Fault::malformed("it has the name of a folder and content"));
            }
            b'0' | b'7' => Kind::File(self.file(&records.sparse, size)?),
            other => {
                return Err(Fault::malformed(format!(
                    "it is of the kind '{}', which is not known",
                    other.escape_ascii()
                )));
            }
        };
        Ok(Entry {
            name,
            kind,
            mode: plain.mode,
            uid: owner(records.uid.unwrap_or(plain.uid))?,
            gid: owner(records.gid.unwrap_or(plain.gid))?,
            mtime: records.mtime.unwrap_or((plain.mtime, 0)),
            attributes: records.attributes,
        })
    }

    fn gnu_sparse(&mut self, block: &[u8; BLOCK], stored: u64) -> Result<Sparse, Fault> {
        let (mut pairs, size, mut more) = header::sparse(block)?;
        while more {
            let block = self.block()?;
            let block = block.ok_or_else(|| Fault::malformed("the archive ends inside its map of holes"))?;
            let (next, follows) = header::sparse_more(&block)?;
            for pair in next {
                sparse::room(pairs.len())?;
                pairs.push(pair);
            }
            // A chain of empty blocks would not end.
            if follows && pairs.len() % 21 != 4 {
                return Err(Fault::malformed("its map of holes has gaps"));
            }
            more = follows;
        }
        Sparse::new(&pairs, size, stored)
    }

    fn file(&mut self, map: &sparse::Map, size: u64) -> Result<Content, Fault> {
        let sparse = match map.notation()? {
            Notation::None => None,
            Notation::Records => Some(Sparse::new(map.pairs(), map.size()?, size)?),
            Notation::Content => return self.sparse_lines(map.size()?, size),
        };
        Ok(Content { stored: size, sparse })
    }

    /// The map is counted with the content.
    fn sparse_lines(&mut self, size: u64, stored: u64) -> Result<Content, Fault> {
        let mut lines = Lines::default();
        let mut left = stored;
        loop {
            left = left
                .checked_sub(BLOCK as u64)
                .ok_or_else(|| Fault::malformed("its map of holes is longer than its content"))?;
            let block = self.block()?;
            let block = block.ok_or_else(|| Fault::malformed("the archive ends inside its map of holes"))?;
            if lines.push(&block)? {
                let sparse = Sparse::new(&lines.pairs(), size, left)?;
                return Ok(Content {
                    stored: left,
                    sparse: Some(sparse),
                });
            }
        }
    }
}

/// The last id means "do not change" to the kernel, and there are none beyond.
fn owner(id: u64) -> Result<u32, Fault> {
    match u32::try_from(id) {
        Ok(id) if id != u32::MAX => Ok(id),
        _ => Err(Fault::denied(format!(
            "it belongs to the id {id}, which cannot be"
        ))),
    }
}

fn padding(size: u64) -> u64 {
    let block = BLOCK as u64;
    (block - size % block) % block
}

fn unwritten(error: std::io::Error) -> Fault {
    Fault::broken("write the recipe", error)
}
