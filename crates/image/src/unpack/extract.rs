//! Puts entry after entry into the tree, by the caller's rules.

use std::{
    fs::File,
    io::Write,
    os::{fd::OwnedFd, unix::fs::FileExt},
};

use rustix::fs::{Mode, OFlags, fchmod, fchown, futimens, openat};
use rustix::thread::{Gid, Uid};

use super::{
    Ownership, RECIPE, Rules, attributes,
    fault::Fault,
    folders::Look,
    name::{self, Role},
    recipe,
    stream::Stream,
    tape::{Content, Entry, Kind, Tape},
    tree::{Folder, Tree},
};
use crate::{Error, Owners};

/// Set-user-id and set-group-id.
const SET_ID: u32 = 0o6000;

/// What was found on the way.
#[derive(Debug, Default)]
pub(super) struct Counted {
    pub(super) content_bytes: u64,
    pub(super) entries: u64,
    pub(super) owners: Owners,
    pub(super) devices: u64,
    pub(super) setuid: u64,
}

/// From the first entry to the last byte.
pub(super) fn extract(stream: Stream, layer: OwnedFd, rules: &Rules) -> Result<Counted, Error> {
    let at_start = |fault: Fault| fault.into_error("unpack", None);
    let recipe = create_recipe(&layer).map_err(at_start)?;
    let mut tape = Tape::new(stream, recipe, rules.limits.entries);
    let tree = Tree::create(layer, rules.limits, rules.ownership == Ownership::Kept).map_err(at_start)?;
    let mut extraction = Extraction {
        tree,
        rules,
        counted: Counted::default(),
    };
    loop {
        let result = tape.next().and_then(|entry| match entry {
            Some(entry) => extraction.entry(&mut tape, &entry).map(|()| true),
            None => Ok(false),
        });
        match result {
            Ok(true) => {}
            Ok(false) => break,
            Err(fault) => return Err(fault.into_error("unpack", tape.name.as_deref())),
        }
    }
    tape.finish().map_err(at_start)?;
    extraction.tree.finish().map_err(at_start)?;
    Ok(extraction.counted)
}

fn create_recipe(layer: &OwnedFd) -> Result<recipe::Writer, Fault> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(layer, RECIPE, flags, Mode::RUSR | Mode::WUSR)
        .map_err(Into::into)
        .and_then(|file| recipe::Writer::create(File::from(file)))
        .map_err(|error| Fault::broken("make the recipe", error))
}

struct Extraction<'a> {
    tree: Tree,
    rules: &'a Rules,
    counted: Counted,
}

