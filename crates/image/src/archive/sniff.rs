//! What an archive is, told by its first bytes and its first entries.

use std::io::{self, Cursor, Read};

use flate2::read::MultiGzDecoder;

use super::{
    entries::{Entries, Kind},
    files::normal,
};
use crate::{Result, failure::read_error};

/// As much as is read ahead; the first entries' names are in it, unless somebody wants them not to be.
const AHEAD: u64 = 128 << 10;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Content {
    /// Manifests and blobs.
    Image,
    RootFs,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Compression {
    None,
    Gzip,
    Zstd,
}

pub struct Sniffed<'a> {
    pub content: Content,
    pub compression: Compression,
    /// From the very beginning, as it came.
    pub stream: io::Chain<Cursor<Vec<u8>>, &'a mut (dyn Read + Send)>,
}

pub fn sniff<'a>(archive: &'a mut (dyn Read + Send)) -> Result<Sniffed<'a>> {
    let mut ahead = Vec::new();
    archive
        .take(AHEAD)
        .read_to_end(&mut ahead)
        .map_err(read_error("import", "the archive"))?;
    let compression = match ahead[..] {
        [0x1f, 0x8b, ..] => Compression::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Compression::Zstd,
        _ => Compression::None,
    };
    let content = decode(compression, &ahead[..])
        .map_err(read_error("import", "the archive"))
        .map(|plain| content(plain.take(AHEAD)))?;
    Ok(Sniffed {
        content,
        compression,
        stream: Cursor::new(ahead).chain(archive),
    })
}

pub fn decode<'a>(compression: Compression, from: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    Ok(match compression {
        Compression::None => Box::new(from),
        Compression::Gzip => Box::new(MultiGzDecoder::new(from)),
        Compression::Zstd => Box::new(zstd::Decoder::new(from)?),
    })
}

/// The first entry that is more than the top folder decides.
fn content(plain: impl Read) -> Content {
    let mut entries = Entries::new(plain);
    while let Ok(Some(entry)) = entries.next() {
        match normal(&entry.name) {
            Some(name) if name.is_empty() => {}
            Some(name) if is_of_an_image(&name, &entry.kind) => return Content::Image,
            _ => return Content::RootFs,
        }
    }
    Content::RootFs
}

fn is_of_an_image(name: &str, kind: &Kind) -> bool {
    let is_hash = |text: &str| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let first = name.split('/').next().unwrap_or_default();
    let stem = name.strip_suffix(".json").or_else(|| name.strip_suffix(".tar"));
    match name {
        "manifest.json" | "index.json" | "oci-layout" | "repositories" => *kind != Kind::Folder,
        "blobs" => *kind == Kind::Folder,
        _ => is_hash(first) || name.starts_with("blobs/sha256") || stem.is_some_and(is_hash),
    }
}
