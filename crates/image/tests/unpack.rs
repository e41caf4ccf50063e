//! A layer is unpacked to the tree that overlayfs wants, and its archive comes back byte for byte.

#[path = "unpack_support/mod.rs"]
mod support;

use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};

use agentkernel_image::unpack::{Limits, Ownership, Rules, TREE, reassemble, unpack};
use support::*;

#[test]
fn files_folders_and_links_are_as_the_archive_says() {
    let archive = Archive::new()
        .folder("etc/", 0o750)
        .file("etc/passwd", b"root:x:0:0")
        .hard_link("etc/again", "etc/passwd")
        .symlink("etc/link", "/somewhere/else")
        .fifo("etc/pipe")
        .device("dev/null", 1, 3)
        .device("dev/zero", 0, 0)
        .entry(Header::file("bin/su", b"x").mode(0o4755))
        .finish();
    let layer = Layer::unpack(&archive).unwrap();
    assert_eq!(layer.read("etc/passwd"), b"root:x:0:0");
    assert_eq!(layer.stat("etc").mode() & 0o7777, 0o750);
    assert_eq!(layer.stat("etc").mtime(), MTIME);
    assert_eq!(layer.stat("etc/passwd").mtime(), MTIME);
    assert_eq!(layer.stat("etc/again").ino(), layer.stat("etc/passwd").ino());
    assert_eq!(
        std::fs::read_link(layer.path("etc/link")).unwrap().to_str(),
        Some("/somewhere/else")
    );
    assert!(layer.stat("etc/pipe").file_type().is_fifo());
    for device in ["dev/null", "dev/zero"] {
        let file = layer.stat(device);
        assert!(file.is_file() && file.len() == 0);
    }
    assert_eq!(layer.stat("dev").permissions().mode() & 0o7777, 0o755);
    assert_eq!(layer.stat("bin/su").mode() & 0o7777, 0o755);
    assert_eq!(
        (
            layer.unpacked.devices,
            layer.unpacked.setuid,
            layer.unpacked.entries
        ),
        (2, 1, 8)
    );
    assert_eq!(layer.unpacked.diff_id, digest(&archive));
    assert_eq!(layer.reassembled(), archive);
}

#[test]
fn all_compressions_give_the_same_layer_also_in_pieces() {
    let content = random(700_000);
    let archive = Archive::new().file("big", &content).file("small", b"1").finish();
    for (name, packed) in [
        ("plain", archive.clone()),
        ("gzip", gzip(&archive)),
        ("zstd", zstd::encode_all(&archive[..], 1).unwrap()),
        (
            "two gzip members",
            [gzip(&archive[..1000]), gzip(&archive[1000..])].concat(),
        ),
        (
            "two frames after a skippable one",
            [
                b"\x5e\x2a\x4d\x18\x03\0\0\0abc".to_vec(),
                zstd::encode_all(&archive[..99_999], 1).unwrap(),
                zstd::encode_all(&archive[99_999..], 1).unwrap(),
            ]
            .concat(),
        ),
    ] {
        let layer = Layer::unpack(&packed).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(layer.unpacked.diff_id, digest(&archive), "{name}");
        assert_eq!(layer.unpacked.archive_bytes, archive.len() as u64, "{name}");
        assert_eq!(layer.read("big"), content, "{name}");
        assert_eq!(layer.reassembled(), archive, "{name}");
    }
}

