//! One block of 512 bytes as the header of an entry. The layout is the `tar` crate's; numbers and the checksum are
//! read here, because that crate drops the upper bytes of large ones and takes negative sizes for huge ones.

use tar::Header;

use super::{fault::Fault, sparse::Pairs};

pub(super) const BLOCK: usize = 512;

/// What a header says by itself, before the records that may precede it.
#[derive(Clone, Debug)]
pub(super) struct Plain {
    pub(super) kind: u8,
    pub(super) name: Vec<u8>,
    pub(super) link: Vec<u8>,
    pub(super) size: u64,
    pub(super) mode: u32,
    pub(super) uid: u64,
    pub(super) gid: u64,
    pub(super) mtime: i64,
}

/// The name is of use even if the rest is not: errors show it.
pub(super) fn name(block: &[u8; BLOCK]) -> Vec<u8> {
    Header::from_byte_slice(block).path_bytes().into_owned()
}

pub(super) fn parse(block: &[u8; BLOCK]) -> Result<Plain, Fault> {
    if !sum_is_right(block) {
        return Err(Fault::malformed("the checksum of the header is wrong"));
    }
    let header = Header::from_byte_slice(block);
    let fields = header.as_old();
    let mtime = number(&fields.mtime).ok_or_else(|| bad("time"))?;
    let mode = number(&fields.mode).ok_or_else(|| bad("mode"))?;
    Ok(Plain {
        kind: header.entry_type().as_byte(),
        name: header.path_bytes().into_owned(),
        link: header.link_name_bytes().unwrap_or_default().into_owned(),
        size: unsigned(&fields.size).ok_or_else(|| bad("size"))?,
        // Some writers put the kind above the permissions.
        mode: (mode & 0o7777) as u32,
        uid: unsigned(&fields.uid).ok_or_else(|| bad("owner"))?,
        gid: unsigned(&fields.gid).ok_or_else(|| bad("group"))?,
        mtime: i64::try_from(mtime).map_err(|_| bad("time"))?,
    })
}

/// The extents in a header of GNU's sparse kind, the size with holes, and whether a block of extents follows.
pub(super) fn sparse(block: &[u8; BLOCK]) -> Result<(Pairs, u64, bool), Fault> {
    let header = Header::from_byte_slice(block)
        .as_gnu()
        .ok_or_else(|| Fault::malformed("it is of GNU's sparse kind, but its header is not"))?;
    let size = unsigned(&header.realsize).ok_or_else(|| bad("size with holes"))?;
    Ok((extents(&header.sparse)?, size, header.is_extended()))
}

/// A block of extents that follows such a header.
pub(super) fn sparse_more(block: &[u8; BLOCK]) -> Result<(Pairs, bool), Fault> {
    let mut more = tar::GnuExtSparseHeader::new();
    more.as_mut_bytes().copy_from_slice(block);
    Ok((extents(more.sparse())?, more.is_extended()))
}

fn extents(slots: &[tar::GnuSparseHeader]) -> Result<Pairs, Fault> {
    let used = slots.iter().take_while(|slot| !slot.is_empty());
    used.map(|slot| Some((unsigned(&slot.offset)?, unsigned(&slot.numbytes)?)))
        .collect::<Option<_>>()
        .ok_or_else(|| bad("map of holes"))
}

fn bad(field: &str) -> Fault {
    Fault::malformed(format!("the {field} in its header is not a number that can be"))
}

/// The sum of all bytes with the checksum's own as spaces. Some old writers added signed bytes.
fn sum_is_right(block: &[u8; BLOCK]) -> bool {
    let field = 148..156;
    let mut unsigned_sum = 0i128;
    let mut signed_sum = 0i128;
    for (at, &byte) in block.iter().enumerate() {
        let byte = if field.contains(&at) { b' ' } else { byte };
        unsigned_sum += i128::from(byte);
        signed_sum += i128::from(byte.cast_signed());
    }
    number(&block[field]).is_some_and(|sum| sum == unsigned_sum || sum == signed_sum)
}

fn unsigned(field: &[u8]) -> Option<u64> {
    u64::try_from(number(field)?).ok()
}

/// Octal digits between spaces and zeros, or base 256 if the first bit is set. An empty field is 0.
fn number(field: &[u8]) -> Option<i128> {
    if field[0] & 0x80 != 0 {
        return base256(field);
    }
    let text = field.split(|&byte| byte == 0).next().unwrap_or_default();
    let digits = text.trim_ascii();
    digits.iter().try_fold(0i128, |value, digit| match digit {
        b'0'..=b'7' => Some(value * 8 + i128::from(digit - b'0')),
        _ => None,
    })
}

/// Two's complement, most significant byte first, without its first bit. Fields have at most 12 bytes.
fn base256(field: &[u8]) -> Option<i128> {
    let (first, rest) = field.split_first()?;
    // The second bit is the sign.
    let head = i128::from(((first << 1).cast_signed()) >> 1);
    Some(
        rest.iter()
            .fold(head, |value, &byte| (value << 8) | i128::from(byte)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_octal_or_base_256_and_nothing_else() {
        let table: &[(&[u8], Option<i128>)] = &[
            (b"0000644\0", Some(0o644)),
            (b"   644 \0", Some(0o644)),
            (b"\0\0\0\0\0\0\0\0", Some(0)),
            (b"        ", Some(0)),
            (b"77777777", Some(0o7777_7777)),
            (b"-1\0\0\0\0\0\0", None),
            (b"+7\0\0\0\0\0\0", None),
            (b"0x10\0\0\0\0", None),
            (b"8\0\0\0\0\0\0\0", None),
            (b"\x80\0\0\0\0\0\x01\x00", Some(256)),
            (b"\xff\xff\xff\xff\xff\xff\xff\xfe", Some(-2)),
            (b"\x80\0\0\x01\0\0\0\0\0\0\0\0", Some(1 << 64)),
            (
                b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff",
                Some(i64::MAX as i128),
            ),
        ];
        for (field, expected) in table {
            assert_eq!(number(field), *expected, "{}", field.escape_ascii());
        }
    }

    #[test]
    fn a_header_with_a_wrong_sum_or_size_is_refused() {
        let mut header = Header::new_gnu();
        header.set_path("a").unwrap();
        header.set_size(5);
        header.set_cksum();
        let block = *header.as_bytes();
        assert_eq!(parse(&block).unwrap().size, 5);
        let mut wrong = block;
        wrong[0] ^= 1;
        assert!(parse(&wrong).is_err());
        header.as_old_mut().size = [0xff; 12];
        header.set_cksum();
        assert!(parse(header.as_bytes()).is_err());
    }
}