impl Extraction<'_> {
    fn entry(&mut self, tape: &mut Tape, entry: &Entry) -> Result<(), Fault> {
        self.count(entry)?;
        self.tree.files = tape.files();
        let parts = name::split(&entry.name, &self.rules.limits)?;
        let (parent, role) = name::role(&parts)?;
        match role {
            Role::Root => return self.root(entry),
            Role::Entry(name) => {
                let parent = self.tree.parent(parent)?;
                return self.put(tape, entry, &parent, name);
            }
            Role::Whiteout(name) => {
                let parent = self.tree.parent(parent)?;
                self.tree.whiteout(&parent, name)?;
            }
            Role::Opaque => {
                let parent = self.tree.parent(parent)?;
                self.tree.opaque(&parent)?;
            }
            Role::Foreign => {}
        }
        match &entry.kind {
            Kind::File(content) => tape.skip(content),
            _ => Ok(()),
        }
    }

    fn count(&mut self, entry: &Entry) -> Result<(), Fault> {
        let limits = &self.rules.limits;
        self.counted.entries += 1;
        if self.counted.entries > limits.entries {
            return Err(Fault::exhausted(format!(
                "there are more than {} entries, which is the limit",
                limits.entries
            )));
        }
        if let Kind::File(content) = &entry.kind {
            let sum = self.counted.content_bytes.saturating_add(content.size());
            if sum > limits.bytes {
                return Err(Fault::exhausted(format!(
                    "with it the files have more than {} bytes, which is the limit",
                    limits.bytes
                )));
            }
            self.counted.content_bytes = sum;
        }
        Ok(())
    }

    fn owner(&mut self, entry: &Entry) -> Result<Option<(u32, u32)>, Fault> {
        let owners = &mut self.counted.owners;
        owners.uids.insert(entry.uid);
        owners.gids.insert(entry.gid);
        let most = self.rules.limits.owners;
        if owners.uids.len() > most || owners.gids.len() > most {
            return Err(Fault::exhausted(format!(
                "with it the files belong to more than {most} owners or groups, which is the limit"
            )));
        }
        Ok(match self.rules.ownership {
            Ownership::Kept => Some((entry.uid, entry.gid)),
            Ownership::Caller => None,
        })
    }

    /// Set-group-id of a folder only hands its group down, and stays.
    fn mode(&mut self, entry: &Entry) -> u32 {
        // Without privilege the caller must be able to read and list its own store.
        let (readable, listable) = match self.rules.ownership {
            Ownership::Kept => (0, 0),
            Ownership::Caller => (0o400, 0o500),
        };
        match entry.kind {
            Kind::Folder if self.rules.keep_setuid => entry.mode | listable,
            Kind::Folder => entry.mode & !0o4000 | listable,
            Kind::Device => 0,
            _ if entry.mode & SET_ID != 0 && !self.rules.keep_setuid => {
                self.counted.setuid += 1;
                entry.mode & !SET_ID | readable
            }
            _ => entry.mode | readable,
        }
    }

    fn root(&mut self, entry: &Entry) -> Result<(), Fault> {
        if !matches!(entry.kind, Kind::Folder) {
            return Err(Fault::denied("the root of the tree can only be a folder"));
        }
        let owner = self.owner(entry)?;
        let look = Look {
            mode: self.mode(entry),
            mtime: entry.mtime,
        };
        let root = self.tree.root(look)?;
        attributes::own(&root, b"", owner)?;
        give_attributes(&root, b"", entry)
    }

    fn put(&mut self, tape: &mut Tape, entry: &Entry, parent: &Folder, name: &[u8]) -> Result<(), Fault> {
        // Links may have made it longer than the name in the archive.
        if parent.child(name).len() > name::NAME {
            return Err(Fault::malformed("its name is too long"));
        }
        if let Kind::HardLink(target) = &entry.kind {
            return self.hard_link(parent, name, target);
        }
        let owner = self.owner(entry)?;
        let mode = self.mode(entry);
        match &entry.kind {
            Kind::File(content) => {
                let file = self.tree.file(parent, name)?;
                fill(tape, content, &parent.child(name), &file)?;
                finish_file(&file, entry, owner, mode)
            }
            Kind::Device => {
                self.counted.devices += 1;
                let file = self.tree.file(parent, name)?;
                finish_file(&file, entry, owner, mode)
            }
            Kind::Folder => {
                let look = Look {
                    mode,
                    mtime: entry.mtime,
                };
                self.tree.folder(parent, name, look)?;
                attributes::own(parent, name, owner)?;
                give_attributes(parent, name, entry)
            }
            Kind::Symlink(target) => {
                self.tree.symlink(parent, name, target)?;
                attributes::own(parent, name, owner)?;
                attributes::set_times(parent, name, entry.mtime)
            }
            Kind::Fifo => {
                self.tree.fifo(parent, name)?;
                attributes::own(parent, name, owner)?;
                attributes::set_mode(parent, name, mode)?;
                attributes::set_times(parent, name, entry.mtime)
            }
            Kind::HardLink(_) => Ok(()),
        }
    }

    /// Owner, mode and times are those of what is linked.
    fn hard_link(&mut self, parent: &Folder, name: &[u8], target: &[u8]) -> Result<(), Fault> {
        let parts = name::split(target, &self.rules.limits)
            .map_err(|_| Fault::denied("the target of the hard link cannot be"))?;
        let (folder, role) = name::role(&parts)?;
        let Role::Entry(target) = role else {
            return Err(Fault::denied("the target of the hard link is no file"));
        };
        let folder = self.tree.parent(folder)?;
        self.tree.link(parent, name, (&folder, target))
    }
}

/// Content in pieces as large as they come; between extents there is nothing, and it stays so.
fn fill(tape: &mut Tape, content: &Content, path: &[u8], file: &File) -> Result<(), Fault> {
    let unwritten = |error| Fault::broken("write its content", error);
    let mut end = 0;
    tape.content(content, path, |offset, bytes| {
        let written = match offset == end {
            true => (&*file).write_all(bytes),
            false => file.write_all_at(bytes, offset),
        };
        // Writing in order needs no place; after the first hole every piece has one.
        end = if offset == end {
            end + bytes.len() as u64
        } else {
            u64::MAX
        };
        written.map_err(unwritten)
    })?;
    if end != content.size() {
        file.set_len(content.size()).map_err(unwritten)?;
    }
    Ok(())
}

/// Owner first, because it takes bits of the mode away; user attributes before the mode, because they need the
/// permission to write; the time last.
fn finish_file(file: &File, entry: &Entry, owner: Option<(u32, u32)>, mode: u32) -> Result<(), Fault> {
    let failed = |error| Fault::broken("set its owner, mode and time", error);
    if let Some((uid, gid)) = owner {
        fchown(file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid))).map_err(failed)?;
    }
    attributes::set_attributes(file, &entry.attributes)?;
    fchmod(file, Mode::from_raw_mode(mode)).map_err(failed)?;
    futimens(file, &attributes::timestamps(entry.mtime)).map_err(failed)
}

fn give_attributes(parent: &Folder, name: &[u8], entry: &Entry) -> Result<(), Fault> {
    if entry.attributes.is_empty() {
        return Ok(());
    }
    attributes::set_attributes(attributes::open_folder(parent, name)?, &entry.attributes)
}
