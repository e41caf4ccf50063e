//! Archives that want out, lie, or never end. Nothing is written beside the layer, and each is refused with a clear
//! error or gives the right tree.

#[path = "unpack_support/closed.rs"]
mod closed;
#[path = "unpack_support/mod.rs"]
mod support;

use std::{fs, path::Path};

use agentkernel_image::unpack::{Limits, Rules, TREE, reassemble, unpack};
use agentkernel_types::ErrorKind::{self, Denied, Exhausted, InvalidSpec};
use closed::{closed, listing, snapshot};
use support::*;

enum Outcome {
    /// The kind, and words of the message.
    Refused(ErrorKind, &'static str),
    /// The tree as [`listing`] shows it.
    Tree(&'static [&'static str]),
}
use Outcome::{Refused, Tree};

struct Case(&'static str, Vec<u8>, Outcome);

fn limits() -> Limits {
    Limits {
        entries: 1000,
        bytes: 256 << 20,
        depth: 64,
        ratio: 200,
        owners: 4,
    }
}

#[test]
fn hostile_archives_write_nothing_outside() {
    let place = tempfile::tempdir().unwrap();
    // Links that want out know the way.
    let outside = place.path().join("outside");
    closed(place.path(), || {
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("victim"), b"untouched").unwrap();
        fs::create_dir(outside.join("folder")).unwrap();
        let mut cases = names();
        cases.extend(links(&outside));
        cases.extend(whiteouts(&outside));
        cases.extend(lies());
        cases.extend(kinds(&outside));
        assert!(cases.len() >= 60, "{} cases", cases.len());
        let mut failed = Vec::new();
        for case in &cases {
            if let Err(why) = run(place.path(), case) {
                failed.push(format!("{}: {why}", case.0));
            }
        }
        assert!(
            failed.is_empty(),
            "{} of {}:\n{}",
            failed.len(),
            cases.len(),
            failed.join("\n")
        );
    });
}

fn run(place: &Path, Case(_, archive, outcome): &Case) -> Result<(), String> {
    let target = place.join("target");
    let layer = target.join("layer");
    fs::create_dir_all(&layer).unwrap();
    let before = snapshot(place, &layer);
    let rules = Rules {
        limits: limits(),
        ..rules()
    };
    let result = unpack(&mut &archive[..], &layer, &rules);
    let after = snapshot(place, &layer);
    let mut again = Vec::new();
    let verdict = match (&result, outcome) {
        _ if before != after => Err("something outside has changed".to_owned()),
        (Err(error), Refused(kind, words)) => {
            let message = error.message();
            if error.kind() != *kind || !message.contains(words) {
                Err(format!("refused as {:?}: {message}", error.kind()))
            } else if message.len() > 600 || message.contains(|c: char| c.is_control()) {
                Err(format!("the message is not for people: {message:?}"))
            } else {
                Ok(())
            }
        }
        (Err(error), Tree(_)) => Err(format!("refused as {:?}: {}", error.kind(), error.message())),
        (Ok(_), Refused(..)) => Err(format!("not refused: {:?}", listing(&layer.join(TREE)))),
        (Ok(_), Tree(expected)) => {
            let tree = listing(&layer.join(TREE));
            if tree == *expected {
                Ok(())
            } else {
                Err(format!("the tree is {tree:?}"))
            }
        }
    };
    let verdict = verdict.and_then(|()| {
        if result.is_err() {
            return Ok(());
        }
        reassemble(&layer, &mut again).map_err(|error| error.to_string())?;
        let plain = !archive.starts_with(&[0x1f, 0x8b]);
        if plain && again != *archive {
            Err("it does not come back".to_owned())
        } else {
            Ok(())
        }
    });
    fs::remove_dir_all(&target).unwrap();
    verdict
}

fn one(header: Header) -> Vec<u8> {
    Archive::new().entry(header).finish()
}

