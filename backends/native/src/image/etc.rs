//! A filtered copy of /etc, made once and kept in the cache folder.
//!
//! An allow-list: what is not named here is not there. Only files that everyone may read are copied, so no
//! shadow, no keys; the machine's identity is not on the list.

use std::{
    collections::hash_map::DefaultHasher,
    fs,
    hash::{Hash, Hasher},
    io,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
};

/// Files, and folders of which only the files directly within are copied.
const SHALLOW: [&str; 39] = [
    "alternatives",
    "bash.bashrc",
    "bindresvport.blacklist",
    "ca-certificates.conf",
    "debian_version",
    "fedora-release",
    "gai.conf",
    "host.conf",
    "inputrc",
    "issue",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "locale.alias",
    "locale.conf",
    "locale.gen",
    "localtime",
    "login.defs",
    "lsb-release",
    "magic",
    "magic.mime",
    "mailcap",
    "mime.types",
    "networks",
    "nsswitch.conf",
    "os-release",
    "papersize",
    "profile",
    "protocols",
    "redhat-release",
    "rpc",
    "services",
    "shells",
    "ssl/certs",
    "ssl/openssl.cnf",
    "ssl/ct_log_list.cnf",
    "timezone",
    "xattr.conf",
    "vconsole.conf",
];

/// Folders that are copied with everything in them, by the beginning of their name.
const DEEP: [&str; 16] = [
    "java",
    "python",
    "perl",
    "php",
    "ruby",
    "lua",
    "maven",
    "gradle",
    "fonts",
    "terminfo",
    "skel",
    "pki",
    "crypto-policies",
    "ImageMagick",
    "ghc",
    "dotnet",
];

const MAX_FILE: u64 = 4 << 20;
const MAX_ENTRIES: usize = 20_000;
const MAX_DEPTH: usize = 8;

/// The folder with the copy. Made again when one of the originals has changed.
pub(crate) fn filtered(cache_dir: &Path) -> io::Result<PathBuf> {
    filtered_from(Path::new("/etc"), cache_dir)
}

fn filtered_from(etc: &Path, cache_dir: &Path) -> io::Result<PathBuf> {
    let deep = deep_folders(etc)?;
    let parent = cache_dir.join("host-image");
    let wanted = parent.join(format!("etc-{:016x}", fingerprint(etc, &deep)));
    if wanted.is_dir() {
        return Ok(wanted);
    }
    fs::create_dir_all(&parent)?;
    let unfinished = crate::unfinished::path_in(&parent);
    copy(etc, &deep, &unfinished)?;
    match fs::rename(&unfinished, &wanted) {
        // Older copies stay: a running sandbox may have them under its own /etc.
        Ok(()) => {}
        // Another process was first: its copy is as good.
        Err(_) if wanted.is_dir() => fs::remove_dir_all(&unfinished)?,
        Err(error) => return Err(error),
    }
    Ok(wanted)
}

fn deep_folders(etc: &Path) -> io::Result<Vec<String>> {
    let mut found: Vec<String> = fs::read_dir(etc)?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| DEEP.iter().any(|start| name.starts_with(start)))
        .collect();
    found.sort();
    Ok(found)
}

/// Over the names, times and sizes of what is copied; of a folder, over its own time.
fn fingerprint(etc: &Path, deep: &[String]) -> u64 {
    // The version of the lists and of the copying, so that a new program does not take an old copy.
    let mut hasher = DefaultHasher::new();
    (1u32, SHALLOW, DEEP).hash(&mut hasher);
    for name in SHALLOW.iter().copied().chain(deep.iter().map(String::as_str)) {
        if let Ok(found) = fs::symlink_metadata(etc.join(name)) {
            (name, found.mtime(), found.mtime_nsec(), found.size(), found.ino()).hash(&mut hasher);
        }
    }
    hasher.finish()
}

fn copy(etc: &Path, deep: &[String], to: &Path) -> io::Result<()> {
    let mut budget = MAX_ENTRIES;
    make_folder(to)?;
    make_folder(&to.join("ssl"))?;
    for name in SHALLOW {
        copy_entry(&etc.join(name), &to.join(name), 1, &mut budget)?;
    }
    for name in deep {
        copy_entry(&etc.join(name), &to.join(name), MAX_DEPTH, &mut budget)?;
    }
    // As on every Linux; the original may point elsewhere.
    symlink("/proc/self/mounts", to.join("mtab"))
}

fn copy_entry(from: &Path, to: &Path, depth: usize, budget: &mut usize) -> io::Result<()> {
    let Ok(found) = fs::symlink_metadata(from) else {
        return Ok(());
    };
    *budget = budget.saturating_sub(1);
    if *budget == 0 {
        return Ok(());
    }
    let kind = found.file_type();
    if kind.is_symlink() {
        return symlink(fs::read_link(from)?, to);
    }
    let public = found.mode() & 0o004 != 0;
    if kind.is_file() && public && found.size() <= MAX_FILE {
        fs::copy(from, to)?;
        return fs::set_permissions(to, fs::Permissions::from_mode(found.mode() & 0o755 | 0o444));
    }
    if kind.is_dir() && public && depth > 0 {
        make_folder(to)?;
        for entry in fs::read_dir(from)? {
            let name = entry?.file_name();
            copy_entry(&from.join(&name), &to.join(&name), depth - 1, budget)?;
        }
    }
    Ok(())
}

fn make_folder(path: &Path) -> io::Result<()> {
    fs::create_dir(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}
