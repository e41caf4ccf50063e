//! Archives that lie about sizes, sums and ends, or have none.

use agentkernel_types::ErrorKind::{self, Denied, Exhausted, InvalidSpec};

use super::{
    Case,
    Outcome::{Refused, Tree},
    one,
};
use crate::support::*;

pub(super) fn lies() -> Vec<Case> {
    let archive = Archive::new;
    let good = archive().file("a", b"1").file("b", &[b'x'; 1000]).finish();
    let pax = |records: &[(&str, &[u8])]| archive().pax(records).file("f", &[b'x'; 600]).finish();
    let sparse = |slots: &[(u64, u64)], real: u64, size: usize| {
        let mut header = Header::new(b'S', "s", &vec![b'd'; size]);
        for (slot, (offset, length)) in slots.iter().enumerate() {
            let at = 386 + slot * 24;
            header = header.at(at, format!("{offset:011o}\0{length:011o}\0").as_bytes());
        }
        header.at(483, format!("{real:011o}\0").as_bytes())
    };
    let lines = |map: &str, real: &str, size: usize| {
        let mut content = map.as_bytes().to_vec();
        content.resize(content.len().next_multiple_of(512), 0);
        content.extend(vec![b'd'; size]);
        archive()
            .pax(&[
                ("GNU.sparse.major", b"1"),
                ("GNU.sparse.minor", b"0"),
                ("GNU.sparse.name", b"s"),
                ("GNU.sparse.realsize", real.as_bytes()),
            ])
            .file("other", &content)
            .finish()
    };
    let empty = b"00000000000\x0000000000000\0";
    let slots = [386, 410, 434, 458];
    let header = slots
        .iter()
        .fold(Header::new(b'S', "s", b"").at(482, &[1]), |header, &at| {
            header.at(at, empty)
        });
    let mut many_holes = header.bytes();
    let mut block = [0u8; 512];
    for slot in 0..21 {
        block[slot * 24..slot * 24 + 24].copy_from_slice(empty);
    }
    block[504] = 1;
    for _ in 0..60_000 {
        many_holes.extend(block);
    }
    let cut = |at: usize| good[..at].to_vec();
    let compressed = gzip(&good);
    let mut bad_crc = compressed.clone();
    let place = bad_crc.len() - 6;
    bad_crc[place] ^= 1;
    let framed = zstd::encode_all(&good[..], 1).unwrap();
    let many_owners = (1000..1010).fold(archive(), |archive, id| {
        archive.entry(Header::file(format!("f{id}"), b"").owner(id, 0))
    });
    let many = (0..1001).fold(archive(), |archive, number| {
        archive.file(format!("f{number}"), b"")
    });
    let records = (0..5000).fold(archive(), |archive, _| {
        archive.entry(Header::new(b'g', "g", b"13 comment=x\n"))
    });
    let mut attribute_lie = record("SCHILY.xattr.user.x", b"1\n");
    attribute_lie.extend(record("size", b"600"));
    vec![
        Case(
            "a wrong checksum",
            archive().entry(Header::file("a", b"").raw()).finish(),
            Refused(InvalidSpec, "checksum"),
        ),
        Case(
            "a wrong checksum later",
            archive()
                .file("a", b"")
                .entry(Header::file("b", b"").raw())
                .finish(),
            Refused(InvalidSpec, "\"b\": the checksum"),
        ),
        Case(
            "nothing",
            Vec::new(),
            Refused(InvalidSpec, "the archive is empty"),
        ),
        Case(
            "nothing, compressed",
            gzip(b""),
            Refused(InvalidSpec, "the archive is empty"),
        ),
        Case("only zeros", vec![0; 10_240], Tree(&[])),
        Case(
            "text",
            b"this is no archive at all".to_vec(),
            Refused(InvalidSpec, "inside a header"),
        ),
        Case("more text", vec![b'x'; 5000], Refused(InvalidSpec, "checksum")),
        Case(
            "xz",
            b"\xfd7zXZ\0\0\0".to_vec(),
            Refused(ErrorKind::Unsupported, "compressed with xz"),
        ),
        Case(
            "bzip2",
            b"BZh91AY&SY".to_vec(),
            Refused(ErrorKind::Unsupported, "compressed with bzip2"),
        ),
        Case(
            "cut in the first header",
            cut(100),
            Refused(InvalidSpec, "inside a header"),
        ),
        Case(
            "cut before content",
            cut(512),
            Refused(InvalidSpec, "\"a\": the archive ends inside its content"),
        ),
        Case(
            "cut in padding",
            cut(600),
            // Some tools leave out the end of the last block.
            Tree(&["a=1"]),
        ),
        Case(
            "cut in the second header",
            cut(1100),
            Refused(InvalidSpec, "inside a header"),
        ),
        Case(
            "cut in content",
            cut(2000),
            Refused(InvalidSpec, "\"b\": the archive ends inside its content"),
        ),
        Case(
            "cut before the end",
            cut(2560),
            Tree(&["a=1", "b=xxxxxxxxxxxxxxxx"]),
        ),
        Case(
            "cut between the zeros",
            cut(3072),
            Tree(&["a=1", "b=xxxxxxxxxxxxxxxx"]),
        ),
        Case(
            "cut in the zeros",
            cut(2700),
            Refused(InvalidSpec, "inside a header"),
        ),
        Case(
            "gzip, cut",
            compressed[..compressed.len() - 9].to_vec(),
            Refused(InvalidSpec, "cut short"),
        ),
        Case(
            "gzip, without its sum",
            compressed[..compressed.len() - 8].to_vec(),
            Refused(InvalidSpec, "cut short"),
        ),
        Case(
            "gzip, cut in its header",
            compressed[..5].to_vec(),
            Refused(InvalidSpec, "cut short"),
        ),
        Case("gzip, wrong sum", bad_crc, Refused(InvalidSpec, "damaged")),
        Case(
            "gzip, garbage after it",
            [&compressed[..], b"garbage, and more"].concat(),
            Refused(InvalidSpec, "damaged"),
        ),
        Case(
            "zstd, cut",
            framed[..framed.len() - 3].to_vec(),
            Refused(InvalidSpec, "cut short"),
        ),
        Case(
            "zstd, garbage after it",
            [&framed[..], b"garbage"].concat(),
            Refused(InvalidSpec, ""),
        ),
        Case(
            "a block of zeros between entries",
            archive().file("a", b"").bytes(&[0; 512]).file("b", b"").finish(),
            Refused(InvalidSpec, "block of zeros"),
        ),
        Case(
            "a size that is too small",
            archive().entry(Header::file("a", &[b'x'; 600]).size(5)).finish(),
            Refused(InvalidSpec, "checksum"),
        ),
        Case(
            "a size beyond the archive",
            archive().entry(Header::file("a", b"x").size(100_000)).finish(),
            Refused(InvalidSpec, "ends inside its content"),
        ),
        Case(
            "a size beyond the limit",
            one(Header::file("a", b"x").size(1 << 40)),
            Refused(Exhausted, "more than 268435456 bytes"),
        ),
        Case(
            "a size below zero",
            one(Header::file("a", b"").at(124, &[0xff; 12])),
            Refused(InvalidSpec, "the size in its header"),
        ),
        Case(
            "a size beyond 64 bits",
            one(Header::file("a", b"").at(124, b"\x80\0\0\x01\0\0\0\0\0\0\0\0")),
            Refused(InvalidSpec, "the size in its header"),
        ),
        Case(
            "a size beyond 63 bits",
            one(Header::file("a", b"").at(124, b"\x80\0\0\0\xf0\0\0\0\0\0\0\0")),
            Refused(InvalidSpec, "no file can have its size"),
        ),
        Case(
            "a size with a sign",
            one(Header::file("a", b"").at(124, b"-0000000001\0")),
            Refused(InvalidSpec, "the size in its header"),
        ),
        Case(
            "a size in base 256",
            archive()
                .entry(Header::file("a", b"xyz").at(124, b"\x80\0\0\0\0\0\0\0\0\0\0\x03"))
                .finish(),
            Tree(&["a=xyz"]),
        ),
        Case(
            "an owner that is nobody",
            one(Header::file("a", b"").owner(u64::from(u32::MAX), 0)),
            Refused(Denied, "id 4294967295"),
        ),
        Case(
            "an owner beyond 32 bits",
            pax(&[("uid", b"4294967296")]),
            Refused(Denied, "id 4294967296"),
        ),
        Case(
            "too many owners",
            many_owners.finish(),
            Refused(Exhausted, "more than 4 owners"),
        ),
        Case(
            "too many entries",
            many.finish(),
            Refused(Exhausted, "more than 1000 entries"),
        ),
        Case(
            "too many records",
            records.finish(),
            Refused(Exhausted, "too many headers"),
        ),
        Case(
            "a record that makes it larger",
            pax(&[("size", b"6000")]),
            Refused(InvalidSpec, "ends inside its content"),
        ),
        Case(
            "a record that makes it smaller",
            pax(&[("size", b"5")]),
            Refused(InvalidSpec, "checksum"),
        ),
        Case(
            "a record beyond all sizes",
            pax(&[("size", b"99999999999999999999")]),
            Refused(InvalidSpec, "size record"),
        ),
        Case(
            "a record below zero",
            pax(&[("size", b"-5")]),
            Refused(InvalidSpec, "size record"),
        ),
        Case(
            "a size behind an attribute with a line break",
            archive()
                .entry(Header::new(b'x', "x", &attribute_lie))
                .entry(Header::file("f", &[b'x'; 600]).size(0))
                .finish(),
            Tree(&["f=xxxxxxxxxxxxxxxx"]),
        ),
        Case(
            "records without a length",
            archive()
                .entry(Header::new(b'x', "x", b"path=a\n"))
                .file("f", b"")
                .finish(),
            Refused(InvalidSpec, "records are malformed"),
        ),
        Case(
            "records longer than they are",
            archive()
                .entry(Header::new(b'x', "x", b"99 path=a\n"))
                .file("f", b"")
                .finish(),
            Refused(InvalidSpec, "records are malformed"),
        ),
        Case(
            "records for nobody",
            archive().pax(&[("path", b"a")]).finish(),
            Refused(InvalidSpec, "where an entry was announced"),
        ),
        Case(
            "two sets of records",
            archive()
                .pax(&[("path", b"a")])
                .pax(&[("path", b"b")])
                .file("f", b"")
                .finish(),
            Refused(InvalidSpec, "two sets"),
        ),
        Case(
            "two long names",
            archive().long_name(b"a").long_name(b"b").file("f", b"").finish(),
            Refused(InvalidSpec, "two long names"),
        ),
        Case(
            "records of 100 GiB",
            one(Header::new(b'x', "x", b"").size(100 << 30)),
            Refused(Exhausted, "names and records"),
        ),
        Case(
            "a long name of 100 GiB",
            one(Header::new(b'L', "x", b"").size(100 << 30)),
            Refused(Exhausted, "names and records"),
        ),
        Case(
            "a global name",
            archive()
                .entry(Header::new(b'g', "g", b"9 path=a\n"))
                .file("f", b"")
                .finish(),
            Refused(InvalidSpec, "global record"),
        ),
        Case(
            "a global comment",
            archive()
                .entry(Header::new(b'g', "g", b"13 comment=x\n"))
                .file("f", b"")
                .finish(),
            Tree(&["f="]),
        ),
        Case(
            "a kind that is not known",
            one(Header::new(b'V', "a", b"")),
            Refused(InvalidSpec, "of the kind 'V'"),
        ),
        Case(
            "holes",
            archive()
                .entry(sparse(&[(1024, 512), (4096, 3)], 5000, 515))
                .finish(),
            Tree(&["s=\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"]),
        ),
        Case(
            "holes that overlap",
            archive()
                .entry(sparse(&[(1024, 512), (1024, 512)], 5000, 1024))
                .finish(),
            Refused(InvalidSpec, "overlap"),
        ),
        Case(
            "holes beyond the size",
            archive().entry(sparse(&[(1024, 512)], 1100, 512)).finish(),
            Refused(InvalidSpec, "beyond its size"),
        ),
        Case(
            "more extents than content",
            archive().entry(sparse(&[(0, 1024)], 5000, 512)).finish(),
            Refused(InvalidSpec, "1024 bytes and its content 512"),
        ),
        Case(
            "a bomb of holes",
            archive().entry(sparse(&[], 8 << 30, 0)).finish(),
            Refused(Exhausted, "more than 268435456 bytes"),
        ),
        Case(
            "a map of holes that fills memory",
            many_holes,
            Refused(Exhausted, "extents"),
        ),
        Case(
            "holes as lines",
            lines("2\n0\n512\n2048\n10\n", "4000", 522),
            Tree(&["s=dddddddddddddddd"]),
        ),
        Case(
            "holes as lines without end",
            lines("999999999\n", "4000", 600),
            Refused(InvalidSpec, "map of holes"),
        ),
        Case(
            "holes as lines that are none",
            lines("-1\n", "4000", 600),
            Refused(InvalidSpec, "map of holes is malformed"),
        ),
        Case(
            "holes as lines, a bomb",
            lines("0\n", "99999999999999", 0),
            Refused(Exhausted, "more than 268435456 bytes"),
        ),
        Case(
            "holes as records",
            archive()
                .pax(&[
                    ("GNU.sparse.map", b"0,512,1024,88"),
                    ("GNU.sparse.size", b"2000"),
                    ("GNU.sparse.name", b"s"),
                ])
                .file("f", &[b'x'; 600])
                .finish(),
            Tree(&["s=xxxxxxxxxxxxxxxx"]),
        ),
        Case(
            "holes as half a record",
            pax(&[("GNU.sparse.map", b"0,512,7"), ("GNU.sparse.size", b"2000")]),
            Refused(InvalidSpec, "map of holes"),
        ),
        Case(
            "holes of a later format",
            pax(&[("GNU.sparse.major", b"2"), ("GNU.sparse.minor", b"0")]),
            Refused(InvalidSpec, "format 2.0"),
        ),
        Case(
            "holes without size",
            pax(&[("GNU.sparse.map", b"0,600")]),
            Refused(InvalidSpec, "no size"),
        ),
        Case(
            "garbage after the end",
            [good.clone(), vec![b'g'; 100_000]].concat(),
            Tree(&["a=1", "b=xxxxxxxxxxxxxxxx"]),
        ),
        Case(
            "17 MiB after the end",
            [good.clone(), vec![b'g'; 17 << 20]].concat(),
            Refused(Exhausted, "follow the end"),
        ),
        Case(
            "a folder with content",
            archive()
                .entry(Header::folder("d/").size(512))
                .file("d/x", b"1")
                .finish(),
            Tree(&["d/", "d/x=1"]),
        ),
    ]
}