#[test]
fn whiteouts_hide_what_is_below_and_nothing_of_this_layer() {
    let archive = Archive::new()
        .file("a/.wh.gone", b"")
        .file("a/.wh.kept", b"")
        .file("a/kept", b"1")
        .file("b/kept", b"1")
        .file("b/.wh.kept", b"")
        .file("c/.wh..wh..opq", b"")
        .file("c/new", b"1")
        .folder("d/replaced/", 0o755)
        .file("d/.wh.replaced", b"")
        .file("d/.wh.too", b"")
        .file("d/too/deep/file", b"1")
        .file(".wh..wh.plnk/1.2", b"notes")
        .finish();
    let layer = Layer::unpack(&archive).unwrap();
    let gone = layer.stat("a/gone");
    assert!(gone.file_type().is_char_device() && gone.rdev() == 0);
    assert_eq!(layer.read("a/kept"), b"1");
    assert_eq!(layer.read("b/kept"), b"1");
    for folder in ["c", "d/replaced", "d/too"] {
        assert_eq!(
            layer.attribute(folder, "user.overlay.opaque").as_deref(),
            Some(&b"y"[..]),
            "{folder}"
        );
    }
    for folder in ["a", "b", "d", "d/too/deep"] {
        assert_eq!(layer.attribute(folder, "user.overlay.opaque"), None, "{folder}");
    }
    assert!(!layer.path(".wh..wh.plnk").exists());
    assert_eq!(layer.reassembled(), archive);
}

#[test]
fn the_last_of_a_name_wins_and_the_archive_still_comes_back() {
    let archive = Archive::new()
        .file("x", b"first")
        .hard_link("y", "x")
        .file("x", b"second, and longer")
        .symlink("x", "y")
        .file("x", b"third")
        .file("z", b"z")
        .hard_link("z", "y")
        .hard_link("z", "x")
        .hard_link("z", "z")
        .file("y", b"fourth")
        .folder("f/", 0o700)
        .file("f/in", b"1")
        .folder("f/", 0o711)
        .folder("empty/", 0o700)
        .file("empty", b"no folder")
        .finish();
    let layer = Layer::unpack(&archive).unwrap();
    assert_eq!(layer.read("x"), b"third");
    assert_eq!(layer.read("y"), b"fourth");
    assert_eq!(layer.read("z"), b"third");
    assert_eq!(layer.read("f/in"), b"1");
    assert_eq!(layer.stat("f").mode() & 0o777, 0o711);
    assert_eq!(layer.read("empty"), b"no folder");
    assert_eq!(layer.stat("empty").mode() & 0o777, 0o644);
    assert_eq!(layer.reassembled(), archive);
}

#[test]
fn a_folder_behind_a_link_is_the_one_in_the_tree() {
    let archive = Archive::new()
        .symlink("var/run", "/run")
        .file("var/run/x", b"1")
        .symlink("a/up", "../../../../etc")
        .file("a/up/y", b"2")
        .finish();
    let layer = Layer::unpack(&archive).unwrap();
    assert_eq!(layer.read("run/x"), b"1");
    assert_eq!(layer.read("etc/y"), b"2");
    assert!(layer.stat("var/run").is_symlink());
    assert_eq!(layer.reassembled(), archive);
}

#[test]
fn attributes_for_overlayfs_and_the_kernel_are_dropped() {
    let archive = Archive::new()
        .pax(&[
            ("SCHILY.xattr.user.mine", b"1\n2"),
            ("SCHILY.xattr.user.overlay.opaque", b"y"),
            ("SCHILY.xattr.user.overlay.redirect", b"/etc"),
            ("SCHILY.xattr.user.overlay.metacopy", b""),
            ("SCHILY.xattr.trusted.overlay.opaque", b"y"),
            (
                "SCHILY.xattr.security.capability",
                b"\x01\0\0\x02\n\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
            ),
            ("mtime", b"1000.25"),
        ])
        .folder("d/", 0o555)
        .pax(&[
            ("SCHILY.xattr.user.f", b"z"),
            ("uid", b"12"),
            ("gid", b"13"),
            ("path", b"d/long name"),
        ])
        .file("ignored", b"content")
        .finish();
    let layer = Layer::unpack(&archive).unwrap();
    assert_eq!(layer.attributes("d"), ["user.mine"]);
    assert_eq!(layer.attribute("d", "user.mine").as_deref(), Some(&b"1\n2"[..]));
    assert_eq!(
        (layer.stat("d").mtime(), layer.stat("d").mtime_nsec()),
        (1000, 250_000_000)
    );
    assert_eq!(layer.attributes("d/long name"), ["user.f"]);
    assert!(layer.unpacked.owners.uids.contains(&12) && layer.unpacked.owners.gids.contains(&13));
    if is_root() {
        assert_eq!(
            (layer.stat("d/long name").uid(), layer.stat("d/long name").gid()),
            (12, 13)
        );
    }
    assert_eq!(layer.reassembled(), archive);
}

