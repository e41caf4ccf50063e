//! The files of an archive, laid down in `incoming` under numbers: no name of the archive ever becomes a path.

use std::{
    cell::Cell,
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
};

use agentkernel_types::ErrorKind;

use super::{
    entries::{Entries, Kind},
    files::{Files, normal},
    sniff::{Sniffed, decode},
    wrong,
};
use crate::{
    Error, Result, Writer,
    failure::{io_error, read_error},
    store::Work,
    unpack::Limits,
};

/// An image has a few files a layer; an archive a few images.
const MAX_ENTRIES: usize = 65536;
/// Before this much the ratio says nothing.
const RATIO_FROM: u64 = 8 << 20;
const MAX_LINKS: usize = 8;

pub struct Spooled {
    work: Work,
    names: BTreeMap<String, Item>,
}

enum Item {
    /// Its number in the folder.
    File(usize),
    /// The name that it stands for.
    Link(String),
    Other,
}

pub fn spool(writer: &Writer, archive: &mut Sniffed<'_>, limits: &Limits) -> Result<Spooled> {
    let mut spooled = Spooled {
        work: Work::fresh(&writer.incoming())?,
        names: BTreeMap::new(),
    };
    let read = read_error("import", "the archive");
    let packed = Cell::new(0);
    let counted = Counted {
        from: &mut archive.stream,
        packed: &packed,
    };
    let mut entries = Entries::new(Bounded {
        from: decode(archive.compression, counted).map_err(&read)?,
        packed: &packed,
        plain: 0,
        limits: *limits,
    });
    let mut bytes = 0_u64;
    while let Some(entry) = entries.next().map_err(&read)? {
        if spooled.names.len() >= MAX_ENTRIES {
            return Err(exhausted(format!("it has more than {MAX_ENTRIES} entries")));
        }
        let shown = String::from_utf8_lossy(&entry.name).into_owned();
        let name = normal(&entry.name).ok_or_else(|| wrong(format!("it has an entry named {shown:?}")))?;
        bytes = bytes.saturating_add(entry.size).saturating_add(512);
        if bytes > limits.bytes {
            return Err(exhausted(format!("it has more than {} bytes", limits.bytes)));
        }
        let item = match entry.kind {
            Kind::Folder => continue,
            Kind::File => {
                let number = spooled.names.len();
                spooled.write(number, &mut entries).map_err(&read)?;
                Item::File(number)
            }
            Kind::Symlink(target) => Item::Link(link(&name, &target)?),
            Kind::Hardlink(target) => Item::Link(link("", &target)?),
            Kind::Other => Item::Other,
        };
        if spooled.names.insert(name, item).is_some() {
            return Err(wrong(format!("it has {shown:?} twice")));
        }
    }
    entries.finish().map_err(&read)?;
    Ok(spooled)
}

impl Spooled {
    fn path(&self, number: usize) -> std::path::PathBuf {
        self.work.folder().join(number.to_string())
    }

    fn write(&self, number: usize, content: &mut impl Read) -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(self.path(number))?;
        io::copy(content, &mut file).map(drop)
    }
}

impl Files for Spooled {
    fn open(&self, name: &str) -> Result<Option<(Box<dyn Read + Send>, u64)>> {
        let Some(mut name) = normal(name.as_bytes()) else {
            return Err(wrong(format!("{name:?} leads out of it")));
        };
        for _ in 0..MAX_LINKS {
            match self.names.get(&name) {
                None => return Ok(None),
                Some(Item::Link(target)) => name.clone_from(target),
                Some(Item::Other) => return Err(wrong(format!("{name:?} is not a regular file"))),
                Some(Item::File(number)) => {
                    let path = self.path(*number);
                    let file = File::open(&path).map_err(io_error("open", &path))?;
                    let size = file.metadata().map_err(io_error("examine", &path))?.len();
                    return Ok(Some((Box::new(file), size)));
                }
            }
        }
        Err(wrong(format!("{name:?} is a link that leads in a circle")))
    }
}

/// Where a link leads, by names alone: docker-save writes `../<id>/layer.tar` for a layer that it has already.
fn link(name: &str, target: &[u8]) -> Result<String> {
    let out = || wrong(format!("the link {name:?} leads out of it"));
    let target = std::str::from_utf8(target).map_err(|_| out())?;
    if target.starts_with('/') || target.contains('\0') {
        return Err(out());
    }
    let mut parts: Vec<&str> = name.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop().ok_or_else(out)?;
            }
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}

/// Counts what has come in.
struct Counted<'a, R> {
    from: R,
    packed: &'a Cell<u64>,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        self.packed.set(self.packed.get() + read as u64);
        Ok(read)
    }
}

/// Refuses what becomes far too much, or too much out of little.
struct Bounded<'a, R> {
    from: R,
    packed: &'a Cell<u64>,
    plain: u64,
    limits: Limits,
}

impl<R: Read> Read for Bounded<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        self.plain += read as u64;
        let Limits { bytes, ratio, .. } = self.limits;
        if self.plain > bytes {
            let why = format!("it has more than {bytes} bytes");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
        }
        if self.plain > RATIO_FROM && self.plain > self.packed.get().saturating_mul(ratio) {
            let why = format!("it is compressed more than {ratio} times, as no image is");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
        }
        Ok(read)
    }
}

fn exhausted(why: String) -> Error {
    Error::new(
        ErrorKind::Exhausted,
        "import",
        format!("the archive cannot be imported: {why}"),
    )
}
