//! What of an archive is not in the tree: headers, padding, the end, and which file comes where.
//!
//! A fixed head, then one Zstandard frame of operations. Lengths are base-128 numbers, lowest group first:
//!
//! | operation | what follows |
//! |---|---|
//! | 0 end | nothing |
//! | 1 literal | length, at most [`LITERAL`]; that many bytes |
//! | 2 file | length; the path of a file beneath the tree, whose ranges follow |
//! | 3 range | offset, length: bytes of that file |

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write},
};

use zstd::stream::{read::Decoder, write::Encoder};

const MAGIC: [u8; 8] = *b"AKRECIPE";
const VERSION: u32 = 1;
/// Fast, and headers shrink to a few bytes all the same.
const LEVEL: i32 = 1;
pub(super) const LITERAL: usize = 64 << 10;
/// What the kernel takes.
pub(super) const PATH: usize = 4096;

const END: u8 = 0;
const BYTES: u8 = 1;
const FILE: u8 = 2;
const RANGE: u8 = 3;

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Head {
    /// Of the whole archive: what is read back is bounded by it.
    pub(super) archive_bytes: u64,
    pub(super) files: u64,
}

pub(super) struct Writer {
    encoder: Encoder<'static, BufWriter<File>>,
    literal: Vec<u8>,
    head: Head,
}

impl Writer {
    pub(super) fn create(mut file: File) -> io::Result<Self> {
        // Without magic until it is complete.
        file.write_all(&[0; Head::BYTES])?;
        let mut encoder = Encoder::new(BufWriter::with_capacity(LITERAL, file), LEVEL)?;
        encoder.include_checksum(true)?;
        Ok(Self {
            encoder,
            literal: Vec::with_capacity(LITERAL),
            head: Head::default(),
        })
    }

    pub(super) fn literal(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        self.head.archive_bytes += bytes.len() as u64;
        while !bytes.is_empty() {
            let count = bytes.len().min(LITERAL - self.literal.len());
            self.literal.extend_from_slice(&bytes[..count]);
            bytes = &bytes[count..];
            if self.literal.len() == LITERAL {
                self.flush_literal()?;
            }
        }
        Ok(())
    }

    pub(super) fn file(&mut self, path: &[u8]) -> io::Result<()> {
        self.flush_literal()?;
        self.head.files += 1;
        self.operation(FILE, &[path.len() as u64])?;
        self.encoder.write_all(path)
    }

    pub(super) fn range(&mut self, offset: u64, length: u64) -> io::Result<()> {
        self.head.archive_bytes += length;
        self.operation(RANGE, &[offset, length])
    }

    /// Files so far.
    pub(super) fn files(&self) -> u64 {
        self.head.files
    }

    pub(super) fn finish(mut self) -> io::Result<Head> {
        self.flush_literal()?;
        self.operation(END, &[])?;
        let mut file = self
            .encoder
            .finish()?
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&self.head.encode())?;
        Ok(self.head)
    }

    fn flush_literal(&mut self) -> io::Result<()> {
        if self.literal.is_empty() {
            return Ok(());
        }
        self.operation(BYTES, &[self.literal.len() as u64])?;
        self.encoder.write_all(&self.literal)?;
        self.literal.clear();
        Ok(())
    }

    fn operation(&mut self, operation: u8, numbers: &[u64]) -> io::Result<()> {
        let mut bytes = [0; 21];
        bytes[0] = operation;
        let mut at = 1;
        for &number in numbers {
            let mut number = number;
            loop {
                let group = (number & 0x7f) as u8;
                number >>= 7;
                bytes[at] = group | if number > 0 { 0x80 } else { 0 };
                at += 1;
                if number == 0 {
                    break;
                }
            }
        }
        self.encoder.write_all(&bytes[..at])
    }
}

impl Head {
    const BYTES: usize = 32;

    fn encode(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.archive_bytes.to_le_bytes());
        bytes[24..].copy_from_slice(&self.files.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8; Self::BYTES]) -> io::Result<Self> {
        if bytes[..8] != MAGIC {
            return Err(damaged("it has not been written to its end"));
        }
        if bytes[8..12] != VERSION.to_le_bytes() {
            return Err(damaged("it is of another version"));
        }
        let number = |at: usize| {
            let bytes = bytes[at..at + 8].try_into().expect("eight bytes of the head");
            u64::from_le_bytes(bytes)
        };
        Ok(Self {
            archive_bytes: number(16),
            files: number(24),
        })
    }
}

#[derive(Debug, Eq, PartialEq)]
pub(super) enum Operation {
    End,
    Literal(Vec<u8>),
    File(Vec<u8>),
    Range { offset: u64, length: u64 },
}