fn names() -> Vec<Case> {
    let file = |name: &str| Archive::new().file(name, b"x").finish();
    let long = |name: &[u8]| Archive::new().long_name(name).file("short", b"x").finish();
    let pax = |records: &[(&str, &[u8])]| Archive::new().pax(records).file("short", b"x").finish();
    let deep = "d/".repeat(65);
    vec![
        Case(
            "dot dot",
            file("../x"),
            Refused(Denied, "\"../x\": its name must not contain '..'"),
        ),
        Case("dot dot inside", file("a/../../x"), Refused(Denied, "'..'")),
        Case("dot dot at the end", file("a/.."), Refused(Denied, "'..'")),
        Case("dot dot alone", file(".."), Refused(Denied, "'..'")),
        Case(
            "dot dot in a long name",
            long(b"a/../../x"),
            Refused(Denied, "'..'"),
        ),
        Case(
            "dot dot in a record",
            pax(&[("path", b"../x")]),
            Refused(Denied, "'..'"),
        ),
        Case(
            "dot dot in a folder",
            one(Header::folder("../d/")),
            Refused(Denied, "'..'"),
        ),
        Case("absolute", file("/etc/x"), Tree(&["etc/", "etc/x=x"])),
        Case("absolute with slashes", file("///x"), Tree(&["x=x"])),
        Case("dots that are a name", file("..."), Tree(&["...=x"])),
        Case("backslashes", file("..\\x"), Tree(&["..\\\\x=x"])),
        Case("no name", file(""), Refused(InvalidSpec, "it has no name")),
        Case(
            "the root as a file",
            file("."),
            Refused(Denied, "the root of the tree can only be a folder"),
        ),
        Case(
            "the root as a file, absolute",
            one(Header::new(b'0', "/.", b"x")),
            Refused(Denied, "root of the tree"),
        ),
        Case(
            "the root as a link",
            Archive::new().symlink("./", "/").finish(),
            Refused(Denied, "root of the tree"),
        ),
        Case(
            "the root as a device",
            Archive::new().device(".", 1, 3).finish(),
            Refused(Denied, "root of the tree"),
        ),
        Case("the root as a folder", one(Header::folder("./")), Tree(&[])),
        Case(
            "a slash after a file with content",
            file("x/"),
            Refused(InvalidSpec, "name of a folder and content"),
        ),
        Case(
            "a slash after an empty file",
            Archive::new().file("x/", b"").finish(),
            Tree(&["x/"]),
        ),
        Case(
            "not UTF-8",
            one(Header::file(b"\xff\xfe", b"x")),
            Tree(&["\\xff\\xfe=x"]),
        ),
        Case(
            "line breaks and escapes",
            file("a\n\x1b[31mb"),
            Tree(&["a\\n\\x1b[31mb=x"]),
        ),
        Case(
            "line breaks in an error",
            file("a\n\x1b[31m/../b"),
            Refused(Denied, "a\\n\\u{1b}[31m"),
        ),
        Case(
            "a zero byte in a record",
            pax(&[("path", b"a\0b")]),
            Refused(Denied, "zero byte"),
        ),
        Case(
            "a zero byte in the name of a file with holes",
            pax(&[("GNU.sparse.name", b"a\0b")]),
            Refused(Denied, "zero byte"),
        ),
        Case(
            "a name of 4096 bytes",
            long(&b"a/".repeat(2048)),
            Refused(InvalidSpec, "has 4096 bytes; the limit is 4095"),
        ),
        Case(
            "a part of 256 bytes",
            long(&[b'a'; 256]),
            Refused(InvalidSpec, "a part of its name has 256 bytes"),
        ),
        Case("too deep", file(&format!("{}x", &deep[..80])), Tree(&[])),
        Case(
            "65 folders deep",
            long(format!("{deep}x").as_bytes()),
            Refused(Exhausted, "more than 64 folders deep"),
        ),
        Case(
            "a record that takes the name back",
            pax(&[("path", b"")]),
            Tree(&["short=x"]),
        ),
    ]
    .into_iter()
    .filter(|case| case.0 != "too deep")
    .collect()
}

