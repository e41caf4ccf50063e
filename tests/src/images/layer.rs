//! One layer's archive, entry by entry.
//!
//! Names are written as they are given: `../x`, absolute ones and links to anywhere are what half of the tests are
//! about, so nothing is checked here.

use tar::{EntryType, Header};

/// One entry. Fields that are left out are those of an ordinary file of root.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    pub kind: EntryType,
    pub name: &'a str,
    /// The target of a link.
    pub link: &'a str,
    pub mode: u32,
    pub uid: u64,
    pub gid: u64,
    /// Major and minor number of a device.
    pub device: (u32, u32),
    pub content: &'a [u8],
}

impl Default for Entry<'_> {
    fn default() -> Self {
        Self {
            kind: EntryType::Regular,
            name: "file",
            link: "",
            mode: 0o644,
            uid: 0,
            gid: 0,
            device: (0, 0),
            content: b"",
        }
    }
}

#[derive(Clone, Debug, Default)]
pub struct Layer {
    archive: Vec<u8>,
}

impl Layer {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn folder(self, name: &str, mode: u32) -> Self {
        self.entry(&Entry {
            kind: EntryType::Directory,
            name,
            mode,
            ..Entry::default()
        })
    }

    pub fn file(self, name: &str, mode: u32, content: impl AsRef<[u8]>) -> Self {
        self.entry(&Entry {
            name,
            mode,
            content: content.as_ref(),
            ..Entry::default()
        })
    }

    /// A folder (its name ends with a slash) or a file of this user.
    pub fn owned(self, name: &str, owner: u64, mode: u32, content: &str) -> Self {
        self.entry(&Entry {
            kind: match name.ends_with('/') {
                true => EntryType::Directory,
                false => EntryType::Regular,
            },
            name,
            mode,
            uid: owner,
            gid: owner,
            content: content.as_bytes(),
            ..Entry::default()
        })
    }

    pub fn symlink(self, name: &str, target: &str) -> Self {
        self.entry(&Entry {
            kind: EntryType::Symlink,
            name,
            link: target,
            mode: 0o777,
            ..Entry::default()
        })
    }

    pub fn hard_link(self, name: &str, target: &str) -> Self {
        self.entry(&Entry {
            kind: EntryType::Link,
            name,
            link: target,
            ..Entry::default()
        })
    }

    /// Takes away what a lower layer has.
    pub fn whiteout(self, name: &str) -> Self {
        let (folder, name) = name.rsplit_once('/').unwrap_or(("", name));
        let separator = if folder.is_empty() { "" } else { "/" };
        self.file(&format!("{folder}{separator}.wh.{name}"), 0o644, "")
    }

    /// Takes away everything that lower layers have in this folder.
    pub fn opaque(self, folder: &str) -> Self {
        self.file(&format!("{folder}/.wh..wh..opq"), 0o644, "")
    }

    pub fn entry(self, entry: &Entry<'_>) -> Self {
        self.entry_of_size(entry, entry.content.len() as u64)
    }

    /// An entry whose header claims another size than its content has.
    pub fn entry_of_size(mut self, entry: &Entry<'_>, size: u64) -> Self {
        let mut header = Header::new_ustar();
        let name = &mut header.as_old_mut().name;
        assert!(entry.name.len() <= name.len(), "a name of at most 100 bytes");
        name[..entry.name.len()].copy_from_slice(entry.name.as_bytes());
        let link = &mut header.as_old_mut().linkname;
        assert!(entry.link.len() <= link.len(), "a target of at most 100 bytes");
        link[..entry.link.len()].copy_from_slice(entry.link.as_bytes());
        header.set_entry_type(entry.kind);
        header.set_mode(entry.mode);
        header.set_uid(entry.uid);
        header.set_gid(entry.gid);
        header.set_mtime(1_600_000_000);
        header.set_size(size);
        if matches!(entry.kind, EntryType::Char | EntryType::Block) {
            header
                .set_device_major(entry.device.0)
                .expect("ustar has devices");
            header
                .set_device_minor(entry.device.1)
                .expect("ustar has devices");
        }
        header.set_cksum();
        self.archive.extend_from_slice(header.as_bytes());
        self.archive.extend_from_slice(entry.content);
        self.archive.resize(self.archive.len().next_multiple_of(512), 0);
        self
    }

    /// Bytes that are no entry at all.
    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.archive.extend_from_slice(bytes);
        self
    }

    /// The archive, with its end.
    pub fn finish(mut self) -> Vec<u8> {
        self.archive.resize(self.archive.len() + 1024, 0);
        self.archive
    }

    /// The archive as it is, without an end.
    pub fn cut(self) -> Vec<u8> {
        self.archive
    }
}
