//! Removing images, and layers that no image has.
//!
//! Names go first, then the record, then the layers: what a crash leaves is never an image without its layers.
//! Nothing is removed while a writer lives, and trees are deleted only after the store is free again.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::Path,
};

use agentkernel_types::{Digest, ErrorKind};

use super::{
    Removed, Store,
    file::open,
    inventory::{Inventory, digest_of, files, sizes},
    lock::{Kind, Lock},
    work::Work,
};
use crate::{Error, Reference, Result, failure::io_error, manifest};

#[derive(Clone, Copy)]
enum Which {
    Nameless,
    All,
    /// The least recently used ones, until all layers take at most this much.
    Until(u64),
}

impl Store {
    /// Removes a name, and with its last name the image and the layers that no other one has. An image that is
    /// leased or in `kept` is refused. By id an image with several names is removed with `force` only.
    pub fn remove(&self, text: &str, kept: &[Digest], force: bool) -> Result<Removed> {
        let Some(alone) = self.alone()? else {
            return Err(unknown(text));
        };
        let id = self.resolve(text)?.ok_or_else(|| unknown(text))?;
        let inventory = self.inventory()?;
        let names = inventory.names_of(&id);
        // By a name if it is one of the image's; else by an id.
        let name = text.parse::<Reference>().ok().map(|name| name.to_string());
        let name = name.filter(|name| names.contains(name));
        match name {
            Some(name) if names.len() > 1 && !force => {
                self.forget(&inventory, |named| named == name)?;
                return Ok(Removed {
                    names: vec![name],
                    ..Removed::default()
                });
            }
            None if names.len() > 1 && !force => {
                return Err(Error::new(
                    ErrorKind::Conflict,
                    "image",
                    format!("the image {} has several names: {}", id.short(), names.join(", ")),
                )
                .hint("remove one of the names, or all of it with --force"));
            }
            _ => {}
        }
        if kept.contains(&id) {
            return Err(in_use(&id, "a sandbox that is kept has it as its root"));
        }
        let chosen = BTreeSet::from([id.clone()]);
        let locks = self.claim(&chosen)?;
        if locks.is_empty() {
            return Err(in_use(&id, "a sandbox runs on it"));
        }
        self.take_away(&inventory, locks, alone)
    }

    /// Removes images that are in no use: those without a name, all with `all`, or instead with `keep_bytes` the least
    /// recently used ones until at most that much is taken. With them go layers and names that lead nowhere. `dry_run`
    /// only says what would go.
    ///
    /// What was just added is used just now, but goes too if it alone is larger than `keep_bytes`: lease it.
    pub fn prune(
        &self,
        kept: &[Digest],
        all: bool,
        keep_bytes: Option<u64>,
        dry_run: bool,
    ) -> Result<Removed> {
        let Some(alone) = self.alone()? else {
            return Ok(Removed::default());
        };
        let inventory = self.inventory()?;
        let which = match keep_bytes {
            Some(most) => Which::Until(most),
            None if all => Which::All,
            None => Which::Nameless,
        };
        let chosen = choose(&inventory, kept, which);
        if dry_run {
            return self.foresee(&inventory, &chosen);
        }
        let locks = self.claim(&chosen)?;
        self.take_away(&inventory, locks, alone)
    }