fn links(outside: &Path) -> Vec<Case> {
    let out = outside.to_str().unwrap();
    let victim = format!("{out}/victim");
    let archive = Archive::new;
    let mut joint = archive();
    for step in 0..50 {
        joint = joint.symlink(format!("l{step}"), format!("l{}", step + 1));
    }
    vec![
        Case(
            "a link out, then a file through it",
            archive().symlink("l", "../../outside").file("l/x", b"x").finish(),
            Tree(&["l->../../outside", "outside/", "outside/x=x"]),
        ),
        Case(
            "a link to the host's root, then a file through it",
            archive().symlink("l", "/").file("l/etc/x", b"x").finish(),
            Tree(&["etc/", "etc/x=x", "l->/"]),
        ),
        Case(
            "a link to a file outside, then that file",
            archive()
                .symlink("l", "../../outside/victim")
                .file("l", b"x")
                .finish(),
            Tree(&["l=x"]),
        ),
        Case(
            "a link out, then a folder of its name",
            archive()
                .symlink("l", "../../outside")
                .folder("l/", 0o777)
                .file("l/x", b"x")
                .finish(),
            Tree(&["l/", "l/x=x"]),
        ),
        Case(
            "a link out, then a folder through it",
            archive()
                .symlink("l", "../../outside")
                .folder("l/folder/", 0o777)
                .finish(),
            Tree(&["l->../../outside", "outside/", "outside/folder/"]),
        ),
        Case(
            "two links that together lead out",
            archive()
                .symlink("a", ".")
                .symlink("b", "a/..")
                .symlink("c", "b/../../outside")
                .file("c/x", b"x")
                .finish(),
            Tree(&["a->.", "b->a/..", "c->b/../../outside", "outside/", "outside/x=x"]),
        ),
        Case(
            "a link that turns after it was used",
            archive()
                .folder("d/", 0o755)
                .symlink("l", "d")
                .file("l/one", b"1")
                .symlink("l", "../../outside")
                .file("l/two", b"2")
                .finish(),
            Tree(&["d/", "d/one=1", "l->../../outside", "outside/", "outside/two=2"]),
        ),
        Case(
            "a folder that becomes a link",
            archive()
                .folder("d/", 0o755)
                .symlink("d", "../../outside")
                .file("d/victim", b"x")
                .finish(),
            Tree(&["d->../../outside", "outside/", "outside/victim=x"]),
        ),
        Case(
            "a full folder that becomes a link",
            archive().file("d/in", b"1").symlink("d", "/").finish(),
            Refused(
                InvalidSpec,
                "\"d\": there is a folder of this name, which is not empty",
            ),
        ),
        Case(
            "a link in the middle",
            archive()
                .symlink("a/l", "../../../outside")
                .file("a/l/folder/x", b"x")
                .finish(),
            Tree(&[
                "a/",
                "a/l->../../../outside",
                "outside/",
                "outside/folder/",
                "outside/folder/x=x",
            ]),
        ),
        Case(
            "a loop",
            archive()
                .symlink("a", "b")
                .symlink("b", "a")
                .file("a/x", b"x")
                .finish(),
            Refused(Denied, "too many symbolic links"),
        ),
        Case(
            "a link to itself",
            archive().symlink("a", "a/a").file("a/x", b"x").finish(),
            Refused(Denied, "too many symbolic links"),
        ),
        Case(
            "fifty links",
            joint.file("l0/x", b"x").finish(),
            Refused(Denied, "too many symbolic links"),
        ),
        Case(
            "a link without target",
            archive().symlink("l", "").finish(),
            Refused(InvalidSpec, "target of the symbolic link"),
        ),
        Case(
            "a target of 5000 bytes",
            archive().long_link(&[b'a'; 5000]).symlink("l", "x").finish(),
            Refused(InvalidSpec, "target of the symbolic link"),
        ),
        Case(
            "a link through a file",
            archive()
                .file("f", b"1")
                .symlink("l", "f/x")
                .file("l/y", b"2")
                .finish(),
            Refused(InvalidSpec, "it lies in \"f\", which is no folder"),
        ),
        Case(
            "a file in a file",
            archive().file("f", b"1").file("f/x", b"2").finish(),
            Refused(InvalidSpec, "which is no folder"),
        ),
        Case(
            "a file in a fifo",
            archive().fifo("f").file("f/x", b"2").finish(),
            Refused(InvalidSpec, "which is no folder"),
        ),
        Case(
            "into the host's descriptors",
            archive()
                .symlink("l", "/proc/self/fd/3")
                .file("l/x", b"x")
                .finish(),
            Tree(&[
                "l->/proc/self/fd/3",
                "proc/",
                "proc/self/",
                "proc/self/fd/",
                "proc/self/fd/3/",
                "proc/self/fd/3/x=x",
            ]),
        ),
        Case(
            "a hard link out",
            archive().hard_link("h", "../../outside/victim").finish(),
            Refused(Denied, "target of the hard link cannot be"),
        ),
        Case(
            "an absolute hard link out",
            archive()
                .long_link(victim.as_bytes())
                .hard_link("h", "x")
                .finish(),
            Refused(InvalidSpec, "not in this layer"),
        ),
        Case(
            "a hard link through a link out",
            archive()
                .symlink("l", "../../outside")
                .hard_link("h", "l/victim")
                .finish(),
            Refused(InvalidSpec, "not in this layer"),
        ),
        Case(
            "a hard link to a link out, then content",
            archive()
                .symlink("l", "../../outside/victim")
                .hard_link("h", "l")
                .file("h", b"x")
                .finish(),
            Tree(&["h=x", "l->../../outside/victim"]),
        ),
        Case(
            "a hard link to a link out, and through it",
            archive()
                .symlink("l", "../../outside")
                .hard_link("h", "l")
                .file("h/x", b"x")
                .finish(),
            Tree(&["h->../../outside", "l->../../outside", "outside/", "outside/x=x"]),
        ),
        Case(
            "a hard link to a folder",
            archive().folder("d/", 0o755).hard_link("h", "d").finish(),
            Refused(Denied, "is a folder"),
        ),
        Case(
            "a hard link to the root",
            archive().hard_link("h", ".").finish(),
            Refused(Denied, "is no file"),
        ),
        Case(
            "a hard link to nothing",
            archive().hard_link("h", "none").finish(),
            Refused(InvalidSpec, "not in this layer"),
        ),
        Case(
            "a hard link without target",
            archive().hard_link("h", "").finish(),
            Refused(Denied, "cannot be"),
        ),
        Case(
            "a hard link to itself",
            archive()
                .file("h", b"x")
                .hard_link("h", "h")
                .hard_link("./h", "/h")
                .finish(),
            Tree(&["h=x"]),
        ),
        Case(
            "a record with a link target out",
            archive()
                .pax(&[("linkpath", b"../../outside/victim")])
                .hard_link("h", "x")
                .finish(),
            Refused(Denied, "cannot be"),
        ),
    ]
}

