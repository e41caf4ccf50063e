//! Root file systems and images to measure with, made of this machine's own files.

use std::{
    fs::{self, File},
    io::Write,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use agentkernel_tests::images::{Blob, Body, Compression, Image, digest};
use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::programs::in_path;

/// Where the files come from, relative to `/`: what every distribution has in plenty comes first.
const SOURCES: [&str; 3] = ["usr/lib", "usr/bin", "usr/share"];

/// An archive of about so many bytes. A machine with fewer files gives each of them several times.
pub fn archive(path: &Path, bytes: u64) -> Result<()> {
    let files = pick(bytes)?;
    ensure!(!files.is_empty(), "this machine has no files below /usr");
    pack(path, &files, "c", None)?;
    for copy in 1.. {
        let size = fs::metadata(path)?.len();
        if size >= bytes / 10 * 9 {
            break;
        }
        ensure!(copy < 1000, "the files of this machine are too small");
        pack(path, &files, "r", Some(copy))?;
    }
    Ok(())
}

/// An image with a static busybox below `layers` layers of this machine's files, gzip each, `bytes` in all before
/// compression.
pub fn image(folder: &Path, layers: usize, bytes: u64) -> Result<Image> {
    let files = pick(bytes)?;
    let mut image = Image::busybox().context("no static busybox to make an image from")?;
    for (number, part) in files.chunks(files.len().div_ceil(layers)).enumerate() {
        let archive = folder.join(format!("{number}.tar"));
        pack(&archive, part, "c", None)?;
        let diff_id = digest(&fs::read(&archive)?);
        let blob = compressed(&archive)?;
        image = image.blob(blob, &diff_id);
    }
    Ok(image.set("Cmd", json!(["/bin/true"])))
}

/// The same files as one folder, for those who have no images.
pub fn unpacked(image: &Image, folder: &Path) -> Result<()> {
    for layer in &image.layers {
        let mut tar = Command::new("tar");
        tar.args(["-xz", "--overwrite", "-C"]).arg(folder);
        let mut child = tar.stdin(Stdio::piped()).spawn().context("cannot run tar")?;
        child
            .stdin
            .take()
            .context("stdin is piped")?
            .write_all(&layer.bytes())?;
        ensure!(child.wait()?.success(), "tar cannot unpack a layer");
    }
    Ok(())
}

fn compressed(archive: &Path) -> Result<Blob> {
    let path = archive.with_extension("tar.gz");
    let status = Command::new("gzip")
        .args(["-6", "-c"])
        .arg(archive)
        .stdout(File::create(&path)?)
        .status()
        .context("cannot run gzip")?;
    ensure!(status.success(), "gzip ended with {status}");
    fs::remove_file(archive)?;
    let bytes = fs::read(&path)?;
    Ok(Blob {
        media_type: Compression::Gzip.media_type().to_owned(),
        digest: digest(&bytes),
        size: bytes.len() as u64,
        body: Body::File(path),
    })
}

/// Files, links and folders, parents first, until they have so many bytes.
fn pick(bytes: u64) -> Result<Vec<PathBuf>> {
    let mut picked = vec![PathBuf::from("usr")];
    let mut left = bytes;
    let mut open: Vec<PathBuf> = SOURCES.iter().rev().map(PathBuf::from).collect();
    while let Some(path) = open.pop() {
        let Ok(metadata) = fs::symlink_metadata(Path::new("/").join(&path)) else {
            continue;
        };
        if path.ends_with("usr/lib/debug") {
            continue;
        }
        if metadata.is_dir() {
            let mut children: Vec<PathBuf> = fs::read_dir(Path::new("/").join(&path))?
                .filter_map(|entry| Some(path.join(entry.ok()?.file_name())))
                .collect();
            children.sort_by(|a, b| b.cmp(a));
            open.append(&mut children);
        } else if metadata.is_file() {
            if metadata.len() > left {
                break;
            }
            left -= metadata.len();
        } else if !metadata.is_symlink() {
            continue;
        }
        picked.push(path);
    }
    Ok(picked)
}

/// `mode` is tar's: create or append. A copy lies in a folder of its own.
fn pack(archive: &Path, files: &[PathBuf], mode: &str, copy: Option<u32>) -> Result<()> {
    let mut tar = Command::new(in_path("tar").context("no tar")?);
    tar.arg(format!("-{mode}f")).arg(archive);
    if let Some(copy) = copy {
        // Names and targets of hard links, but not of symbolic ones.
        tar.arg(format!("--transform=s,^,copy{copy}/,S"));
    }
    tar.args([
        "-C",
        "/",
        "--null",
        "--no-recursion",
        "--verbatim-files-from",
        "--files-from=-",
    ]);
    let mut child = tar.stdin(Stdio::piped()).spawn().context("cannot run tar")?;
    let mut list = Vec::new();
    for file in files {
        list.extend_from_slice(file.as_os_str().as_bytes());
        list.push(0);
    }
    child.stdin.take().context("stdin is piped")?.write_all(&list)?;
    ensure!(child.wait()?.success(), "tar cannot pack the sample");
    Ok(())
}
