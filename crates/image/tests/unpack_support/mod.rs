//! Archives by hand, also wrong ones, and a folder to unpack them in.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "support of tests: each file uses its part"
)]

use std::{
    io::Write as _,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use agentkernel_image::{
    Result,
    unpack::{Limits, Ownership, Rules, TREE, Unpacked, reassemble, unpack},
};
use agentkernel_types::Digest;
use sha2::Digest as _;

pub const MTIME: i64 = 1_600_000_000;

/// One entry, as raw as wanted.
#[derive(Clone, Debug)]
pub struct Header {
    pub block: [u8; 512],
    pub content: Vec<u8>,
    /// The checksum stays as it is.
    pub raw: bool,
}

impl Header {
    pub fn new(kind: u8, name: impl AsRef<[u8]>, content: &[u8]) -> Self {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_uid(owner().0.into());
        header.set_gid(owner().1.into());
        header.set_mtime(MTIME as u64);
        header.set_size(content.len() as u64);
        header.set_entry_type(tar::EntryType::new(kind));
        let name = name.as_ref();
        let length = name.len().min(100);
        header.as_old_mut().name[..length].copy_from_slice(&name[..length]);
        Self {
            block: *header.as_bytes(),
            content: content.to_vec(),
            raw: false,
        }
    }

    pub fn file(name: impl AsRef<[u8]>, content: &[u8]) -> Self {
        Self::new(b'0', name, content)
    }

    pub fn folder(name: impl AsRef<[u8]>) -> Self {
        Self::new(b'5', name, b"").mode(0o755)
    }

    pub fn link(kind: u8, name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        let mut header = Self::new(kind, name, b"");
        let target = target.as_ref();
        let length = target.len().min(100);
        header.block[157..157 + length].copy_from_slice(&target[..length]);
        header
    }

    fn edit(mut self, edit: impl FnOnce(&mut tar::Header)) -> Self {
        let mut header = tar::Header::from_byte_slice(&self.block).clone();
        edit(&mut header);
        self.block = *header.as_bytes();
        self
    }

    pub fn mode(self, mode: u32) -> Self {
        self.edit(|header| header.set_mode(mode))
    }

    pub fn owner(self, uid: u64, gid: u64) -> Self {
        self.edit(|header| {
            header.set_uid(uid);
            header.set_gid(gid);
        })
    }

    pub fn size(self, size: u64) -> Self {
        self.edit(|header| header.set_size(size))
    }

    pub fn device(self, major: u32, minor: u32) -> Self {
        self.edit(|header| {
            header.set_device_major(major).unwrap();
            header.set_device_minor(minor).unwrap();
        })
    }

    /// Bytes of the block as they are to be, before the checksum.
    pub fn at(mut self, place: usize, bytes: &[u8]) -> Self {
        self.block[place..place + bytes.len()].copy_from_slice(bytes);
        self
    }

    pub fn raw(mut self) -> Self {
        self.raw = true;
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut header = tar::Header::from_byte_slice(&self.block).clone();
        if !self.raw {
            header.set_cksum();
        }
        let mut bytes = header.as_bytes().to_vec();
        bytes.extend(&self.content);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
        bytes
    }
}

/// An archive in the making.
#[derive(Clone, Debug, Default)]
pub struct Archive(pub Vec<u8>);

impl Archive {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn entry(mut self, header: Header) -> Self {
        self.0.extend(header.bytes());
        self
    }

    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    pub fn file(self, name: impl AsRef<[u8]>, content: &[u8]) -> Self {
        self.entry(Header::file(name, content))
    }

    pub fn folder(self, name: impl AsRef<[u8]>, mode: u32) -> Self {
        self.entry(Header::folder(name).mode(mode))
    }

    pub fn symlink(self, name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        self.entry(Header::link(b'2', name, target))
    }

    pub fn hard_link(self, name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        self.entry(Header::link(b'1', name, target))
    }

    pub fn fifo(self, name: impl AsRef<[u8]>) -> Self {
        self.entry(Header::new(b'6', name, b""))
    }

    pub fn device(self, name: impl AsRef<[u8]>, major: u32, minor: u32) -> Self {
        self.entry(Header::new(b'3', name, b"").device(major, minor))
    }

    pub fn pax(self, records: &[(&str, &[u8])]) -> Self {
        let content: Vec<u8> = records
            .iter()
            .flat_map(|(key, value)| record(key, value))
            .collect();
        self.entry(Header::new(b'x', "PaxHeaders/x", &content))
    }

    pub fn long_name(self, name: &[u8]) -> Self {
        self.entry(Header::new(b'L', "././@LongLink", &[name, b"\0"].concat()))
    }

    pub fn long_link(self, name: &[u8]) -> Self {
        self.entry(Header::new(b'K', "././@LongLink", &[name, b"\0"].concat()))
    }

    pub fn finish(mut self) -> Vec<u8> {
        self.0.extend([0; 1024]);
        self.0
    }
}

pub fn record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let digits = (1..)
        .find(|digits| (rest + digits).to_string().len() == *digits)
        .unwrap();
    [
        (rest + digits).to_string().as_bytes(),
        b" ",
        key.as_bytes(),
        b"=",
        value,
        b"\n",
    ]
    .concat()
}

/// A layer that was unpacked, in a folder that vanishes.
pub struct Layer {
    pub place: tempfile::TempDir,
    pub unpacked: Unpacked,
}

impl Layer {
    pub fn unpack(archive: &[u8]) -> Result<Self> {
        let place = tempfile::tempdir().unwrap();
        let layer = place.path().join("layer");
        std::fs::create_dir(&layer).unwrap();
        let unpacked = unpack(&mut &archive[..], &layer, &rules())?;
        Ok(Self { place, unpacked })
    }

    pub fn folder(&self) -> PathBuf {
        self.place.path().join("layer")
    }

    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder().join(TREE).join(name)
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub fn stat(&self, name: &str) -> std::fs::Metadata {
        std::fs::symlink_metadata(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub fn attribute(&self, name: &str, attribute: &str) -> Option<Vec<u8>> {
        let mut value = vec![0; 65_536];
        let length = rustix::fs::lgetxattr(self.path(name), attribute, &mut value[..]).ok()?;
        value.truncate(length);
        Some(value)
    }

    pub fn attributes(&self, name: &str) -> Vec<String> {
        attributes(&self.path(name))
    }

    pub fn reassembled(&self) -> Vec<u8> {
        let mut archive = Vec::new();
        reassemble(&self.folder(), &mut archive).unwrap();
        archive
    }
}

pub fn attributes(path: &Path) -> Vec<String> {
    let mut list = vec![0; 65_536];
    let length = rustix::fs::llistxattr(path, &mut list[..]).unwrap();
    let mut names: Vec<String> = list[..length]
        .split(|&byte| byte == 0)
        .filter(|name| !name.is_empty())
        .map(|name| String::from_utf8_lossy(name).into_owned())
        .collect();
    names.sort();
    names
}

pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Ids that this caller can give files to.
pub fn owner() -> (u32, u32) {
    let folder = std::fs::metadata("/proc/self").unwrap();
    (folder.uid(), folder.gid())
}

pub fn rules() -> Rules {
    Rules {
        ownership: if is_root() {
            Ownership::Kept
        } else {
            Ownership::Caller
        },
        limits: Limits::default(),
        keep_setuid: false,
    }
}

pub fn digest(bytes: &[u8]) -> Digest {
    Digest::from_sha256(sha2::Sha256::digest(bytes).into())
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Bytes that do not compress, always the same.
pub fn random(count: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    })
    .flatten()
    .take(count)
    .collect()
}