fn whiteouts(outside: &Path) -> Vec<Case> {
    let archive = Archive::new;
    let out = outside.to_str().unwrap();
    vec![
        Case(
            "a whiteout of nothing",
            archive().file(".wh.", b"").finish(),
            Refused(Denied, "whiteout"),
        ),
        Case(
            "a whiteout of the folder",
            archive().file("a/.wh..", b"").finish(),
            Refused(Denied, "whiteout"),
        ),
        Case(
            "a whiteout of the parent",
            archive().file(".wh...", b"").finish(),
            Refused(Denied, "whiteout"),
        ),
        Case(
            "a whiteout of four dots",
            archive().file(".wh.....", b"").finish(),
            Tree(&["!...."]),
        ),
        Case(
            "a whiteout through a link out",
            archive()
                .symlink("l", "../../outside")
                .file("l/.wh.victim", b"")
                .finish(),
            Tree(&["!outside/victim", "l->../../outside", "outside/"]),
        ),
        Case(
            "a whiteout through an absolute link out",
            archive()
                .long_link(out.as_bytes())
                .symlink("l", "x")
                .file("l/../.wh.victim", b"")
                .finish(),
            Refused(Denied, "'..'"),
        ),
        Case(
            "an opaque mark through a link out",
            archive()
                .symlink("l", "../../outside")
                .file("l/.wh..wh..opq", b"")
                .finish(),
            Tree(&["l->../../outside", "outside/ opaque"]),
        ),
        Case(
            "an opaque root",
            archive().file(".wh..wh..opq", b"").finish(),
            Refused(Denied, "hides the root"),
        ),
        Case(
            "an opaque root through a link",
            archive().symlink("l", "/").file("l/.wh..wh..opq", b"").finish(),
            Refused(Denied, "hides the root"),
        ),
        Case(
            "other notes",
            archive()
                .file(".wh..wh.aufs", b"x")
                .folder(".wh..wh.orph/", 0o700)
                .file(".wh..wh.orph/x", b"")
                .finish(),
            Tree(&[]),
        ),
        Case(
            "dot dot among other notes",
            archive().file(".wh..wh.plnk/../../x", b"x").finish(),
            Refused(Denied, "'..'"),
        ),
        Case(
            "a file in a whiteout",
            archive().file(".wh.a/x", b"").finish(),
            Refused(Denied, "cannot be a folder"),
        ),
        Case(
            "a whiteout with content",
            archive().file(".wh.a", &[7; 2000]).finish(),
            Tree(&["!a"]),
        ),
        Case(
            "a whiteout that is a link",
            archive().symlink(".wh.a", "/etc").finish(),
            Tree(&["!a"]),
        ),
        Case(
            "a hard link to a whiteout",
            archive().file(".wh.a", b"").hard_link("b", "a").finish(),
            Refused(InvalidSpec, "not in this layer"),
        ),
        Case(
            "a hard link to the name of a whiteout",
            archive().file(".wh.a", b"").hard_link("b", ".wh.a").finish(),
            Refused(Denied, "no file"),
        ),
        Case(
            "a 0/0 device is no whiteout",
            archive().device("a", 0, 0).finish(),
            Tree(&["a="]),
        ),
        Case(
            "a whiteout, then a folder of its name",
            archive().file(".wh.a", b"").file("a/x", b"1").finish(),
            Tree(&["a/ opaque", "a/x=1"]),
        ),
        Case(
            "a whiteout, then a file of its name",
            archive().file(".wh.a", b"").file("a", b"1").finish(),
            Tree(&["a=1"]),
        ),
        Case(
            "a whiteout, then a link of its name",
            archive()
                .file(".wh.a", b"")
                .symlink("a", "/")
                .file("a/x", b"1")
                .finish(),
            Tree(&["a->/", "x=1"]),
        ),
        Case(
            "attributes of overlayfs",
            archive()
                .pax(&[
                    ("SCHILY.xattr.user.overlay.opaque", b"y"),
                    ("SCHILY.xattr.user.overlay.redirect", b"/etc"),
                    ("SCHILY.xattr.user.overlay.metacopy", b""),
                    ("SCHILY.xattr.user.overlay.whiteout", b"y"),
                    ("SCHILY.xattr.trusted.overlay.opaque", b"y"),
                    ("SCHILY.xattr.security.selinux", b"x"),
                    ("SCHILY.xattr.system.posix_acl_access", b"x"),
                ])
                .folder("d/", 0o755)
                .finish(),
            Tree(&["d/"]),
        ),
        Case(
            "an attribute with a zero byte in its name",
            archive()
                .pax(&[("SCHILY.xattr.user.a\0b", b"")])
                .file("f", b"")
                .finish(),
            Refused(InvalidSpec, "extended attribute"),
        ),
    ]
}

