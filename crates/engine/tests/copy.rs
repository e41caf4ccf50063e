//! Files in and out as tar streams.

mod common;

use std::{collections::BTreeMap, io::Read, path::PathBuf};

use agentkernel_control::{ByteStream, Control, Error, Result};
use agentkernel_types::{ErrorKind, GuestPath};
use bytes::Bytes;
use common::{Stage, name};
use tokio::sync::mpsc;

fn at(text: &str) -> GuestPath {
    text.parse().expect("a path of the test is valid")
}

/// A stream of `bytes` in chunks of `size`.
fn stream(bytes: &[u8], size: usize) -> ByteStream {
    let chunks: Vec<_> = bytes.chunks(size.max(1)).map(Bytes::copy_from_slice).collect();
    let (sender, receiver) = mpsc::channel(2);
    tokio::spawn(async move {
        for chunk in chunks {
            if sender.send(Ok(chunk)).await.is_err() {
                break;
            }
        }
    });
    receiver
}

async fn whole(mut stream: ByteStream) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.recv().await {
        bytes.extend_from_slice(&chunk?);
    }
    Ok(bytes)
}

async fn stage() -> Stage {
    let stage = Stage::new();
    stage.engine.create(stage.named("one")).await.expect("it is made");
    stage
}

async fn copy_in(stage: &Stage, path: &str, archive: &[u8], size: usize) -> Result<()> {
    stage
        .engine
        .copy_in(&name("one"), &at(path), stream(archive, size))
        .await
}

async fn copy_out(stage: &Stage, path: &str) -> Vec<u8> {
    whole(
        stage
            .engine
            .copy_out(&name("one"), &at(path))
            .await
            .expect("it is there"),
    )
    .await
    .expect("it is readable")
}

#[derive(Debug, Eq, PartialEq)]
enum Found {
    Folder,
    File(Vec<u8>, u32),
    Link(PathBuf),
}

/// What another reader of tar archives makes of it.
fn contents(archive: &[u8]) -> BTreeMap<String, Found> {
    let mut archive = tar::Archive::new(archive);
    let mut found = BTreeMap::new();
    for entry in archive.entries().expect("an archive") {
        let mut entry = entry.expect("an entry");
        let path = entry
            .path()
            .expect("a path")
            .to_string_lossy()
            .trim_end_matches('/')
            .to_owned();
        let mode = entry.header().mode().expect("a mode");
        let kind = entry.header().entry_type();
        let what = if kind.is_dir() {
            Found::Folder
        } else if kind.is_symlink() {
            Found::Link(entry.link_name().expect("a link").expect("a target").into_owned())
        } else {
            assert!(kind.is_file(), "{kind:?}");
            let mut content = Vec::new();
            entry.read_to_end(&mut content).expect("content");
            Found::File(content, mode)
        };
        assert!(
            found.insert(path.clone(), what).is_none(),
            "{path} is there twice"
        );
    }
    found
}

fn header(kind: tar::EntryType, size: u64, mode: u32) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(mode);
    header.set_mtime(1_000_000_000);
    header
}

fn sample() -> (Vec<u8>, BTreeMap<String, Found>) {
    let mut builder = tar::Builder::new(Vec::new());
    let long = format!("{}/{}", "d".repeat(120), "f".repeat(200));
    let files: [(&str, Vec<u8>, u32); 6] = [
        ("plain", b"text".to_vec(), 0o644),
        ("empty", Vec::new(), 0o600),
        ("sub/run", vec![0, 255, 10, 13], 0o755),
        ("with ü and 😀", b"unicode".to_vec(), 0o640),
        ("big", (0..300_000u32).map(|n| n as u8).collect(), 0o644),
        (&long, b"deep".to_vec(), 0o644),
    ];
    let mut expected = BTreeMap::new();
    builder
        .append_data(&mut header(tar::EntryType::Directory, 0, 0o755), "bare", &[][..])
        .expect("in memory");
    expected.insert("dest/bare".to_owned(), Found::Folder);
    for (path, content, mode) in files {
        let mut header = header(tar::EntryType::Regular, content.len() as u64, mode);
        builder
            .append_data(&mut header, path, &content[..])
            .expect("in memory");
        expected.insert(format!("dest/{path}"), Found::File(content, mode));
    }
    for target in ["plain".to_owned(), "/etc/passwd".to_owned(), "../".repeat(50)] {
        let link = format!("link{}", target.len());
        builder
            .append_link(&mut header(tar::EntryType::Symlink, 0, 0o777), &link, &target)
            .expect("in memory");
        expected.insert(format!("dest/{link}"), Found::Link(target.into()));
    }
    for folder in [
        "dest".to_owned(),
        "dest/sub".to_owned(),
        format!("dest/{}", "d".repeat(120)),
    ] {
        expected.insert(folder, Found::Folder);
    }
    (builder.into_inner().expect("in memory"), expected)
}

