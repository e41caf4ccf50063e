//! The trees that we make are the trees that others make: GNU tar for one archive, umoci for two layers.
#![allow(
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test that says why it is skipped"
)]

#[path = "unpack_support/closed.rs"]
mod closed;
#[path = "unpack_support/mod.rs"]
mod support;

use std::{
    collections::BTreeMap, fs, io::Write as _, os::unix::fs::MetadataExt as _, path::Path, process::Command,
};

use agentkernel_image::unpack::TREE;
use closed::snapshot;
use support::*;

/// All that is known of each name, with paths from the root, and hard links by who shares an inode.
fn tree(root: &Path) -> BTreeMap<String, String> {
    let known = snapshot(root, Path::new(""));
    let mut shared: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    let mut found = BTreeMap::new();
    for (path, text) in known {
        let path = String::from_utf8(path).unwrap();
        let stat = fs::symlink_metadata(&path).unwrap();
        let name = path.strip_prefix(root.to_str().unwrap()).unwrap().to_owned();
        if !stat.is_dir() && stat.nlink() > 1 {
            shared.entry(stat.ino()).or_default().push(name.clone());
        }
        found.insert(name, text);
    }
    for names in shared.values() {
        found.insert(format!("shared {}", names.join(" ")), String::new());
    }
    found
}

fn has(program: &str) -> bool {
    let found = Command::new(program)
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success());
    if !found {
        eprintln!("skipped: {program} is not here");
    }
    found
}

/// What is likely in images: no set-user-id (we strip it), no devices (we empty them), no entry without its folder.
fn likely(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut dice = |sides: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % sides
    };
    let mut archive = Archive::new().folder("./", 0o755);
    let (mut folders, mut files) = (vec![String::new()], Vec::new());
    let ids: &[u64] = if is_root() { &[0, 1, 1000, 65_534] } else { &[0] };
    for number in 0..60 {
        let parent = folders[dice(folders.len() as u64) as usize].clone();
        let long = "l".repeat(if dice(6) == 0 { 120 } else { 1 });
        let name = format!("{parent}n{number}{long}");
        let short = &name.as_bytes()[..name.len().min(100)];
        if name.len() > 100 {
            archive = match dice(2) {
                0 => archive.long_name(name.as_bytes()),
                _ => archive.pax(&[("path", name.as_bytes()), ("mtime", b"1500000000.123456789")]),
            };
        }
        let mode = 0o400 | dice(0o1000) as u32;
        let (uid, gid) = (
            ids[dice(ids.len() as u64) as usize],
            ids[dice(ids.len() as u64) as usize],
        );
        let look = |header: Header| {
            if is_root() {
                header.mode(mode).owner(uid, gid)
            } else {
                header.mode(mode)
            }
        };
        match dice(10) {
            0..=2 => {
                archive = archive.entry(look(Header::folder(short)));
                folders.push(format!("{name}/"));
            }
            3 => archive = archive.symlink(short, ["/etc", "../x", "n1", "."][dice(4) as usize]),
            4 if !files.is_empty() => {
                let target: &String = &files[dice(files.len() as u64) as usize];
                archive = archive.long_link(target.as_bytes()).hard_link(short, "cut");
            }
            5 => archive = archive.entry(look(Header::new(b'6', short, b""))),
            _ => {
                archive = archive.entry(look(Header::file(short, &random(dice(3000) as usize))));
                files.push(name);
            }
        }
    }
    archive.finish()
}