fn lies() -> Vec<Case> {
    let archive = Archive::new;
    let good = archive().file("a", b"1").file("b", &[b'x'; 1000]).finish();
    let pax = |records: &[(&str, &[u8])]| archive().pax(records).file("f", &[b'x'; 600]).finish();
    let sparse = |slots: &[(u64, u64)], real: u64, size: usize| {
        let mut header = Header::new(b'S', "s", &vec![b'd'; size]);
        for (slot, (offset, length)) in slots.iter().enumerate() {
            let at = 386 + slot * 24;
            header = header.at(at, format!("{offset:011o}\0{length:011o}\0").as_bytes());
        }
        header.at(483, format!("{real:011o}\0").as_bytes())
    };
    let lines = |map: &str, real: &str, size: usize| {
        let mut content = map.as_bytes().to_vec();
        content.resize(content.len().next_multiple_of(512), 0);
        content.extend(vec![b'd'; size]);
        archive()
            .pax(&[
                ("GNU.sparse.major", b"1"),
                ("GNU.sparse.minor", b"0"),
                ("GNU.sparse.name", b"s"),
                ("GNU.sparse.realsize", real.as_bytes()),
            ])
            .file("other", &content)
            .finish()
    };
    let mut many_holes = Header::new(b'S', "s", b"")
        .at(482, &[1])
        .at(386, b"00000000000\x0000000000000\0")
        .bytes();
    let mut block = [0u8; 512];
    for slot in 0..21 {
        block[slot * 24..slot * 24 + 24].copy_from_slice(b"00000000000\x0000000000000\0");
    }
    block[504] = 1;
    for _ in 0..60_000 {
        many_holes.extend(block);
    }
    let cut = |at: usize| good[..at].to_vec();
    let compressed = gzip(&good);
    let mut bad_crc = compressed.clone();
    let place = bad_crc.len() - 6;
    bad_crc[place] ^= 1;
    let framed = zstd::encode_all(&good[..], 1).unwrap();
    let many_owners = (1000..1010).fold(archive(), |archive, id| {
        archive.entry(Header::file(format!("f{id}"), b"").owner(if is_root() { id } else { id }, 0))
    });
    let many = (0..1001).fold(archive(), |archive, number| {
        archive.file(format!("f{number}"), b"")
    });
    let records = (0..5000).fold(archive(), |archive, _| {
        archive.entry(Header::new(b'g', "g", b"13 comment=x\n"))
    });
    let mut attribute_lie = record("SCHILY.xattr.user.x", b"1\n");
    attribute_lie.extend(record("size", b"600"));
    vec![
        Case(
            "a wrong checksum",
            archive().entry(Header::file("a", b"").raw()).finish(),
            Refused(InvalidSpec, "checksum"),
        ),
        Case(
            "a wrong checksum later",
            archive()
                .file("a", b"")
                .entry(Header::file("b", b"").raw())
                .finish(),
            Refused(InvalidSpec, "\"b\": the checksum"),
        ),
        Case(
            "nothing",
            Vec::new(),
            Refused(InvalidSpec, "the archive is empty"),
        ),
        Case(
            "nothing, compressed",
            gzip(b""),
            Refused(InvalidSpec, "the archive is empty"),
        ),
        Case("only zeros", vec![0; 10_240], Tree(&[])),
        Case(
            "text",
            b"this is no archive at all".to_vec(),
            Refused(InvalidSpec, "inside a header"),
        ),
        Case("more text", vec![b'x'; 5000], Refused(InvalidSpec, "checksum")),
        Case(
            "xz",
            b"\xfd7zXZ\0\0\0".to_vec(),
            Refused(ErrorKind::Unsupported, "compressed with xz"),
        ),
        Case(
            "bzip2",
            b"BZh91AY&SY".to_vec(),
            Refused(ErrorKind::Unsupported, "compressed with bzip2"),
        ),
        Case(
            "cut in the first header",
            cut(100),
            Refused(InvalidSpec, "inside a header"),
        ),
        Case(
            "cut before content",
            cut(512),
            Refused(InvalidSpec, "\"a\": the archive ends inside its content"),
        ),
        Case(
            "cut in padding",
            cut(600),
            Refused(InvalidSpec, "\"a\": the archive ends inside its padding"),
        ),
        Case(
            "cut in the second header",
            cut(1100),
            Refused(InvalidSpec, "inside a header"),
        ),
        Case(
            "cut in content",
            cut(2000),
            Refused(InvalidSpec, "\"b\": the archive ends inside its content"),
        ),
        Case(
            "cut before the end",
            cut(2560),
            Tree(&["a=1", "b=xxxxxxxxxxxxxxxx"]),
        ),
        Case(
            "cut between the zeros",
            cut(3072),
            Tree(&["a=1", "b=xxxxxxxxxxxxxxxx"]),
        ),
        Case(
            "cut in the zeros",
            cut(2700),
            Refused(InvalidSpec, "inside a header"),
        ),
        Case(
            "gzip, cut",
            compressed[..compressed.len() - 9].to_vec(),
            Refused(InvalidSpec, "cut short"),
        ),
        Case(
            "gzip, without its sum",
            compressed[..compressed.len() - 8].to_vec(),
            Refused(InvalidSpec, "cut short"),
        ),
        Case(
            "gzip, cut in its header",
            compressed[..5].to_vec(),
            Refused(InvalidSpec, "cut short"),
        ),
        Case("gzip, wrong sum", bad_crc, Refused(InvalidSpec, "damaged")),
        Case(
            "gzip, garbage after it",
            [&compressed[..], b"garbage, and more"].concat(),
            Refused(InvalidSpec, "damaged"),
        ),
        Case(
            "zstd, cut",
            framed[..framed.len() - 3].to_vec(),
            Refused(InvalidSpec, "cut short"),
        ),
        Case(
            "zstd, garbage after it",
            [&framed[..], b"garbage"].concat(),
            Refused(InvalidSpec, ""),
        ),
        Case(
            "a block of zeros between entries",
            archive().file("a", b"").bytes(&[0; 512]).file("b", b"").finish(),
            Refused(InvalidSpec, "block of zeros"),
        ),
        Case(
            "a size that is too small",
            archive().entry(Header::file("a", &[b'x'; 600]).size(5)).finish(),
            Refused(InvalidSpec, "checksum"),
        ),
        Case(
            "a size beyond the archive",
            archive().entry(Header::file("a", b"x").size(100_000)).finish(),
            Refused(InvalidSpec, "ends inside its content"),
        ),
        Case(
            "a size beyond the limit",
            one(Header::file("a", b"x").size(1 << 40)),
            Refused(Exhausted, "more than 268435456 bytes"),
        ),
        Case(
            "a size below zero",
            one(Header::file("a", b"").at(124, &[0xff; 12])),
            Refused(InvalidSpec, "the size in its header"),
        ),
        Case(
            "a size beyond 64 bits",
            one(Header::file("a", b"").at(124, b"\x80\0\0\x01\0\0\0\0\0\0\0\0")),
            Refused(InvalidSpec, "the size in its header"),
        ),
        Case(
            "a size beyond 63 bits",
            one(Header::file("a", b"").at(124, b"\x80\0\0\0\xf0\0\0\0\0\0\0\0")),
            Refused(InvalidSpec, "no file can have its size"),
        ),
        Case(
            "a size with a sign",
            one(Header::file("a", b"").at(124, b"-0000000001\0")),
            Refused(InvalidSpec, "the size in its header"),
        ),
        Case(
            "a size in base 256",
            archive()
                .entry(Header::file("a", b"xyz").at(124, b"\x80\0\0\0\0\0\0\0\0\0\0\x03"))
                .finish(),
            Tree(&["a=xyz"]),
        ),
        Case(
            "an owner that is nobody",
            one(Header::file("a", b"").owner(u64::from(u32::MAX), 0)),
            Refused(Denied, "id 4294967295"),
        ),
        Case(
            "an owner beyond 32 bits",
            pax(&[("uid", b"4294967296")]),
            Refused(Denied, "id 4294967296"),
        ),
        Case(
            "too many owners",
            many_owners.finish(),
            Refused(Exhausted, "more than 4 owners"),
        ),
        Case(
            "too many entries",
            many.finish(),
            Refused(Exhausted, "more than 1000 entries"),
        ),
        Case(
            "too many records",
            records.finish(),
            Refused(Exhausted, "too many headers"),
        ),
        Case(
            "a record that makes it larger",
            pax(&[("size", b"6000")]),
            Refused(InvalidSpec, "ends inside its content"),
        ),
        Case(
            "a record that makes it smaller",
            pax(&[("size", b"5")]),
            Refused(InvalidSpec, "checksum"),
        ),
        Case(
            "a record beyond all sizes",
            pax(&[("size", b"99999999999999999999")]),
            Refused(InvalidSpec, "size record"),
        ),
        Case(
            "a record below zero",
            pax(&[("size", b"-5")]),
            Refused(InvalidSpec, "size record"),
        ),
        Case(
            "a size behind an attribute with a line break",
            archive()
                .entry(Header::new(b'x', "x", &attribute_lie))
                .entry(Header::file("f", &[b'x'; 600]).size(0))
                .finish(),
            Tree(&["f=xxxxxxxxxxxxxxxx"]),
        ),
        Case(
            "records without a length",
            archive()
                .entry(Header::new(b'x', "x", b"path=a\n"))
                .file("f", b"")
                .finish(),
            Refused(InvalidSpec, "records are malformed"),
        ),
        Case(
            "records longer than they are",
            archive()
                .entry(Header::new(b'x', "x", b"99 path=a\n"))
                .file("f", b"")
                .finish(),
            Refused(InvalidSpec, "records are malformed"),
        ),
        Case(
            "records for nobody",
            archive().pax(&[("path", b"a")]).finish(),
            Refused(InvalidSpec, "where an entry was announced"),
        ),
        Case(
            "two sets of records",
            archive()
                .pax(&[("path", b"a")])
                .pax(&[("path", b"b")])
                .file("f", b"")
                .finish(),
            Refused(InvalidSpec, "two sets"),
        ),
        Case(
            "two long names",
            archive().long_name(b"a").long_name(b"b").file("f", b"").finish(),
            Refused(InvalidSpec, "two long names"),
        ),
        Case(
            "records of 100 GiB",
            one(Header::new(b'x', "x", b"").size(100 << 30)),
            Refused(Exhausted, "names and records"),
        ),
        Case(
            "a long name of 100 GiB",
            one(Header::new(b'L', "x", b"").size(100 << 30)),
            Refused(Exhausted, "names and records"),
        ),
        Case(
            "a global name",
            archive()
                .entry(Header::new(b'g', "g", b"9 path=a\n"))
                .file("f", b"")
                .finish(),
            Refused(InvalidSpec, "global record"),
        ),
        Case(
            "a global comment",
            archive()
                .entry(Header::new(b'g', "g", b"13 comment=x\n"))
                .file("f", b"")
                .finish(),
            Tree(&["f="]),
        ),
        Case(
            "a kind that is not known",
            one(Header::new(b'V', "a", b"")),
            Refused(InvalidSpec, "of the kind 'V'"),
        ),
        Case(
            "holes",
            archive()
                .entry(sparse(&[(1024, 512), (4096, 3)], 5000, 515))
                .finish(),
            Tree(&["s=\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"]),
        ),
        Case(
            "holes that overlap",
            archive()
                .entry(sparse(&[(1024, 512), (1024, 512)], 5000, 1024))
                .finish(),
            Refused(InvalidSpec, "overlap"),
        ),
        Case(
            "holes beyond the size",
            archive().entry(sparse(&[(1024, 512)], 1100, 512)).finish(),
            Refused(InvalidSpec, "beyond its size"),
        ),
        Case(
            "more extents than content",
            archive().entry(sparse(&[(0, 1024)], 5000, 512)).finish(),
            Refused(InvalidSpec, "1024 bytes and its content 512"),
        ),
        Case(
            "a bomb of holes",
            archive().entry(sparse(&[], 8 << 30, 0)).finish(),
            Refused(Exhausted, "more than 268435456 bytes"),
        ),
        Case(
            "a map of holes that fills memory",
            many_holes,
            Refused(Exhausted, "extents"),
        ),
        Case(
            "holes as lines",
            lines("2\n0\n512\n2048\n10\n", "4000", 522),
            Tree(&["s=dddddddddddddddd"]),
        ),
        Case(
            "holes as lines without end",
            lines("999999999\n", "4000", 600),
            Refused(InvalidSpec, "map of holes"),
        ),
        Case(
            "holes as lines that are none",
            lines("-1\n", "4000", 600),
            Refused(InvalidSpec, "map of holes is malformed"),
        ),
        Case(
            "holes as lines, a bomb",
            lines("0\n", "99999999999999", 0),
            Refused(Exhausted, "more than 268435456 bytes"),
        ),
        Case(
            "holes as records",
            archive()
                .pax(&[
                    ("GNU.sparse.map", b"0,512,1024,88"),
                    ("GNU.sparse.size", b"2000"),
                    ("GNU.sparse.name", b"s"),
                ])
                .file("f", &[b'x'; 600])
                .finish(),
            Tree(&["s=xxxxxxxxxxxxxxxx"]),
        ),
        Case(
            "holes as half a record",
            pax(&[("GNU.sparse.map", b"0,512,7"), ("GNU.sparse.size", b"2000")]),
            Refused(InvalidSpec, "map of holes"),
        ),
        Case(
            "holes of a later format",
            pax(&[("GNU.sparse.major", b"2"), ("GNU.sparse.minor", b"0")]),
            Refused(InvalidSpec, "format 2.0"),
        ),
        Case(
            "holes without size",
            pax(&[("GNU.sparse.map", b"0,600")]),
            Refused(InvalidSpec, "no size"),
        ),
        Case(
            "garbage after the end",
            [good.clone(), vec![b'g'; 100_000]].concat(),
            Tree(&["a=1", "b=xxxxxxxxxxxxxxxx"]),
        ),
        Case(
            "17 MiB after the end",
            [good.clone(), vec![b'g'; 17 << 20]].concat(),
            Refused(Exhausted, "follow the end"),
        ),
        Case(
            "a folder with content",
            archive()
                .entry(Header::folder("d/").size(512))
                .file("d/x", b"1")
                .finish(),
            Tree(&["d/", "d/x=1"]),
        ),
    ]
}