#[test]
fn what_follows_the_end_belongs_to_the_archive() {
    let mut archive = Archive::new().file("a", b"1").finish();
    archive.extend([0; 4096]);
    archive.extend(b"and some garbage");
    let layer = Layer::unpack(&archive).unwrap();
    assert_eq!(layer.unpacked.diff_id, digest(&archive));
    assert_eq!(layer.reassembled(), archive);
}

#[test]
fn a_reader_that_fails_with_our_error_gives_it_back() {
    struct Failing;
    impl std::io::Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            let error =
                agentkernel_image::Error::new(agentkernel_types::ErrorKind::TimedOut, "pull", "too slow");
            Err(std::io::Error::other(error))
        }
    }
    let place = tempfile::tempdir().unwrap();
    let error = unpack(&mut Failing, place.path(), &rules()).unwrap_err();
    assert_eq!(
        (error.kind(), error.operation()),
        (agentkernel_types::ErrorKind::TimedOut, "pull")
    );
}

#[test]
fn a_tree_that_was_changed_is_not_put_together() {
    let archive = Archive::new().file("a/b", b"0123456789").finish();
    for change in ["shorter", "link", "folder link", "gone", "fifo"] {
        let layer = Layer::unpack(&archive).unwrap();
        let (file, outside) = (layer.path("a/b"), layer.place.path().join("outside"));
        std::fs::create_dir(&outside).unwrap();
        std::fs::write(outside.join("b"), b"secret-----").unwrap();
        match change {
            "shorter" => std::fs::write(&file, b"012").unwrap(),
            "link" => {
                std::fs::remove_file(&file).unwrap();
                std::os::unix::fs::symlink(outside.join("b"), &file).unwrap();
            }
            "folder link" => {
                std::fs::remove_dir_all(layer.path("a")).unwrap();
                std::os::unix::fs::symlink(&outside, layer.path("a")).unwrap();
            }
            "gone" => std::fs::remove_file(&file).unwrap(),
            _ => {
                std::fs::remove_file(&file).unwrap();
                rustix::fs::mknodat(
                    rustix::fs::CWD,
                    &file,
                    rustix::fs::FileType::Fifo,
                    0o600.into(),
                    0,
                )
                .unwrap();
            }
        }
        let mut out = Vec::new();
        let error = reassemble(&layer.folder(), &mut out).unwrap_err();
        assert_eq!(error.kind(), agentkernel_types::ErrorKind::Broken, "{change}");
        assert!(!out.windows(6).any(|window| window == b"secret"), "{change}");
    }
}

#[test]
fn rules_decide_about_set_user_id_and_owners() {
    let archive = Archive::new()
        .entry(Header::file("su", b"x").mode(0o6755).owner(0, 0))
        .entry(Header::file("closed", b"x").mode(0))
        .entry(Header::folder("shut/").mode(0o2000))
        .finish();
    let place = tempfile::tempdir().unwrap();
    let rules = Rules {
        ownership: Ownership::Caller,
        limits: Limits::default(),
        keep_setuid: true,
    };
    let unpacked = unpack(&mut &archive[..], place.path(), &rules).unwrap();
    let mode = |name: &str| {
        let path = place.path().join(TREE).join(name);
        std::fs::symlink_metadata(path).unwrap().mode() & 0o7777
    };
    assert_eq!(unpacked.setuid, 0);
    assert_eq!(mode("su"), 0o6755);
    assert_eq!(mode("closed"), 0o400);
    assert_eq!(mode("shut"), 0o2500);
}
