//! Packs files of a sandbox into a pax archive. Names and sizes come from the sandbox and are not trusted.

use agentkernel_backend::{Context, Error, FileKind, FileStat, Files, Result};
use agentkernel_types::{ErrorKind, GuestPath};
use bytes::Bytes;
use tar::{EntryType, Header};
use tokio::sync::mpsc::Sender;

use super::{BLOCK, MAX_DEPTH, MAX_ENTRIES, pax};

/// The longest name that fits into a plain header.
const PLAIN_NAME: usize = 100;
/// The largest size and time that fit into 11 octal digits.
const PLAIN_NUMBER: u64 = 0o777_7777_7777;

type Archive = Sender<Result<Bytes>>;

/// Whoever reads has gone: not worth an error.
fn left<T>(_: T) -> Error {
    Error::new(ErrorKind::Conflict, "copy", "nobody reads the archive any more")
}

pub(super) async fn pack(
    cx: &Context,
    files: &dyn Files,
    path: GuestPath,
    stat: FileStat,
    archive: &Archive,
) -> Result<()> {
    // The root has no name: its entries are below `.`.
    let name = path.file_name().unwrap_or(".").to_owned();
    let mut entries = 0;
    // What is still to be packed: where it is, what it is called in the archive, what it is.
    let mut waiting = vec![(path, name, stat)];
    while let Some((path, name, stat)) = waiting.pop() {
        entries += 1;
        if entries > MAX_ENTRIES {
            return Err(too_much(format!("more than {MAX_ENTRIES} entries")));
        }
        match stat.kind {
            FileKind::File => file(cx, files, &path, &name, &stat, archive).await?,
            FileKind::Symlink => send_header(&name, &stat, EntryType::Symlink, archive).await?,
            FileKind::Other => {}
            FileKind::Directory => {
                if name.matches('/').count() >= MAX_DEPTH {
                    return Err(too_much(format!("folders more than {MAX_DEPTH} deep")));
                }
                send_header(&format!("{name}/"), &stat, EntryType::Directory, archive).await?;
                // In reverse, so that the first one is on top.
                for stat in files.list(cx, &path).await?.into_iter().rev() {
                    let own = own_name(&path, &stat.name)?;
                    waiting.push((path.join(own)?, format!("{name}/{own}"), stat.clone()));
                }
            }
        }
    }
    archive
        .send(Ok(Bytes::from_static(&[0; 2 * BLOCK])))
        .await
        .map_err(left)
}

fn too_much(what: String) -> Error {
    Error::new(
        ErrorKind::Exhausted,
        "copy",
        format!("too much to copy at once: {what}"),
    )
}

/// One part of a path, or the sandbox lies.
fn own_name<'a>(folder: &GuestPath, name: &'a [u8]) -> Result<&'a str> {
    let shown = String::from_utf8_lossy(name);
    let wrong = |why: &str| {
        let message = format!("cannot copy the entry {shown:?} of {folder}: {why}");
        Err(Error::new(ErrorKind::InvalidSpec, "copy", message))
    };
    match std::str::from_utf8(name) {
        Err(_) => wrong("its name is not UTF-8"),
        Ok("" | "." | "..") => wrong("it is no name"),
        Ok(name) if name.contains(['/', '\0']) => wrong("it is no name"),
        Ok(name) => Ok(name),
    }
}

async fn file(
    cx: &Context,
    files: &dyn Files,
    path: &GuestPath,
    name: &str,
    stat: &FileStat,
    archive: &Archive,
) -> Result<()> {
    let mut content = files.read(cx, path).await?;
    send_header(name, stat, EntryType::Regular, archive).await?;
    let mut left_over = stat.size;
    while left_over > 0 {
        let Some(chunk) = content.recv().await else {
            let why = format!("{path} became shorter while it was copied");
            return Err(Error::new(ErrorKind::Conflict, "copy", why));
        };
        let mut chunk = chunk?;
        // It may grow meanwhile: what was promised is what is sent.
        chunk.truncate(usize::try_from(left_over).unwrap_or(usize::MAX));
        left_over -= chunk.len() as u64;
        archive.send(Ok(chunk)).await.map_err(left)?;
    }
    send_padding(stat.size, archive).await
}

async fn send_padding(size: u64, archive: &Archive) -> Result<()> {
    let padding = (size.next_multiple_of(BLOCK as u64) - size) as usize;
    if padding > 0 {
        archive
            .send(Ok(Bytes::from_static(&[0; BLOCK]).slice(..padding)))
            .await
            .map_err(left)?;
    }
    Ok(())
}

async fn send_header(name: &str, stat: &FileStat, kind: EntryType, archive: &Archive) -> Result<()> {
    let target = stat.link_target.clone().unwrap_or_default();
    let size = if kind == EntryType::Regular { stat.size } else { 0 };
    let modified = u64::try_from(stat.modified).unwrap_or(0);
    let mut records = Vec::new();
    if name.len() > PLAIN_NAME || !name.is_ascii() {
        records.extend(pax::record("path", name.as_bytes()));
    }
    if target.len() > PLAIN_NAME || !target.is_ascii() {
        records.extend(pax::record("linkpath", &target));
    }
    if size > PLAIN_NUMBER {
        records.extend(pax::record("size", size.to_string().as_bytes()));
    }
    if stat.modified < 0 || modified > PLAIN_NUMBER {
        records.extend(pax::record("mtime", stat.modified.to_string().as_bytes()));
    }
    if !records.is_empty() {
        let header = plain(
            b"extended",
            &[],
            EntryType::XHeader,
            0o644,
            records.len() as u64,
            0,
        );
        archive.send(Ok(header)).await.map_err(left)?;
        let length = records.len() as u64;
        archive.send(Ok(records.into())).await.map_err(left)?;
        send_padding(length, archive).await?;
    }
    // A set-id bit of the sandbox has no business on the host.
    let header = plain(
        name.as_bytes(),
        &target,
        kind,
        stat.mode & 0o777,
        size.min(PLAIN_NUMBER),
        modified.min(PLAIN_NUMBER),
    );
    archive.send(Ok(header)).await.map_err(left)
}

/// A header as POSIX has it; what does not fit has been said in an extended one.
fn plain(name: &[u8], target: &[u8], kind: EntryType, mode: u32, size: u64, modified: u64) -> Bytes {
    let mut header = Header::new_ustar();
    {
        let bytes = header.as_mut_bytes();
        bytes[..name.len().min(PLAIN_NAME)].copy_from_slice(&name[..name.len().min(PLAIN_NAME)]);
        bytes[157..157 + target.len().min(PLAIN_NAME)]
            .copy_from_slice(&target[..target.len().min(PLAIN_NAME)]);
    }
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_mtime(modified);
    header.set_uid(0);
    header.set_gid(0);
    header.set_cksum();
    Bytes::copy_from_slice(header.as_bytes())
}
