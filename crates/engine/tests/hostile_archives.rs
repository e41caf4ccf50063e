//! Archives that are damaged, or made to get out of the folder that they are unpacked into.

mod common;

use std::collections::BTreeMap;

use agentkernel_types::ErrorKind;
use common::{
    Stage,
    archive::{Found, contents, copy_in, copy_out, header, stage},
};

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
    let before = outside(&stage).await;
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
    assert_eq!(outside(&stage).await, before);
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
async fn outside(stage: &Stage) -> BTreeMap<String, Found> {
    let mut found = contents(&copy_out(stage, "/").await);
    found.retain(|path, _| !path.starts_with("./tmp/dest"));
    found
}

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
    let before = outside(&stage).await;
    let mut refused = 0;
    for (number, payload) in payloads.iter().enumerate() {
        let mut archive: Vec<u8> = payload.iter().flat_map(Entry::bytes).collect();
        archive.extend([0; 1024]);
        let folder = format!("/tmp/dest{number}");
        refused += usize::from(copy_in(&stage, &folder, &archive, 512).await.is_err());
        if number % 100 == 99 || number + 1 == payloads.len() {
            assert_eq!(outside(&stage).await, before, "up to payload {number}");
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
