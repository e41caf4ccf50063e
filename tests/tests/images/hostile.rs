//! Hostile images, from a registry to the whole product: nothing outside is written, and the refusal is clear.
//!
//! The unpacker has its own, longer list. These go all the way: pulled or imported, and run where that is allowed.

use std::{fs, path::PathBuf};

use agentkernel_tests::{
    cli::Home,
    images::{Compression, Entry, Image, Layer, archive},
};
use tar::EntryType;

use crate::setting::{Setting, tree, unfinished};

const CANARY: &str = "untouched";

/// Files of the person around the store that an escape would hit.
struct Canaries {
    paths: Vec<PathBuf>,
    before: usize,
    home: PathBuf,
}

impl Canaries {
    fn set(home: &Home) -> Self {
        let paths: Vec<PathBuf> = [
            "canary",
            "user/canary",
            "project/canary",
            "state/canary",
            "state/data/canary",
        ]
        .iter()
        .map(|name| home.root().join(name))
        .collect();
        for path in &paths {
            let folder = path.parent().expect("a file has a folder");
            fs::create_dir_all(folder).expect("own folder");
            fs::write(path, CANARY).expect("own folder");
            // Nothing but the product protects them: whoever unpacks may write them.
            home.give(folder);
            home.give(path);
        }
        let mut canaries = Self {
            paths,
            before: 0,
            home: home.root().to_owned(),
        };
        canaries.before = canaries.outside();
        canaries
    }

    /// How many files there are beside the state.
    fn outside(&self) -> usize {
        let beside = ["user", "project"].map(|name| tree(&self.home.join(name)).len());
        beside.iter().sum::<usize>() + fs::read_dir(&self.home).expect("own folder").count()
    }

    #[track_caller]
    fn expect_untouched(&self, what: &str) {
        for path in &self.paths {
            let content = fs::read_to_string(path).unwrap_or_default();
            assert_eq!(content, CANARY, "{what}: {} was changed", path.display());
        }
        assert_eq!(self.outside(), self.before, "{what}: files were made outside");
    }
}

fn link<'a>(kind: EntryType, name: &'a str, target: &'a str) -> Entry<'a> {
    Entry {
        kind,
        name,
        link: target,
        ..Entry::default()
    }
}

/// Each is refused, or made harmless: then it is no way out of the sandbox either.
fn hostile(canary: &str) -> Vec<(&'static str, Layer)> {
    let layer = Layer::new;
    let up = "../../../../../../../../../../..";
    let out = format!("{up}{canary}");
    let long = |text: String| -> &'static str { Box::leak(text.into_boxed_str()) };
    let (out, canary) = (long(out), long(canary.to_owned()));
    vec![
        (
            "a name that goes up",
            layer().file("../../../../canary", 0o644, "x"),
        ),
        ("a name that goes up to a canary", layer().file(out, 0o644, "x")),
        ("an absolute name", layer().file(canary, 0o644, "x")),
        (
            "a symlink, then a file through it",
            layer().symlink("a", canary).file("a", 0o644, "x"),
        ),
        (
            "a symlink to a folder, then a file in it",
            layer().symlink("a", up).file("a/canary", 0o644, "x"),
        ),
        (
            "a hard link out",
            layer().hard_link("a", canary).file("a", 0o644, "x"),
        ),
        ("a hard link up", layer().hard_link("a", out)),
        (
            "a hard link through a symlink",
            layer().symlink("a", up).hard_link("b", "a/canary"),
        ),
        (
            "two symlinks that lead out together",
            layer()
                .symlink("a", "b/..")
                .symlink("b", up)
                .file("a/canary", 0o644, "x"),
        ),
        ("a whiteout of the parent", layer().file(".wh...", 0o644, "")),
        (
            "a whiteout of the folder itself",
            layer().file(".wh..", 0o644, ""),
        ),
        ("a whiteout without a name", layer().file(".wh.", 0o644, "")),
        (
            "a whiteout through a symlink",
            layer().symlink("a", up).file("a/.wh.canary", 0o644, ""),
        ),
        (
            "an opaque folder through a symlink",
            layer().symlink("a", up).file("a/.wh..wh..opq", 0o644, ""),
        ),
        (
            "a disk",
            layer().entry(&Entry {
                kind: EntryType::Block,
                name: "disk",
                device: (8, 0),
                mode: 0o666,
                ..Entry::default()
            }),
        ),
        (
            "the kernel's memory",
            layer().entry(&Entry {
                kind: EntryType::Char,
                name: "mem",
                device: (1, 1),
                mode: 0o666,
                ..Entry::default()
            }),
        ),
        (
            "a device that looks like a whiteout",
            layer().entry(&Entry {
                kind: EntryType::Char,
                name: "bin/sh",
                device: (0, 0),
                ..Entry::default()
            }),
        ),
        (
            "a file of another one's set-user-id",
            layer().file("bin/su", 0o6755, "#!/bin/sh\n"),
        ),
        (
            "a name with a NUL's neighbours",
            layer().file("a\nb\x1b[2J", 0o644, "x"),
        ),
        (
            "a folder where a file was",
            layer()
                .file("a", 0o644, "x")
                .folder("a/", 0o755)
                .file("a/b", 0o644, "x"),
        ),
        (
            "a link to itself",
            layer().entry(&link(EntryType::Link, "a", "a")),
        ),
        (
            "a circle of symlinks",
            layer()
                .symlink("a", "b")
                .symlink("b", "a")
                .file("a/c", 0o644, "x"),
        ),
    ]
}

