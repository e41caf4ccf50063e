//! There and back again, and archives of a hostile sandbox. Everything happens in temporary folders.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
};

use tar::{Builder, EntryType, Header};

use super::*;

fn packed(source: &Path, name: Option<&str>) -> Vec<u8> {
    let mut archive = Vec::new();
    pack(source, name.map(std::ffi::OsStr::new), &mut archive).unwrap();
    archive
}

fn place(folder: &Path, name: Option<&str>) -> Place {
    Place {
        folder: folder.to_owned(),
        name: name.map(Into::into),
    }
}

/// One entry whose path and link are written as they are, without any check.
fn raw_entry(archive: &mut Builder<Vec<u8>>, kind: EntryType, path: &str, link: &str, content: &[u8]) {
    let mut header = Header::new_gnu();
    header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
    header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(0o4755);
    header.set_size(content.len() as u64);
    header.set_cksum();
    archive.append(&header, content).unwrap();
}

fn hostile(entries: &[(EntryType, &str, &str, &[u8])]) -> Vec<u8> {
    let mut archive = Builder::new(Vec::new());
    for (kind, path, link, content) in entries {
        raw_entry(&mut archive, *kind, path, link, content);
    }
    archive.into_inner().unwrap()
}

#[test]
fn a_folder_comes_back_as_it_was_under_its_new_name() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let long = "n".repeat(200);
    fs::create_dir_all(from.path().join("src/deep").join(&long)).unwrap();
    fs::write(from.path().join("src/deep").join(&long).join("file"), "deep").unwrap();
    fs::write(from.path().join("src/run.sh"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(from.path().join("src/run.sh"), fs::Permissions::from_mode(0o750)).unwrap();
    symlink("../nowhere", from.path().join("src/link")).unwrap();
    fs::set_permissions(from.path().join("src/deep"), fs::Permissions::from_mode(0o555)).unwrap();

    let archive = packed(&from.path().join("src"), Some("src"));
    unpack(&archive[..], &place(to.path(), Some("copy"))).unwrap();

    let copy = to.path().join("copy");
    assert_eq!(
        fs::read_to_string(copy.join("deep").join(&long).join("file")).unwrap(),
        "deep"
    );
    assert_eq!(
        fs::metadata(copy.join("run.sh")).unwrap().permissions().mode() & 0o7777,
        0o750
    );
    assert_eq!(
        fs::metadata(copy.join("deep")).unwrap().permissions().mode() & 0o7777,
        0o555
    );
    assert_eq!(fs::read_link(copy.join("link")).unwrap(), Path::new("../nowhere"));
    for folder in [from.path().join("src/deep"), copy.join("deep")] {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

#[test]
fn the_content_of_a_folder_goes_without_the_folder() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::create_dir(from.path().join("src")).unwrap();
    fs::write(from.path().join("src/a"), "a").unwrap();
    let archive = packed(&from.path().join("src"), Some("src"));
    unpack(&archive[..], &place(to.path(), None)).unwrap();
    assert_eq!(fs::read_to_string(to.path().join("a")).unwrap(), "a");
    let names: Vec<_> = tar::Archive::new(&packed(&from.path().join("src"), None)[..])
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap().path().unwrap().into_owned())
        .collect();
    assert_eq!(names, [Path::new("a")]);
}

#[test]
fn a_file_replaces_a_file_and_never_writes_through_a_link() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(from.path().join("f"), "new").unwrap();
    fs::write(to.path().join("victim"), "old").unwrap();
    symlink("victim", to.path().join("f")).unwrap();
    unpack(
        &packed(&from.path().join("f"), Some("f"))[..],
        &place(to.path(), Some("f")),
    )
    .unwrap();
    assert_eq!(fs::read_to_string(to.path().join("victim")).unwrap(), "old");
    assert_eq!(fs::read_to_string(to.path().join("f")).unwrap(), "new");
    assert!(!to.path().join("f").is_symlink());
}

#[test]
fn nothing_of_a_hostile_archive_lands_outside() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("victim"), "old").unwrap();
    fs::set_permissions(outside.path(), fs::Permissions::from_mode(0o711)).unwrap();
    let out = outside.path().to_str().unwrap();
    let victim = format!("{out}/victim");
    use EntryType::{Directory, Regular, Symlink};
    let archives = [
        vec![(Regular, "x/../../victim", "", &b"new"[..])],
        vec![(Regular, "../victim", "", b"new")],
        vec![(Regular, victim.as_str(), "", b"new")],
        vec![(Regular, "..", "", b"new")],
        vec![
            (Directory, "x", "", b""),
            (Symlink, "x/s", out, b""),
            (Regular, "x/s/victim", "", b"new"),
        ],
        vec![(Symlink, "x", out, b""), (Regular, "x/victim", "", b"new")],
        vec![
            (Directory, "x", "", b""),
            (Symlink, "x/s", &victim, b""),
            (Regular, "x/s", "", b"new"),
        ],
        vec![
            (Directory, "x", "", b""),
            (Symlink, "x/s", out, b""),
            (Directory, "x/s", "", b""),
        ],
        vec![
            (Directory, "x", "", b""),
            (EntryType::Link, "x/h", &victim, b""),
            (Regular, "x/h", "", b"new"),
        ],
    ];
    for (index, entries) in archives.iter().enumerate() {
        let to = tempfile::tempdir_in(outside.path()).unwrap();
        // Some are refused and some are made harmless; neither may touch what lies outside.
        let _ = unpack(&hostile(entries)[..], &place(to.path(), Some("x")));
        assert_eq!(fs::read_to_string(&victim).unwrap(), "old", "archive {index}");
        let mode = fs::metadata(outside.path()).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode, 0o711, "archive {index}");
    }
}

#[test]
fn set_id_bits_and_devices_are_not_made_here() {
    let to = tempfile::tempdir().unwrap();
    let archive = hostile(&[
        (EntryType::Directory, "x", "", b""),
        (EntryType::Regular, "x/tool", "", b"#!"),
        (EntryType::Char, "x/null", "", b""),
        (EntryType::Fifo, "x/fifo", "", b""),
    ]);
    let skipped = unpack(&archive[..], &place(to.path(), Some("x"))).unwrap();
    assert_eq!(skipped, [Path::new("x/null"), Path::new("x/fifo")]);
    assert_eq!(
        fs::metadata(to.path().join("x/tool"))
            .unwrap()
            .permissions()
            .mode()
            & 0o7777,
        0o755
    );
    assert_eq!(fs::read_dir(to.path().join("x")).unwrap().count(), 1);
}

#[test]
fn links_are_packed_as_links_and_sockets_are_named() {
    let from = tempfile::tempdir().unwrap();
    fs::create_dir(from.path().join("p")).unwrap();
    symlink("/etc/passwd", from.path().join("p/link")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(from.path().join("p/socket")).unwrap();
    let mut archive = Vec::new();
    let skipped = pack(&from.path().join("p"), Some("p".as_ref()), &mut archive).unwrap();
    assert_eq!(skipped.0, [Path::new("p/socket")]);
    let kinds: Vec<_> = tar::Archive::new(&archive[..])
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap().header().entry_type())
        .collect();
    assert_eq!(kinds, [EntryType::Directory, EntryType::Symlink]);
}

#[test]
fn half_an_archive_is_an_error() {
    let from = tempfile::tempdir().unwrap();
    fs::write(from.path().join("f"), vec![7; 100_000]).unwrap();
    let archive = packed(&from.path().join("f"), Some("f"));
    let to = tempfile::tempdir().unwrap();
    assert!(unpack(&archive[..50_000], &place(to.path(), Some("f"))).is_err());
}