#[test]
fn a_tree_is_the_one_that_gnu_tar_makes() {
    if !has("tar") {
        return;
    }
    for seed in 1..=40 {
        let archive = likely(seed);
        let layer = Layer::unpack(&archive).unwrap_or_else(|error| panic!("{seed}: {error}"));
        let theirs = layer.place.path().join("theirs");
        fs::create_dir(&theirs).unwrap();
        let mut tar = Command::new("tar")
            .args([
                "-xpf",
                "-",
                "--numeric-owner",
                "--delay-directory-restore",
                "--xattrs",
                "--xattrs-include=user.*",
                "-C",
            ])
            .arg(&theirs)
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        tar.stdin.take().unwrap().write_all(&archive).unwrap();
        assert!(tar.wait().unwrap().success(), "{seed}");
        let (mut ours, mut theirs) = (tree(&layer.folder().join(TREE)), tree(&theirs));
        if !is_root() {
            // We give the owner the right to list folders.
            ours.retain(|_, text| !text.starts_with("40"));
            theirs.retain(|_, text| !text.starts_with("40"));
        }
        let differences: Vec<_> = ours
            .iter()
            .filter(|(name, text)| theirs.get(*name) != Some(text))
            .collect();
        assert!(
            differences.is_empty() && ours.len() == theirs.len(),
            "{seed}: {differences:?}"
        );
    }
}

/// Two layers as umoci applies them, and as we do when one lies on the other.
#[test]
fn two_layers_are_what_umoci_makes_of_them() {
    if !has("umoci") || !has("skopeo") || !is_root() {
        return;
    }
    let lower = Archive::new()
        .folder("./", 0o755)
        .folder("a/", 0o755)
        .file("a/gone", b"1")
        .file("a/kept", b"1")
        .folder("b/", 0o755)
        .file("b/hidden", b"1")
        .folder("b/deep/", 0o755)
        .file("b/deep/hidden", b"1")
        .folder("c/", 0o700)
        .file("c/old", b"1")
        .file("d", b"file")
        .folder("e/", 0o755)
        .file("e/x", b"1")
        .finish();
    let upper = Archive::new()
        .folder("./", 0o755)
        .folder("a/", 0o711)
        .file("a/.wh.gone", b"")
        .folder("b/", 0o755)
        .file("b/.wh..wh..opq", b"")
        .file("b/new", b"2")
        .file(".wh.c", b"")
        .folder("d/", 0o755)
        .file("d/x", b"2")
        .symlink("e", "a")
        .finish();
    let ours = [Layer::unpack(&lower).unwrap(), Layer::unpack(&upper).unwrap()];
    let place = tempfile::tempdir().unwrap();
    let theirs = umoci(place.path(), &[&lower, &upper]);
    let merged = place.path().join("merged");
    fs::create_dir(&merged).unwrap();
    let trees = ours.each_ref().map(|layer| layer.folder().join(TREE));
    closed::overlay(&trees, &merged, || {
        assert_eq!(named(&merged), named(&theirs));
    });
}

/// Kinds, permissions and contents: umoci gives folders the times of what was changed in them.
fn named(root: &Path) -> Vec<String> {
    let mut lines = closed::listing(root);
    for line in &mut lines {
        if let Some(folder) = line.strip_suffix('/') {
            let mode = fs::symlink_metadata(root.join(folder)).unwrap().mode();
            *line = format!("{line} {mode:o}");
        }
    }
    lines
}

/// An OCI layout of these layers, made by umoci itself from raw archives.
fn umoci(place: &Path, layers: &[&[u8]]) -> std::path::PathBuf {
    let layout = place.join("layout");
    let run = |arguments: &[&str]| {
        let output = Command::new("umoci").args(arguments).output().unwrap();
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    let (folder, image) = (layout.to_str().unwrap(), format!("{}:x", layout.display()));
    run(&["init", "--layout", folder]);
    run(&["new", "--image", &image]);
    for (number, layer) in layers.iter().enumerate() {
        let file = place.join(format!("{number}.tar"));
        fs::write(&file, layer).unwrap();
        run(&["raw", "add-layer", "--image", &image, file.to_str().unwrap()]);
    }
    let bundle = place.join("bundle");
    run(&["unpack", "--image", &image, bundle.to_str().unwrap()]);
    bundle.join("rootfs")
}