#[tokio::test]
async fn what_goes_in_comes_out() {
    let (archive, expected) = sample();
    for size in [1, 7, 511, 512, 513, 65_536, usize::MAX] {
        let stage = stage().await;
        copy_in(&stage, "/tmp/dest", &archive, size)
            .await
            .expect("a good archive");
        assert_eq!(
            contents(&copy_out(&stage, "/tmp/dest").await),
            expected,
            "in chunks of {size}"
        );
    }
}

#[tokio::test]
async fn what_came_out_can_go_in_again() {
    let stage = stage().await;
    let (archive, _) = sample();
    copy_in(&stage, "/tmp/dest", &archive, 4096)
        .await
        .expect("a good archive");
    let out = copy_out(&stage, "/tmp/dest").await;
    copy_in(&stage, "/tmp/again", &out, 1000)
        .await
        .expect("our own archive");
    assert_eq!(copy_out(&stage, "/tmp/again/dest").await, out);
    // A second time over what is there already.
    copy_in(&stage, "/tmp/again", &out, 1000)
        .await
        .expect("our own archive");
    assert_eq!(copy_out(&stage, "/tmp/again/dest").await, out);
}

#[tokio::test]
async fn a_single_file_comes_out_under_its_name() {
    let stage = stage().await;
    let found = contents(&copy_out(&stage, "/etc/passwd").await);
    assert_eq!(found.keys().collect::<Vec<_>>(), vec!["passwd"]);
}