#[test]
fn a_hostile_layer_writes_nothing_outside() {
    for setting in [Setting::new(), Setting::rootless()].into_iter().flatten() {
        let Some(base) = Image::busybox() else {
            return;
        };
        let canaries = Canaries::set(&setting.home);
        let canary = setting.home.root().join("canary").display().to_string();
        for (number, (what, layer)) in hostile(&canary).into_iter().enumerate() {
            let image = base.clone().layer(layer, Compression::Gzip);
            setting.registry.push(&format!("team/hostile:{number}"), &image);
            let name = setting.registry.name(&format!("team/hostile:{number}"));
            let pulled = setting.pull(&name);
            canaries.expect_untouched(what);
            match pulled.status.code() {
                // What it wrote beneath the image's own root is its own business.
                Some(0) => {
                    let read = setting.run(&name, &["cat", &canary]).text();
                    assert!(!read.contains(CANARY), "{what}: the host's file is visible");
                }
                _ => drop(pulled.refused("layer")),
            }
            canaries.expect_untouched(what);
        }
        setting.home.call(["gc"]).success();
        assert_eq!(unfinished(&setting.home), [""; 0]);
    }
}

#[test]
fn what_was_set_user_id_is_not_in_the_store() {
    use std::os::unix::fs::PermissionsExt;
    let (Some(setting), Some(image)) = (Setting::new(), Image::busybox()) else {
        return;
    };
    let layer = Layer::new()
        .file("bin/su", 0o6755, "#!/bin/sh\n")
        .folder("shared/", 0o2775);
    setting.pulled("team/setuid:1", &image.layer(layer, Compression::Gzip));
    let mut open = vec![crate::setting::store(&setting.home)];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).expect("own folder").flatten() {
            let data = entry.metadata().expect("it was just listed");
            if data.is_dir() {
                open.push(entry.path());
            } else {
                assert_eq!(
                    data.permissions().mode() & 0o6000,
                    0,
                    "{}",
                    entry.path().display()
                );
            }
        }
    }
}

/// Compressed a thousandfold or cut off: refused within bounds, and nothing of it stays.
#[test]
fn what_is_no_honest_archive_is_refused() {
    let (Some(setting), Some(base)) = (Setting::new(), Image::busybox()) else {
        return;
    };
    let file = Layer::new().file("file", 0o644, "content");
    let broken = |archive: Vec<u8>| base.clone().archive(archive, Compression::Gzip);
    let mut flipped = file.clone().finish();
    flipped[0] ^= 0x40;
    let claims = Entry {
        name: "claims",
        ..Entry::default()
    };
    for (what, image) in [
        ("a wrong checksum", broken(flipped)),
        (
            "the end is missing",
            broken(file.clone().finish()[..515].to_vec()),
        ),
        (
            "a size that is not there",
            broken(Layer::new().entry_of_size(&claims, 1 << 40).finish()),
        ),
        ("no archive at all", broken(b"nothing of that kind".repeat(100))),
        ("rubbish in compressed form", {
            let blob = agentkernel_tests::images::Blob::new(
                Compression::Gzip.media_type(),
                vec![0x1f, 0x8b, 8, 0, 1, 2, 3],
            );
            base.clone().blob(blob, &agentkernel_tests::images::digest(b""))
        }),
    ] {
        setting.registry.push("team/broken:1", &image);
        let outcome = setting.pull(&setting.registry.name("team/broken:1"));
        assert_eq!(outcome.status.code(), Some(125), "{what}: {}", outcome.errors());
        assert!(
            !outcome.errors().contains("panicked"),
            "{what}: {}",
            outcome.errors()
        );
        setting.home.call(["gc"]).success();
        assert_eq!(unfinished(&setting.home), [""; 0], "{what}");
    }
}

#[test]
fn a_layer_that_is_another_one_is_refused() {
    let (Some(setting), Some(image)) = (Setting::new(), Image::busybox()) else {
        return;
    };
    let layer = Layer::new().file("file", 0o644, "content").finish();
    let blob =
        agentkernel_tests::images::Blob::new(Compression::Gzip.media_type(), Compression::Gzip.apply(&layer));
    let other = format!("sha256:{}", "1".repeat(64));
    setting.registry.push("team/other:1", &image.blob(blob, &other));
    setting
        .pull(&setting.registry.name("team/other:1"))
        .refused("1111111");
}

#[test]
fn a_hostile_archive_writes_nothing_outside() {
    let Some(base) = Image::busybox() else {
        return;
    };
    let home = Home::new();
    let canaries = Canaries::set(&home);
    let canary = home.root().join("canary").display().to_string();
    for (what, layer) in hostile(&canary) {
        let image = base.clone().layer(layer, Compression::None);
        // One file is reused, so that nothing is counted as made outside.
        fs::write(
            home.state().join("canary.tar"),
            archive::docker(&[(&image, &["team/hostile:1"])]),
        )
        .expect("own folder");
        let path = home.state().join("canary.tar").display().to_string();
        let outcome = home.call(["image", "import", &path]);
        canaries.expect_untouched(what);
        assert!(
            matches!(outcome.status.code(), Some(0 | 125)),
            "{what}: {}",
            outcome.status
        );
    }
}

/// The archive around an image is one too.
#[test]
fn the_outer_archive_is_no_way_out_either() {
    let Some(image) = Image::busybox() else {
        return;
    };
    let home = Home::new();
    let canaries = Canaries::set(&home);
    let honest = archive::docker(&[(&image, &["team/tool:1"])]);
    let canary = home.root().join("canary").display().to_string();
    for (what, layer) in hostile(&canary) {
        let bytes = [layer.cut(), honest.clone()].concat();
        let path = home.state().join("outer.tar");
        fs::write(&path, bytes).expect("own folder");
        let outcome = home.call(["image", "import", &path.display().to_string()]);
        canaries.expect_untouched(what);
        assert!(
            matches!(outcome.status.code(), Some(0 | 125)),
            "{what}: {}",
            outcome.status
        );
    }
}