    /// The right to remove. None: there is no store.
    fn alone(&self) -> Result<Option<Lock>> {
        let path = self.layout.lock();
        let file = match open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(io_error("open", &path))?,
        };
        let lock = Lock::wait_for(file, Kind::Exclusive, self.patience).map_err(io_error("lock", &path))?;
        match lock {
            Some(lock) => Ok(Some(lock)),
            None => Err(Error::new(
                ErrorKind::Conflict,
                "image",
                "a pull or an import is at work in the image store, so nothing can be removed now",
            )
            .hint("try again when it has ended")),
        }
    }

    /// Locks the records of images that nobody uses at this moment; the others are left out.
    fn claim(&self, chosen: &BTreeSet<Digest>) -> Result<BTreeMap<Digest, Option<Lock>>> {
        let mut locks = BTreeMap::new();
        for id in chosen {
            let path = self.layout.image(id);
            match open(&path) {
                // What is no file cannot be leased.
                Err(_) => {
                    locks.insert(id.clone(), None);
                }
                Ok(file) => {
                    let lock = Lock::attempt(file, Kind::Exclusive).map_err(io_error("lock", &path))?;
                    if lock.is_some() {
                        locks.insert(id.clone(), lock);
                    }
                }
            }
        }
        Ok(locks)
    }

    fn take_away(
        &self,
        inventory: &Inventory,
        locks: BTreeMap<Digest, Option<Lock>>,
        alone: Lock,
    ) -> Result<Removed> {
        let gone: BTreeSet<Digest> = locks.keys().cloned().collect();
        let mut removed = self.foresee(inventory, &gone)?;
        let left = |id: &Digest| inventory.images.iter().any(|found| found.id == *id) && !gone.contains(id);
        self.forget_where(inventory, |named| named.is_none_or(|named| !left(&named.id)))?;
        for id in &gone {
            remove_entry(&self.layout.image(id))?;
        }
        for path in files(&self.layout.configs())? {
            let id = path.file_name().and_then(|name| digest_of(name.to_str()?));
            if !id.is_some_and(|id| left(&id)) {
                remove_entry(&path)?;
            }
        }
        for path in files(&self.layout.manifests())? {
            let config = fs::read(&path).ok().and_then(|bytes| manifest::config_of(&bytes));
            if !config.is_some_and(|id| left(&id)) {
                remove_entry(&path)?;
            }
        }
        let work = Work::fresh(&self.layout.incoming())?;
        for diff_id in self.orphans(inventory, &gone)? {
            let (from, to) = (self.layout.layer(&diff_id), work.folder().join(diff_id.hex()));
            fs::rename(&from, &to).map_err(io_error("rename", &from))?;
        }
        drop((locks, alone));
        removed.names.sort();
        work.finish()?;
        Ok(removed)
    }

    /// What the removal of these images would remove and free.
    fn foresee(&self, inventory: &Inventory, gone: &BTreeSet<Digest>) -> Result<Removed> {
        let sizes = sizes(inventory.records());
        let orphans = self.orphans(inventory, gone)?;
        let mut names: Vec<String> = gone.iter().flat_map(|id| inventory.names_of(id)).collect();
        names.sort();
        Ok(Removed {
            images: gone.iter().cloned().collect(),
            names,
            bytes: orphans.iter().filter_map(|diff_id| sizes.get(diff_id)).sum(),
        })
    }

    /// Layers that no image has but those that go. A damaged record in use could have any of them.
    fn orphans(&self, inventory: &Inventory, gone: &BTreeSet<Digest>) -> Result<Vec<Digest>> {
        let unknown = |found: &super::inventory::Found| found.record.is_err() && found.in_use;
        if inventory.images.iter().any(unknown) {
            return Ok(Vec::new());
        }
        let staying = inventory.records().filter(|record| !gone.contains(&record.id));
        let used = sizes(staying);
        let layers = files(&self.layout.layers())?;
        let found = layers
            .iter()
            .filter_map(|path| digest_of(path.file_name()?.to_str()?));
        Ok(found.filter(|diff_id| !used.contains_key(diff_id)).collect())
    }

    fn forget(&self, inventory: &Inventory, which: impl Fn(&str) -> bool) -> Result<()> {
        self.forget_where(inventory, |named| named.is_some_and(|named| which(&named.name)))
    }

    fn forget_where(
        &self,
        inventory: &Inventory,
        which: impl Fn(Option<&super::record::NameRecord>) -> bool,
    ) -> Result<()> {
        for (path, named) in &inventory.names {
            if which(named.as_ref()) {
                remove_entry(path)?;
            }
        }
        Ok(())
    }
}

fn choose(inventory: &Inventory, kept: &[Digest], which: Which) -> BTreeSet<Digest> {
    let free = inventory
        .images
        .iter()
        .filter(|found| !found.in_use && !kept.contains(&found.id));
    match which {
        Which::All => free.map(|found| found.id.clone()).collect(),
        Which::Nameless => free
            .filter(|found| inventory.names_of(&found.id).is_empty())
            .map(|found| found.id.clone())
            .collect(),
        Which::Until(most) => {
            let mut oldest_first: Vec<_> = free.collect();
            oldest_first.sort_by_key(|found| found.used_at_ms);
            let mut gone = BTreeSet::new();
            for found in oldest_first {
                let staying = inventory.records().filter(|record| !gone.contains(&record.id));
                if sizes(staying).values().sum::<u64>() <= most {
                    break;
                }
                gone.insert(found.id.clone());
            }
            gone
        }
    }
}

/// Removes a file, or whatever else has its name. The gone is a success.
fn remove_entry(path: &Path) -> Result<()> {
    agentkernel_store::delete_tree(path).map_err(io_error("remove", path))
}

fn unknown(text: &str) -> Error {
    let shown: String = text.chars().take(100).collect();
    Error::new(
        ErrorKind::NotFound,
        "image",
        format!("no image in the store is called {shown:?}"),
    )
    .hint("agentkernel image list shows what is there")
}

fn in_use(id: &Digest, why: &str) -> Error {
    Error::new(
        ErrorKind::Conflict,
        "image",
        format!("the image {} is in use: {why}", id.short()),
    )
    .hint("remove or stop the sandbox first: agentkernel list")
}