#[tokio::test]
async fn a_missing_path_is_not_found() {
    let stage = stage().await;
    let error = stage
        .engine
        .copy_out(&name("one"), &at("/no/such"))
        .await
        .expect_err("it is missing");
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_stopped_sandbox_is_started_for_a_copy() {
    let stage = stage().await;
    stage
        .engine
        .stop(&name("one"), std::time::Duration::ZERO)
        .await
        .expect("it stops");
    assert_eq!(
        stage
            .engine
            .stat(&name("one"), &at("/etc/passwd"))
            .await
            .expect("it is there")
            .name,
        b"passwd"
    );
}

#[tokio::test]
async fn a_dropped_archive_ends_the_packing() {
    let stage = stage().await;
    let (archive, _) = sample();
    copy_in(&stage, "/tmp/dest", &archive, 4096)
        .await
        .expect("a good archive");
    let mut out = stage
        .engine
        .copy_out(&name("one"), &at("/tmp/dest"))
        .await
        .expect("it is there");
    out.recv().await.expect("a first chunk").expect("it is readable");
    drop(out);
    assert_eq!(stage.exec(&name("one"), &["exit", "3"]).await.1.exit_code(), 3);
}

#[tokio::test]
async fn a_broken_stream_is_an_error_and_leaves_the_old_file() {
    let stage = stage().await;
    let (archive, _) = sample();
    copy_in(&stage, "/tmp/dest", &archive, 4096)
        .await
        .expect("a good archive");
    let before = copy_out(&stage, "/tmp/dest").await;
    let (sender, receiver) = mpsc::channel(8);
    let mut part = tar::Builder::new(Vec::new());
    part.append_data(
        &mut header(tar::EntryType::Regular, 2000, 0o644),
        "plain",
        &[b'x'; 2000][..],
    )
    .expect("in memory");
    let part = part.into_inner().expect("in memory");
    sender
        .try_send(Ok(Bytes::copy_from_slice(&part[..1000])))
        .expect("there is room");
    sender
        .try_send(Err(Error::new(ErrorKind::TimedOut, "copy", "the reader failed")))
        .expect("there is room");
    drop(sender);
    let error = stage
        .engine
        .copy_in(&name("one"), &at("/tmp/dest"), receiver)
        .await
        .expect_err("it is broken");
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert_eq!(copy_out(&stage, "/tmp/dest").await, before);
}

#[tokio::test]
async fn a_hard_link_becomes_a_file_of_its_own() {
    let stage = stage().await;
    let mut builder = tar::Builder::new(Vec::new());
    builder
        .append_data(
            &mut header(tar::EntryType::Regular, 4, 0o640),
            "a/one",
            &b"same"[..],
        )
        .expect("in memory");
    builder
        .append_link(&mut header(tar::EntryType::Link, 0, 0o644), "two", "a/one")
        .expect("in memory");
    copy_in(
        &stage,
        "/tmp/dest",
        &builder.into_inner().expect("in memory"),
        512,
    )
    .await
    .expect("a good archive");
    let found = contents(&copy_out(&stage, "/tmp/dest").await);
    assert_eq!(found["dest/two"], Found::File(b"same".to_vec(), 0o640));
}

#[tokio::test]
async fn set_id_bits_do_not_pass() {
    let stage = stage().await;
    let mut builder = tar::Builder::new(Vec::new());
    builder
        .append_data(&mut header(tar::EntryType::Regular, 1, 0o6755), "tool", &b"x"[..])
        .expect("in memory");
    copy_in(
        &stage,
        "/tmp/dest",
        &builder.into_inner().expect("in memory"),
        512,
    )
    .await
    .expect("a good archive");
    assert_eq!(
        contents(&copy_out(&stage, "/tmp/dest").await)["dest/tool"],
        Found::File(b"x".to_vec(), 0o755)
    );
}

/// Archives that are cut off or damaged anywhere: an error or not, but never a panic, and never anything outside.
#[tokio::test]
async fn damaged_archives_do_no_harm() {
    let stage = stage().await;
    let mut builder = tar::Builder::new(Vec::new());
    let long = "n".repeat(150);
    builder
        .append_data(&mut header(tar::EntryType::Regular, 3, 0o644), &long, &b"abc"[..])
        .expect("in memory");
    builder
        .append_link(&mut header(tar::EntryType::Symlink, 0, 0o777), "link", "target")
        .expect("in memory");
    let archive = builder.into_inner().expect("in memory");
    let before = common_outside(&stage).await;
    for length in (0..archive.len()).step_by(13) {
        let _ = copy_in(&stage, "/tmp/dest", &archive[..length], 500).await;
    }
    let mut state = 1u64;
    for _ in 0..3000 {
        // A small generator with a fixed seed: every run damages the same bytes.
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let mut damaged = archive.clone();
        let place = (state >> 33) as usize % damaged.len();
        damaged[place] ^= 1 << (state >> 20 & 7);
        // With the checksum mended, so that the damage gets past it.
        mend(&mut damaged, place / 512 * 512);
        let _ = copy_in(&stage, "/tmp/dest", &damaged, 700).await;
    }
    assert_eq!(common_outside(&stage).await, before);
}

fn mend(archive: &mut [u8], block: usize) {
    let Some(header) = archive.get_mut(block..block + 512) else {
        return;
    };
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

/// Everything in the sandbox but what is beneath the place that is copied to.
async fn common_outside(stage: &Stage) -> BTreeMap<String, Found> {
    let mut found = contents(&copy_out(stage, "/").await);
    found.retain(|path, _| !path.starts_with("./tmp/dest"));
    found
}

mod hostile {
    //! Archives that are made to get out of the folder that they are unpacked into.

    use super::*;

    /// One entry, whatever is wrong with it.
    #[derive(Clone)]
    struct Entry {
        kind: u8,
        name: Vec<u8>,
        link: Vec<u8>,
        content: Vec<u8>,
        means: Means,
    }

    /// How the name is said.
    #[derive(Clone, Copy, Debug)]
    enum Means {
        Plain,
        Pax,
        Gnu,
    }

    fn block(kind: u8, name: &[u8], link: &[u8], size: usize) -> Vec<u8> {
        let mut block = vec![0; 512];
        let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &name[..name.len().min(100)]);
        put(100, b"0000777\0");
        put(108, b"0000000\0");
        put(116, b"0000000\0");
        put(124, format!("{size:011o}\0").as_bytes());
        put(136, b"00000000000\0");
        put(156, &[kind]);
        put(157, &link[..link.len().min(100)]);
        put(257, b"ustar\x0000");
        mend(&mut block, 0);
        block
    }

    fn padded(bytes: &[u8]) -> Vec<u8> {
        let mut padded = bytes.to_vec();
        padded.resize(bytes.len().next_multiple_of(512), 0);
        padded
    }

    fn record(key: &str, value: &[u8]) -> Vec<u8> {
        let mut length = key.len() + value.len() + 4;
        while format!("{length}").len() + key.len() + value.len() + 3 != length {
            length += 1;
        }
        [format!("{length} {key}=").as_bytes(), value, b"\n"].concat()
    }

    impl Entry {
        fn bytes(&self) -> Vec<u8> {
            let end = [
                block(self.kind, &self.name, &self.link, self.content.len()),
                padded(&self.content),
            ]
            .concat();
            match self.means {
                Means::Plain => end,
                Means::Pax => {
                    let records = [record("path", &self.name), record("linkpath", &self.link)].concat();
                    [block(b'x', b"pax", b"", records.len()), padded(&records), end].concat()
                }
                Means::Gnu => {
                    let (name, link) = ([&self.name[..], b"\0"].concat(), [&self.link[..], b"\0"].concat());
                    let long = |kind, text: &[u8]| {
                        [block(kind, b"././@LongLink", b"", text.len()), padded(text)].concat()
                    };
                    [long(b'L', &name), long(b'K', &link), end].concat()
                }
            }
        }
    }

    fn entry(kind: u8, name: &[u8], link: &[u8], means: Means) -> Entry {
        let content = if matches!(kind, b'0' | b'7' | 0) {
            b"planted".to_vec()
        } else {
            Vec::new()
        };
        Entry {
            kind,
            name: name.to_vec(),
            link: link.to_vec(),
            content,
            means,
        }
    }

    fn names() -> Vec<Vec<u8>> {
        let mut names: Vec<Vec<u8>> = [
            "../planted",
            "../../planted",
            "../../../../../../etc/passwd",
            "a/../../planted",
            "a/b/../../../planted",
            "./../planted",
            "..",
            "../",
            "a/..",
            ".//..//planted",
            "/../planted",
            "/tmp/dest/../planted",
            "//../planted",
            "a/./../../planted",
            "../dest2/planted",
            "/",
            "",
            ".",
            "./",
            "//",
            "../../tmp/planted",
        ]
        .map(|name| name.as_bytes().to_vec())
        .into();
        names.push(b"\xff\xfe/../planted".to_vec());
        names.push(b"\xff".to_vec());
        names.push("x/".repeat(300).into_bytes());
        names.push([b"n".repeat(300), b"/../../planted".to_vec()].concat());
        names.push(b"n".repeat(5000));
        names
    }

    const MEANS: [Means; 3] = [Means::Plain, Means::Pax, Means::Gnu];

    /// Every bad name as every kind of entry, said in every way.
    fn bad_names() -> Vec<Vec<Entry>> {
        let mut payloads = Vec::new();
        for name in names() {
            for kind in *b"0\x00712534 6SZD" {
                for means in MEANS {
                    payloads.push(vec![entry(kind, &name, b"/etc/passwd", means)]);
                }
            }
        }
        payloads
    }

    /// A link first, then something that goes through it.
    fn through_links() -> Vec<Vec<Entry>> {
        let targets = [
            "/etc",
            "..",
            "../..",
            "/",
            "/tmp",
            "../../etc",
            "/tmp/dest/../..",
            "/proc/self/root/etc",
            "./..",
        ];
        let mut payloads = Vec::new();
        for target in targets {
            for means in MEANS {
                let link = || entry(b'2', b"l", target.as_bytes(), means);
                for name in [
                    "l/passwd",
                    "l/planted",
                    "l/a/b/planted",
                    "./l/passwd",
                    "/l/passwd",
                    "l//passwd",
                ] {
                    for kind in *b"0125" {
                        payloads.push(vec![link(), entry(kind, name.as_bytes(), b"/etc/passwd", means)]);
                    }
                }
                // A folder in place of the link, a link to the link, a hard link through it, an own file after it.
                let through = |first: Entry| vec![link(), first, entry(b'0', b"l/passwd", b"", means)];
                payloads.push(through(entry(b'5', b"l", b"", means)));
                payloads.push(through(entry(b'5', b"l/", b"", means)));
                payloads.push(through(entry(b'1', b"h", b"l/passwd", means)));
                payloads.push(through(entry(b'1', b"h", b"l", means)));
                let chain = entry(b'2', b"m", b"l", means);
                payloads.push(vec![link(), chain, entry(b'0', b"m/passwd", b"", means)]);
                payloads.push(vec![
                    entry(b'2', b"f", format!("{target}/passwd").as_bytes(), means),
                    entry(b'0', b"f", b"", means),
                ]);
            }
        }
        payloads
    }

    #[tokio::test]
    async fn nothing_gets_out_of_the_folder() {
        let payloads = [bad_names(), through_links()].concat();
        assert!(payloads.len() >= 200, "only {} payloads", payloads.len());
        let stage = stage().await;
        let before = common_outside(&stage).await;
        let mut refused = 0;
        for (number, payload) in payloads.iter().enumerate() {
            let mut archive: Vec<u8> = payload.iter().flat_map(Entry::bytes).collect();
            archive.extend([0; 1024]);
            let folder = format!("/tmp/dest{number}");
            refused += usize::from(copy_in(&stage, &folder, &archive, 512).await.is_err());
            if number % 100 == 99 || number + 1 == payloads.len() {
                assert_eq!(common_outside(&stage).await, before, "up to payload {number}");
            }
        }
        // The others are names that tar makes harmless, as `/x`, or links that nothing goes through.
        assert!(
            refused * 10 > payloads.len() * 7,
            "only {refused} of {} were refused",
            payloads.len()
        );
    }

    #[tokio::test]
    async fn a_write_through_a_link_of_the_archive_is_refused_with_its_reason() {
        let stage = stage().await;
        let archive = [
            entry(b'2', b"l", b"/etc", Means::Plain).bytes(),
            entry(b'0', b"l/passwd", b"", Means::Plain).bytes(),
        ]
        .concat();
        let error = copy_in(&stage, "/tmp/dest", &archive, 512)
            .await
            .expect_err("it goes through a link");
        assert_eq!(error.kind(), ErrorKind::InvalidSpec);
        assert!(
            error.message().contains("\"l/passwd\"") && error.message().contains("is a link"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn devices_pipes_and_unknown_entries_are_refused_by_name() {
        for (kind, why) in [
            (b'3', "devices"),
            (b'4', "devices"),
            (b'6', "pipes"),
            (b'S', "sparse"),
            (b'Z', "'Z'"),
        ] {
            let stage = stage().await;
            let archive = entry(kind, b"odd", b"", Means::Plain).bytes();
            let error = copy_in(&stage, "/tmp/dest", &archive, 512)
                .await
                .expect_err("it is no file");
            assert!(
                error.message().contains("\"odd\"") && error.message().contains(why),
                "{error}"
            );
        }
    }

    #[tokio::test]
    async fn absurd_sizes_are_refused() {
        let stage = stage().await;
        for size in [
            &b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"[..],
            b"\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
            b"77777777777\0",
            b"8888",
            b"-1",
        ] {
            let mut archive = block(b'0', b"file", b"", 0);
            archive[124..136].fill(0);
            archive[124..124 + size.len()].copy_from_slice(size);
            mend(&mut archive, 0);
            let fine = copy_in(&stage, "/tmp/dest", &archive, 512).await;
            // A time before 1970 in the place of a size is nothing; all others promise more than comes.
            assert!(fine.is_err() || size[0] == 0xff, "{size:?}");
        }
        for key in ["size", "mtime"] {
            for value in ["99999999999999999999999", "-1", "x", ""] {
                let records = record(key, value.as_bytes());
                let archive = [
                    block(b'x', b"pax", b"", records.len()),
                    padded(&records),
                    block(b'0', b"file", b"", 0),
                ]
                .concat();
                let result = copy_in(&stage, "/tmp/dest", &archive, 512).await;
                assert!(
                    result.is_err() || (key, value) == ("mtime", "-1"),
                    "{key}={value}"
                );
            }
        }
        let huge = block(b'L', b"././@LongLink", b"", 1 << 30);
        assert!(copy_in(&stage, "/tmp/dest", &huge, 512).await.is_err());
    }
}