fn kinds(outside: &Path) -> Vec<Case> {
    let archive = Archive::new;
    let _ = outside;
    vec![
        Case(
            "devices",
            archive()
                .device("mem", 1, 1)
                .entry(Header::new(b'4', "disk", b"").device(8, 0))
                .finish(),
            Tree(&["disk=", "mem="]),
        ),
        Case(
            "content over a device",
            archive().device("mem", 1, 1).file("mem", b"1").finish(),
            Tree(&["mem=1"]),
        ),
        Case(
            "content over a fifo does not wait",
            archive().fifo("p").file("p", b"1").finish(),
            Tree(&["p=1"]),
        ),
        Case(
            "a fifo over content",
            archive().file("p", b"1").fifo("p").finish(),
            Tree(&["|p"]),
        ),
        Case(
            "set-user-id",
            archive().entry(Header::file("su", b"x").mode(0o6755)).finish(),
            Tree(&["su=x"]),
        ),
        Case(
            "set-user-id behind a hard link",
            archive()
                .entry(Header::file("su", b"x").mode(0o4755))
                .hard_link("h", "su")
                .finish(),
            Tree(&["h=x", "su=x"]),
        ),
        Case(
            "a file over an empty folder",
            archive().folder("d/", 0o755).file("d", b"1").finish(),
            Tree(&["d=1"]),
        ),
        Case(
            "a file over a full folder",
            archive().file("d/x", b"1").file("d", b"1").finish(),
            Refused(InvalidSpec, "not empty"),
        ),
        Case(
            "a folder over a file",
            archive().file("d", b"1").file("d/x", b"2").finish(),
            Refused(InvalidSpec, "no folder"),
        ),
        Case(
            "a folder entry over a file",
            archive()
                .file("d", b"1")
                .folder("d/", 0o755)
                .file("d/x", b"2")
                .finish(),
            Tree(&["d/", "d/x=2"]),
        ),
        Case(
            "a name in all kinds",
            archive()
                .file("a", b"1")
                .symlink("a", "/")
                .fifo("a")
                .device("a", 5, 5)
                .folder("a/", 0o700)
                .symlink("a", "x")
                .file("a", b"2")
                .finish(),
            Tree(&["a=2"]),
        ),
        Case(
            "into a folder without permissions",
            archive().folder("d/", 0).file("d/x", b"1").finish(),
            Tree(&["d/", "d/x=1"]),
        ),
    ]
}