pub(super) struct Reader<R: Read> {
    pub(super) head: Head,
    decoder: Decoder<'static, BufReader<R>>,
}

impl<R: Read> Reader<R> {
    pub(super) fn open(mut recipe: R) -> io::Result<Self> {
        let mut head = [0; Head::BYTES];
        recipe.read_exact(&mut head)?;
        let head = Head::decode(&head)?;
        let mut decoder = Decoder::new(recipe)?;
        // The window of the level that wrote it is far smaller.
        decoder.window_log_max(23)?;
        Ok(Self { head, decoder })
    }

    pub(super) fn operation(&mut self) -> io::Result<Operation> {
        Ok(match self.byte()? {
            END => Operation::End,
            BYTES => Operation::Literal(self.bytes(LITERAL)?),
            FILE => Operation::File(self.bytes(PATH)?),
            RANGE => Operation::Range {
                offset: self.number()?,
                length: self.number()?,
            },
            _ => return Err(damaged("it has an operation that is not known")),
        })
    }

    /// After the end nothing follows. Only here the checksum of the whole is compared.
    pub(super) fn finish(mut self) -> io::Result<()> {
        match self.decoder.read(&mut [0])? {
            0 => Ok(()),
            _ => Err(damaged("something follows its end")),
        }
    }

    fn bytes(&mut self, limit: usize) -> io::Result<Vec<u8>> {
        let length = self.number()?;
        let length = usize::try_from(length).ok().filter(|&length| length <= limit);
        let mut bytes = vec![0; length.ok_or_else(|| damaged("a length is beyond its limit"))?];
        self.decoder.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn number(&mut self) -> io::Result<u64> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let group = u64::from(byte & 0x7f);
            if shift == 63 && group > 1 {
                break;
            }
            number |= group << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(damaged("a number is too long"))
    }

    fn byte(&mut self) -> io::Result<u8> {
        let mut byte = [0];
        self.decoder.read_exact(&mut byte)?;
        Ok(byte[0])
    }
}

pub(super) fn damaged(why: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("the recipe is damaged: {why}"),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn operation() -> impl Strategy<Value = Operation> {
        prop_oneof![
            proptest::collection::vec(any::<u8>(), 1..200).prop_map(Operation::Literal),
            proptest::collection::vec(any::<u8>(), 0..200).prop_map(Operation::File),
            // The sum must fit the head.
            (any::<u64>(), 0..u64::MAX >> 8).prop_map(|(offset, length)| Operation::Range { offset, length }),
        ]
    }

    fn written(operations: &[Operation]) -> Vec<u8> {
        let mut file = tempfile::tempfile().unwrap();
        let mut writer = Writer::create(file.try_clone().unwrap()).unwrap();
        for operation in operations {
            match operation {
                Operation::Literal(bytes) => writer.literal(bytes).unwrap(),
                Operation::File(path) => writer.file(path).unwrap(),
                Operation::Range { offset, length } => {
                    writer.flush_literal().unwrap();
                    writer.range(*offset, *length).unwrap();
                }
                Operation::End => {}
            }
            writer.flush_literal().unwrap();
        }
        writer.finish().unwrap();
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(0)).unwrap();
        file.read_to_end(&mut bytes).unwrap();
        bytes
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_was_written_is_read(operations in proptest::collection::vec(operation(), 0..20)) {
            let bytes = written(&operations);
            let mut reader = Reader::open(&bytes[..]).unwrap();
            for operation in operations {
                prop_assert_eq!(reader.operation().unwrap(), operation);
            }
            prop_assert_eq!(reader.operation().unwrap(), Operation::End);
        }

        #[test]
        fn a_damaged_recipe_is_an_error_or_ends(
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let mut recipe = Head::default().encode().to_vec();
            recipe.extend(zstd::encode_all(&bytes[..], 1).unwrap());
            let mut reader = Reader::open(&recipe[..]).unwrap();
            for _ in 0..=bytes.len() {
                match reader.operation() {
                    Ok(Operation::End) | Err(_) => break,
                    Ok(_) => {}
                }
            }
        }
    }

    #[test]
    fn a_recipe_that_was_not_finished_is_refused() {
        let whole = written(&[Operation::Literal(b"x".to_vec())]);
        let mut unfinished = whole.clone();
        unfinished[..Head::BYTES].fill(0);
        assert!(Reader::open(&unfinished[..]).is_err());
        let mut newer = whole.clone();
        newer[8] = 2;
        assert!(Reader::open(&newer[..]).is_err());
        assert!(Reader::open(&whole[..20]).is_err());
        assert!(Reader::open(&whole[..]).is_ok());
    }
}
