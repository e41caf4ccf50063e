//! Files with holes: where their content lies. Four notations, one result.

use super::{fault::Fault, header::BLOCK, pax::decimal};

/// Extents of one file. More would be a map that fills memory.
const EXTENTS: usize = 1 << 20;

/// Offsets and lengths, as they are written.
pub(super) type Pairs = Vec<(u64, u64)>;

/// One piece of content.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Extent {
    pub(super) offset: u64,
    pub(super) length: u64,
}

/// In ascending order, without overlap, within the size.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Sparse {
    pub(super) extents: Vec<Extent>,
    /// With the holes.
    pub(super) size: u64,
}

impl Sparse {
    /// `stored`: bytes of content in the archive.
    pub(super) fn new(pairs: &[(u64, u64)], size: u64, stored: u64) -> Result<Self, Fault> {
        let mut extents = Vec::with_capacity(pairs.len());
        let mut end = 0;
        let mut sum = 0u64;
        for &(offset, length) in pairs {
            if offset < end {
                return Err(Fault::malformed("its extents overlap or are out of order"));
            }
            // Readers disagree about what lies between such extents.
            if !sum.is_multiple_of(BLOCK as u64) && length > 0 {
                return Err(Fault::malformed("an extent inside it does not fill its blocks"));
            }
            end = match offset.checked_add(length) {
                Some(end) if end <= size => end,
                _ => return Err(Fault::malformed("an extent lies beyond its size")),
            };
            sum += length;
            if length > 0 {
                extents.push(Extent { offset, length });
            }
        }
        if sum != stored {
            return Err(Fault::malformed(format!(
                "its extents have {sum} bytes and its content {stored}"
            )));
        }
        Ok(Self { extents, size })
    }
}

/// At most so many: called before each is added.
pub(super) fn room(extents: usize) -> Result<(), Fault> {
    if extents >= EXTENTS {
        return Err(Fault::exhausted(format!(
            "it has more than {EXTENTS} extents, which is the limit"
        )));
    }
    Ok(())
}

/// What pax records say about holes.
#[derive(Debug, Default)]
pub(super) struct Map {
    pub(super) name: Option<Vec<u8>>,
    size: Option<u64>,
    major: Option<u64>,
    minor: Option<u64>,
    /// Format 0: in the records themselves.
    pairs: Pairs,
    offset: Option<u64>,
    /// Any record of the kind was there.
    present: bool,
}

/// Where the extents are.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Notation {
    None,
    /// Formats 0.0 and 0.1.
    Records,
    /// Format 1.0: lines before the content.
    Content,
}

impl Map {
    pub(super) fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(), Fault> {
        self.present = true;
        let number = || decimal(value).ok_or_else(|| Fault::malformed("its map of holes is malformed"));
        match key {
            b"name" if value.contains(&0) => return Err(Fault::denied("its name has a zero byte")),
            b"name" => self.name = (!value.is_empty()).then(|| value.to_vec()),
            b"size" | b"realsize" => self.size = Some(number()?),
            b"major" => self.major = Some(number()?),
            b"minor" => self.minor = Some(number()?),
            b"offset" => self.offset = Some(number()?),
            b"numbytes" => {
                room(self.pairs.len())?;
                let offset = self
                    .offset
                    .take()
                    .ok_or_else(|| Fault::malformed("its map of holes is malformed"))?;
                self.pairs.push((offset, number()?));
            }
            b"map" => self.pairs = pairs(value)?,
            _ => {}
        }
        Ok(())
    }

    pub(super) fn notation(&self) -> Result<Notation, Fault> {
        match (self.major, self.minor) {
            _ if !self.present => Ok(Notation::None),
            (None, None) | (Some(0), None | Some(0 | 1)) => Ok(Notation::Records),
            (Some(1), Some(0)) => Ok(Notation::Content),
            (major, minor) => Err(Fault::malformed(format!(
                "its holes are written in format {}.{}, which is not known",
                major.unwrap_or(0),
                minor.unwrap_or(0)
            ))),
        }
    }

    pub(super) fn size(&self) -> Result<u64, Fault> {
        self.size
            .ok_or_else(|| Fault::malformed("it has holes and no size with them"))
    }

    pub(super) fn pairs(&self) -> &[(u64, u64)] {
        &self.pairs
    }
}

fn pairs(value: &[u8]) -> Result<Pairs, Fault> {
    let malformed = || Fault::malformed("its map of holes is malformed");
    if value.is_empty() {
        return Ok(Vec::new());
    }
    let mut numbers = value.split(|&byte| byte == b',').map(decimal);
    let mut pairs = Vec::new();
    while let Some(offset) = numbers.next() {
        room(pairs.len())?;
        let length = numbers.next().flatten();
        pairs.push((offset.ok_or_else(malformed)?, length.ok_or_else(malformed)?));
    }
    Ok(pairs)
}

/// Reads the lines of format 1.0, block by block: how many pairs, then the pairs.
#[derive(Debug, Default)]
pub(super) struct Lines {
    expected: Option<u64>,
    numbers: Vec<u64>,
    digits: Vec<u8>,
}

impl Lines {
    /// True when the map is complete; the rest of the block is padding.
    pub(super) fn push(&mut self, block: &[u8; BLOCK]) -> Result<bool, Fault> {
        for &byte in block {
            if byte != b'\n' {
                if self.digits.len() >= 20 {
                    return Err(Fault::malformed("its map of holes is malformed"));
                }
                self.digits.push(byte);
                continue;
            }
            let number =
                decimal(&self.digits).ok_or_else(|| Fault::malformed("its map of holes is malformed"))?;
            self.digits.clear();
            match self.expected {
                None => self.expected = Some(number),
                Some(_) => {
                    room(self.numbers.len() / 2)?;
                    self.numbers.push(number);
                }
            }
            if self
                .expected
                .is_some_and(|pairs| pairs.saturating_mul(2) == self.numbers.len() as u64)
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(super) fn pairs(&self) -> Pairs {
        self.numbers
            .chunks_exact(2)
            .map(|pair| (pair[0], pair[1]))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_that_lies_is_refused() {
        type Case = (&'static [(u64, u64)], u64, u64, bool);
        let table: &[Case] = &[
            (&[(0, 512), (1024, 10)], 2000, 522, true),
            (&[(1024, 512), (0, 512)], 2000, 1024, false),
            (&[(0, 1024), (512, 512)], 2000, 1536, false),
            (&[(0, 512), (1024, 2000)], 2000, 2512, false),
            (&[(0, 100), (1024, 512)], 2000, 612, false),
            (&[(u64::MAX, 512)], 2000, 512, false),
            (&[(0, 512)], 2000, 1024, false),
            (&[], 1 << 40, 0, true),
        ];
        for (pairs, size, stored, right) in table {
            assert_eq!(Sparse::new(pairs, *size, *stored).is_ok(), *right, "{pairs:?}");
        }
    }

    #[test]
    fn lines_may_cross_blocks() {
        let text = format!("100\n{}", "1024\n512\n".repeat(100));
        let mut lines = Lines::default();
        let mut done = false;
        for chunk in text.as_bytes().chunks(BLOCK) {
            assert!(!done);
            let mut block = [0; BLOCK];
            block[..chunk.len()].copy_from_slice(chunk);
            done = lines.push(&block).unwrap();
        }
        assert!(done);
        assert_eq!(lines.pairs(), vec![(1024, 512); 100]);
        assert!(Lines::default().push(&[b'7'; BLOCK]).is_err());
        assert!(Lines::default().push(&[b'\n'; BLOCK]).is_err());
    }
}