#[test]
fn ten_gigabytes_of_zeros_are_refused_early() {
    let place = tempfile::tempdir().unwrap();
    closed(place.path(), || {
        let header = one(Header::file("zeros", b"").size(10 << 30));
        // What is behind the header is never made: the reader gives it as it is asked for.
        let bombs: [(&str, Vec<u8>, Vec<u8>); 2] = [
            ("gzip", gzip(&header[..512]), gzip(&vec![0; 32 << 20])),
            (
                "zstd",
                zstd::encode_all(&header[..512], 1).unwrap(),
                zstd::encode_all(&vec![0; 32 << 20][..], 1).unwrap(),
            ),
        ];
        for (name, head, zeros) in bombs {
            for (what, limits) in [
                (
                    "bytes",
                    Limits {
                        bytes: 1 << 30,
                        ratio: u64::MAX,
                        ..Limits::default()
                    },
                ),
                (
                    "times",
                    Limits {
                        ratio: 200,
                        ..Limits::default()
                    },
                ),
            ] {
                let layer = place.path().join(format!("{name}-{what}"));
                fs::create_dir(&layer).unwrap();
                let mut archive = Endless {
                    bytes: head.clone(),
                    again: zeros.clone(),
                    used: 0,
                };
                let error = unpack(&mut archive, &layer, &Rules { limits, ..rules() }).unwrap_err();
                assert_eq!(error.kind(), Exhausted, "{name} {what}");
                assert!(error.message().contains(what), "{name}: {}", error.message());
                let written = fs::metadata(layer.join(TREE).join("zeros")).map_or(0, |file| file.len());
                assert!(written <= 64 << 20, "{name} {what}: {written} bytes");
            }
        }
    });
}

/// The same again and again.
struct Endless {
    bytes: Vec<u8>,
    again: Vec<u8>,
    used: usize,
}

impl std::io::Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.used == self.bytes.len() {
            self.bytes.clone_from(&self.again);
            self.used = 0;
        }
        let count = buffer.len().min(self.bytes.len() - self.used);
        buffer[..count].copy_from_slice(&self.bytes[self.used..self.used + count]);
        self.used += count;
        Ok(count)
    }
}
